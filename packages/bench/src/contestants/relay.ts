/**
 * Shared by the Mailrace contestants: the relay of a spec, and messages as `Composed`.
 */
import type * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Pipelining from "@mailrace/smtp/Pipelining"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as Redacted from "effect/Redacted"
import type { Messages } from "../Messages.ts"
import type { SendSpec } from "../Protocol.ts"

/** The mode in the contestant's name, as in `mailrace-overlap`; `auto` where there is none. */
export const modeOf = (spec: SendSpec): Pipelining.Choice =>
  Pipelining.modes.find((mode) => spec.contestant.endsWith(mode)) ?? "auto"

/** The relay of a spec. */
export const relayOptions = (spec: SendSpec, pipelining: Pipelining.Choice): SmtpOptions.Options => ({
  host: spec.host,
  port: spec.port,
  name: "bench.example",
  pipelining,
  maxMessages: spec.maxMessages,
  ...(spec.login === true
    ? { auth: { username: "user", password: Redacted.make("secret") }, allowInsecureAuth: true }
    : {}),
  tls: spec.ca === undefined ? { mode: spec.tls } : { mode: spec.tls, serverName: "localhost", ca: spec.ca }
})

/** Composed messages, made beforehand if they repeat. */
export const composedFrom = (messages: Messages): ((index: number) => Composed.Composed) => {
  const make = (index: number): Composed.Composed => {
    const { from, to } = messages.envelope(index)
    return Composed.make({
      messageId: `<${index}@sender.example>`,
      envelope: { from: from as Address.Address, to: to as ReadonlyArray<Address.Address> },
      content: messages.content(index)
    })
  }
  const { ring } = messages
  if (!Number.isFinite(ring)) return make
  const made = Array.from({ length: ring }, (_, index) => make(index))
  return (index) => made[index % ring]!
}
