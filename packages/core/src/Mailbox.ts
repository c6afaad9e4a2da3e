/**
 * Mailboxes: an address with the name that a reader sees (RFC 5322 §3.4).
 *
 * `Ann <ann@example.org>`, `"Doe, Ann" <ann@example.org>`, `ann@example.org (at work)` and lists of them with commas
 * are read. What is not: groups (`Team: ann@example.org, bob@example.org;`), since they name no one to send to, and
 * line breaks of any kind. A name is text, never code: a name that looks like an encoded-word (RFC 2047) is kept as
 * it is, and is shown to the reader as it is.
 */
import * as Result from "effect/Result"
import type { Address, AddressError } from "./Address.ts"
import * as MailboxSyntax from "./internal/mailboxSyntax.ts"

/** An address and perhaps a name. */
export interface Mailbox {
  /** The name without quotes, spaces around it taken off; never empty. */
  readonly name: string | undefined
  readonly address: Address
}

/** Makes a mailbox from an address and a name; an empty name counts as none. */
export const make = (address: Address, name?: string): Mailbox => ({ name: name?.trim() || undefined, address })

/**
 * Reads exactly one mailbox.
 *
 * @example
 * Mailbox.parse("Ann <ann@example.org>") // Result.succeed({ name: "Ann", address: "ann@example.org" })
 */
export const parse = (input: string): Result.Result<Mailbox, AddressError> =>
  Result.flatMap(parseList(input), (list) =>
    list.length === 1
      ? Result.succeed(list[0]!)
      : Result.fail(
          MailboxSyntax.error(
            input,
            0,
            list.length === 0 ? "there is no address" : "one mailbox is wanted here, not a list",
            list.length === 0 ? "write it as local@domain" : "give only one, and put a name with a comma in quotes"
          )
        )
  )

/** Reads mailboxes separated by commas; empty places between commas are skipped (RFC 5322 §4.4). */
export const parseList = (input: string): Result.Result<ReadonlyArray<Mailbox>, AddressError> =>
  MailboxSyntax.readList(input)
