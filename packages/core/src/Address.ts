/**
 * Mail addresses (RFC 5321 §4.1.2, RFC 5322 §3.4, RFC 6531 for Unicode).
 *
 * An `Address` is a string that was checked once; all later code takes it as it is. It is the address alone: a name in
 * front of it belongs to a `Mailbox`.
 *
 * @since 0.1.0
 */

import type * as Brand from "effect/Brand"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as AddressSyntax from "./internal/address/addressSyntax.ts"

/**
 * A valid `local@domain`: no display name, no comment, no CR, LF or NUL, at most 254 octets.
 *
 * @since 0.1.0
 */
export type Address = string & Brand.Brand<"mailrace/Address">

/**
 * A string that is not an address. The message names the place and the problem, never the address.
 *
 * @since 0.1.0
 */
export class AddressError extends Schema.TaggedError<AddressError>("mailrace/AddressError")("AddressError", {
  /** The string that is not an address. */
  input: Schema.String,
  /** Index of the first character at fault, from 0. */
  position: Schema.Int,
  /** The fault, in words. */
  problem: Schema.String,
  /** What to try, as an imperative without a full stop. */
  remedy: Schema.String
}) {
  override get message(): string {
    return `${this.problem} (at character ${this.position + 1}): ${this.remedy}`
  }
}

/**
 * True if a string is a valid address.
 *
 * @since 0.1.0
 */
export const isAddress = (input: string): input is Address => AddressSyntax.findFault(input) === undefined

/**
 * Reads an address (RFC 5321 §4.1.2): dot-atoms or a quoted local part of at most 64 octets, and a domain, also in
 * Unicode (RFC 6531), or an address literal as `[192.0.2.1]` and `[IPv6:2001:db8::1]`; 254 octets in all.
 *
 * Nothing is trimmed, changed or looked up.
 *
 * @example
 * ```ts
 * import * as Address from "mailrace/Address"
 *
 * export const valid = Address.parse("ann@example.org") // Result.succeed("ann@example.org")
 * export const invalid = Address.parse("ann@example..org") // Result.fail(AddressError at character 12)
 * ```
 *
 * @since 0.1.0
 */
export const parse = (input: string): Result.Result<Address, AddressError> => {
  if (AddressSyntax.isPlainAddress(input)) return Result.succeed(input as Address)
  const fault = AddressSyntax.findFault(input)
  return fault === undefined ? Result.succeed(input as Address) : Result.fail(new AddressError({ ...fault, input }))
}

/**
 * Treats a string as an address without a check; the caller knows that it is one.
 *
 * @since 0.1.0
 */
export const fromStringUnsafe = (input: string): Address => input as Address

/**
 * The part before the `@`, with its quotes where it has them.
 *
 * @since 0.1.0
 */
export const localPart = (address: Address): string => address.slice(0, AddressSyntax.atSign(address))

/**
 * The part after the `@`, as it was written.
 *
 * @since 0.1.0
 */
export const domain = (address: Address): string => address.slice(AddressSyntax.atSign(address) + 1)

/**
 * True if the address is all ASCII, so that it needs neither SMTPUTF8 nor IDNA.
 *
 * @since 0.1.0
 */
export const isAscii = (address: Address): boolean => AddressSyntax.isAscii(address)

/**
 * The same address in ASCII, its domain as A-labels (RFC 5891); `undefined` if the local part is not ASCII.
 * Such an address has no other spelling and needs SMTPUTF8 (RFC 6531).
 *
 * @since 0.1.0
 */
export const toAscii = (address: Address): Address | undefined => {
  if (AddressSyntax.isAscii(address)) return address
  const local = localPart(address)
  if (!AddressSyntax.isAscii(local)) return undefined
  return `${local}@${AddressSyntax.domainToAscii(domain(address))}` as Address
}

/**
 * Removes repeated addresses and keeps the order. Domains are compared in ASCII and without regard to case, local parts
 * exactly, because only their server knows which ones are the same (RFC 5321 §2.4).
 *
 * @since 0.1.0
 */
export const distinct = (addresses: ReadonlyArray<Address>): ReadonlyArray<Address> => {
  if (addresses.length < 2) return addresses
  const seen = new Set<string>()
  return addresses.filter((address) => {
    const own = domain(address)
    const key = `${localPart(address)}@${(AddressSyntax.domainToAscii(own) ?? own).toLowerCase()}`
    return seen.size < seen.add(key).size
  })
}

/**
 * Decodes a string into an `Address`; the issue names the place and the fault.
 *
 * @since 0.1.0
 */
export const Address = Schema.String.check(
  Schema.makeFilter(
    (input: string) => {
      const fault = AddressSyntax.findFault(input)
      return fault === undefined ? undefined : new AddressError({ ...fault, input }).message
    },
    { expected: "a mail address" }
  )
).pipe(Schema.brand("mailrace/Address"))
