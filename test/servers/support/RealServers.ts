/**
 * The real servers that Mailrace is run against, what each offers, and what is known of it.
 */
import type * as Pipelining from "@mailrace/smtp/Pipelining"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Aiosmtpd from "./Aiosmtpd.ts"
import * as Dovecot from "./Dovecot.ts"
import * as Exim from "./Exim.ts"
import * as Haraka from "./Haraka.ts"
import type * as Mta from "./Mta.ts"
import * as NetServerMail from "./NetServerMail.ts"
import * as OpenSmtpd from "./OpenSmtpd.ts"
import * as Postfix from "./Postfix.ts"
import * as Sendmail from "./Sendmail.ts"

/** A server that a test can start. */
export interface Startable {
  readonly name: string
  readonly start: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope>
  /** The modes that `auto` may come to. */
  readonly auto: ReadonlyArray<Pipelining.Mode>
  /** The modes that it offers and gets right. */
  readonly modes: ReadonlyArray<Pipelining.Mode>
}

/** All of them. */
export const all: ReadonlyArray<Startable> = [
  // Refuses whatever is written behind the end of a message before it has answered that.
  { name: "Haraka", start: Haraka.make, auto: ["envelope"], modes: ["off", "envelope"] },
  // Takes what is written behind the end of a message for a part of it as well.
  { name: "Net::Server::Mail", start: NetServerMail.make, auto: ["envelope"], modes: ["off", "envelope"] },
  { name: "aiosmtpd", start: Aiosmtpd.make, auto: ["off"], modes: ["off"] },
  { name: "OpenSMTPD", start: OpenSmtpd.make, auto: ["off"], modes: ["off"] },
  { name: "Sendmail", start: Sendmail.make, auto: ["envelope"], modes: ["off", "envelope", "overlap"] },
  // Its process ends where an envelope is written behind the end of a message without RSET before it (`overlap`), and
  // where a transaction was refused it passes the next MAIL on too early, which the self-test of `speculative` finds. It
  // does so while the cores are idle: on busy ones the refusal reaches it first, and it passes.
  { name: "Dovecot", start: Dovecot.make, auto: ["envelope", "speculative"], modes: ["off", "envelope"] },
  {
    name: "Postfix",
    // Closes the connection on whatever is written ahead of what it has offered.
    start: Postfix.make({ settings: { smtpd_forbid_unauth_pipelining: "yes" } }),
    auto: ["speculative"],
    modes: ["off", "envelope", "overlap", "speculative"]
  },
  { name: "Exim", start: Exim.make(), auto: ["speculative"], modes: ["off", "envelope", "overlap", "speculative"] }
]
