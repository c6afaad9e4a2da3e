/**
 * Mail addresses (RFC 5321 §4.1.2, RFC 5322 §3.4, RFC 6531 for Unicode).
 */
import type * as Brand from "effect/Brand"

/** A valid `local@domain`: no display name, no comment, no CR, LF or NUL, at most 254 octets. */
export type Address = string & Brand.Brand<"mailrace/Address">
