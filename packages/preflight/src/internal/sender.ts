/**
 * The machine that hands the mail to the receivers: the name of its address, its name in EHLO, TLS.
 */
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import { type Addresses, addressesOf } from "./addresses.ts"
import { type Finding, finding, unanswered } from "./finding.ts"
import * as Records from "./records.ts"

/** Whether the sending address has a name that leads back to it. */
export const ptr = (address: string | undefined): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.gen(function* () {
    if (address === undefined)
      return finding(
        "ptr",
        "unknown",
        "the sending address",
        "the address from which receivers get the mail cannot be seen from here: a relay uses its own",
        "look for it in the Received fields of a mail that arrived, and check again with it (`sendingAddress`)"
      )
    const names = yield* Records.names(address)
    if (names._tag === "Unknown") return unanswered("ptr", address, names.why)
    if (names._tag === "None")
      return finding(
        "ptr",
        "problem",
        address,
        "the address has no name (PTR)",
        "ask whoever owns the address, your hosting provider, to set its PTR record to the mail server's name"
      )
    let silence: string | undefined
    for (const name of names.records.slice(0, 10)) {
      const found: Addresses = yield* addressesOf(name, address)
      if (found.addresses.includes(address))
        return finding("ptr", "ok", address, `the address is ${name}, which leads back to it`)
      silence ??= found.unanswered
    }
    if (silence !== undefined) return unanswered("ptr", address, silence)
    return finding(
      "ptr",
      "problem",
      address,
      `the address is called ${names.records.join(", ")}, which does not lead back to it`,
      "give that name an A or AAAA record with this address"
    )
  })

/** Whether the name in EHLO belongs to the sending address. */
export const ehlo = (name: string | undefined, address: string | undefined): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.gen(function* () {
    if (name === undefined)
      return finding(
        "ehlo",
        "unknown",
        "the name in EHLO",
        "the name by which the relay greets receivers cannot be seen from here",
        "look for it in the Received fields of a mail that arrived, and check again with it (`ehloName`)"
      )
    const { addresses, unanswered: silence } = yield* addressesOf(name)
    const isShown = address === undefined ? addresses.length > 0 : addresses.includes(address)
    if (!isShown && silence !== undefined) return unanswered("ehlo", name, silence)
    if (addresses.length === 0)
      return finding(
        "ehlo",
        "problem",
        name,
        "the name has no address",
        "use the mail server's own name, and publish it"
      )
    if (address !== undefined && !addresses.includes(address))
      return finding(
        "ehlo",
        "advice",
        name,
        `the name leads to ${addresses.join(", ")} and not to ${address}`,
        "use the name that the PTR record of the sending address gives"
      )
    return finding("ehlo", "ok", name, `the name leads to ${addresses.join(", ")}`)
  })

/** Whether mail to the relay is encrypted; `undefined` if no relay was asked. */
export const tls = (relay: { readonly name: string; readonly isEncrypted: boolean } | undefined): Finding =>
  relay === undefined
    ? finding(
        "tls",
        "unknown",
        "the relay",
        "no relay was asked whether it encrypts",
        "name the relay; whether it encrypts towards receivers is in the Received fields of a mail that arrived"
      )
    : relay.isEncrypted
      ? finding("tls", "ok", relay.name, "mail to the relay is encrypted; from there on the relay has to do it")
      : finding(
          "tls",
          "problem",
          relay.name,
          "mail to the relay goes in clear",
          "use a relay with STARTTLS or TLS from the first byte (tls=required, smtps://)"
        )

/** Nobody but the providers knows how many readers complain. */
export const spamRate = (domain: string): Finding =>
  finding(
    "spamRate",
    "unknown",
    domain,
    "only the providers see how many readers mark mail as spam; Gmail and Yahoo want it below 0.3 %, better 0.1 %",
    "sign up at Gmail's Postmaster Tools and Yahoo's Complaint Feedback Loop"
  )
