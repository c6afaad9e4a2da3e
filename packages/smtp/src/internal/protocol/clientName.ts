/**
 * The client's name in EHLO: a domain name, or an address literal where the machine has none (RFC 5321 §4.1.1.1, §4.1.3).
 *
 * Relays refuse names without a dot, and some refuse them as late as RCPT, where it looks like a fault of the recipient. So a
 * container's `a1b2c3` is not sent.
 */
import * as Result from "effect/Result"
import { isIPv4, isIPv6 } from "node:net"
import { domainToASCII } from "node:url"

/** Reads a name that somebody chose. An address is put into brackets; fails with what is wrong, in words. */
export const parse = (text: string): Result.Result<string, string> => {
  const inside = /^\[(?:IPv6:)?(.*)\]$/i.exec(text)?.[1]
  const address = inside ?? text
  if ((isIPv4(address) && !/^\[IPv6:/i.test(text)) || isIPv6(address)) {
    return address.includes("%") ? Result.fail("has a zone, which no relay knows") : Result.succeed(literal(address))
  }
  if (inside !== undefined) return Result.fail("has no address in its brackets")
  const name = isAscii(text) ? text : domainToASCII(text)
  if (name.includes("_")) return Result.fail("has an underscore, which no domain name may have")
  return isDomain(name) ? Result.succeed(name) : Result.fail("is neither a domain name nor an address")
}

/** An address as a literal, as in `[192.0.2.1]` or `[IPv6:2001:db8::1]`. */
export const literal = (address: string): string => {
  // A socket for both families shows IPv4 as a part of IPv6.
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "")
  return isIPv6(plain) ? `[IPv6:${plain}]` : `[${plain}]`
}

/** The machine's name if relays can make something of it; `undefined` for one that means something at home only. */
export const ofMachine = (hostname: string): string | undefined =>
  hostname.includes(".") && isDomain(hostname) && !/\.(?:local|localdomain|internal)$/i.test(hostname)
    ? hostname
    : undefined

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
const domain = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`)

/** Letters, digits and hyphens in labels. A last label of digits alone would be taken for an address. */
const isDomain = (name: string): boolean => domain.test(name) && !/(?:^|\.)\d+$/.test(name)

const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text)
