/**
 * Mailboxes: an address with the name that a reader sees (RFC 5322 §3.4).
 *
 * `Ann <ann@example.org>`, `"Doe, Ann" <ann@example.org>`, `ann@example.org (at work)` and lists of them with commas
 * are read. Line breaks of any kind are refused, and so are groups (`Team: ann@example.org, bob@example.org;`), except in
 * `parseHeader`. A name is plain text: one that looks like an encoded-word (RFC 2047) is kept and shown as it is.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Address from "./Address.ts"
import * as MailboxSyntax from "./internal/address/mailboxSyntax.ts"

/**
 * An address and perhaps a name.
 *
 * @since 0.1.0
 */
export interface Mailbox {
  /** The name without quotes and without blanks around it; never empty. */
  readonly name: string | undefined
  readonly address: Address.Address
}

/**
 * Makes a mailbox from an address and a name; an empty name is the same as no name.
 *
 * @since 0.1.0
 */
export const make = (address: Address.Address, name?: string): Mailbox => ({
  name: name?.trim() || undefined,
  address
})

/**
 * Reads exactly one mailbox.
 *
 * @example
 * ```ts
 * import * as Mailbox from "mailrace/Mailbox"
 *
 * // Result.succeed({ name: "Ann", address: "ann@example.org" })
 * export const mailbox = Mailbox.parse("Ann <ann@example.org>")
 * ```
 *
 * @since 0.1.0
 */
export const parse = (input: string): Result.Result<Mailbox, Address.AddressError> =>
  Result.flatMap(parseList(input), (list) => {
    if (list.length === 1) return Result.succeed(list[0]!)
    return Result.fail(
      list.length === 0
        ? MailboxSyntax.error(input, 0, "there is no address", "write it as local@domain")
        : MailboxSyntax.error(
            input,
            0,
            "one mailbox is wanted here, not a list",
            "give only one, and put a name with a comma in quotes"
          )
    )
  })

/**
 * Reads mailboxes separated by commas; nothing between two commas is skipped (RFC 5322 §4.4).
 *
 * @since 0.1.0
 */
export const parseList = (input: string): Result.Result<ReadonlyArray<Mailbox>, Address.AddressError> =>
  MailboxSyntax.readList(input)

/**
 * Reads the value of a header field as From, To or Cc (RFC 5322 §3.4), unfolded: as `parseList`, and each group as its
 * members.
 *
 * @since 0.1.0
 */
export const parseHeader = (input: string): Result.Result<ReadonlyArray<Mailbox>, Address.AddressError> =>
  MailboxSyntax.readList(input, "all")

/**
 * Writes a mailbox so that `parse` reads the same one again. The name stays in its own script.
 *
 * @since 0.1.0
 */
export const format = (mailbox: Mailbox): string =>
  mailbox.name === undefined ? mailbox.address : `"${mailbox.name.replace(/["\\]/g, "\\$&")}" <${mailbox.address}>`

const Parts = Schema.Struct({ name: Schema.UndefinedOr(Schema.String), address: Address.Address })

/**
 * Decodes `Name <local@domain>` into a `Mailbox`; the issue names the place and the fault.
 *
 * @since 0.1.0
 */
export const FromString = Schema.String.pipe(
  Schema.decodeTo(
    Parts,
    SchemaTransformation.transformEffect<typeof Parts.Encoded, string>({
      decode: (input, options) =>
        Result.match(parse(input), {
          onFailure: (error) => Effect.fail(new SchemaIssue.InvalidValue({ message: error.message }, input, options)),
          onSuccess: (mailbox) => Effect.succeed(mailbox)
        }),
      encode: ({ address, name }) => Effect.succeed(format({ name, address: Address.fromStringUnsafe(address) }))
    })
  )
)
