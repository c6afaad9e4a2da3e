/**
 * The grammar of `local@domain`: RFC 5321 §4.1.2 with the Unicode of RFC 6531 §3.3.
 *
 * `isPlainAddress` accepts the everyday ASCII address with one regular expression. Any other text, right or wrong, goes to
 * `findFault`, which reads character by character and finds the place and the fault.
 */

/** The fault of an address, and its place. */
export interface Fault {
  /** Index of the first character at fault, from 0. */
  readonly position: number
  readonly problem: string
  readonly remedy: string
}

/** RFC 5321 §4.5.3.1.1. */
const maxLocalOctets = 64

/** A path has 256 octets with its angle brackets (RFC 5321 §4.5.3.1.3). */
const maxOctets = 254

const maxLabel = 63

const plain =
  /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)*[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i

const dottedQuad = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** True for an ASCII address without quotes and brackets. `false` decides nothing; ask `findFault`. */
export const isPlainAddress = (input: string): boolean => {
  if (input.length > maxOctets || !plain.test(input)) return false
  const at = input.indexOf("@")
  return at <= maxLocalOctets && !isIpAddress(input, at + 1)
}

/** The fault of an address; `undefined` if it is valid. */
export const findFault = (input: string): Fault | undefined => {
  if (isPlainAddress(input)) return undefined
  if (input === "") return fault(0, "the address is empty", "write it as local@domain")
  const at = endOfLocalPart(input)
  if (typeof at !== "number") return at
  const domain = input.slice(at + 1)
  const wrong = domain.startsWith("[") ? literalFault(domain, at + 1) : domainFault(domain, at + 1)
  if (wrong !== undefined) return wrong
  const ascii = domainToAscii(domain)
  const local = Buffer.byteLength(input.slice(0, at))
  if (local > maxLocalOctets)
    return fault(0, `the part before @ has ${local} octets, ${maxLocalOctets} are allowed`, "shorten it")
  const octets = local + 1 + Math.max(Buffer.byteLength(domain), ascii?.length ?? 0)
  return octets > maxOctets
    ? fault(0, `the address has ${octets} octets, ${maxOctets} are allowed`, "shorten it")
    : undefined
}

/** The index of the `@` between local part and domain, in a valid address. */
export const atSign = (address: string): number => address.lastIndexOf("@")

/** A domain in ASCII (A-labels, RFC 5890 §2.3.2.1), `undefined` if a label has no such form. */
export const domainToAscii = (domain: string): string | undefined => {
  if (isAscii(domain)) return domain
  const host = URL.parse(`http://${domain}`)?.hostname
  return host === undefined || asciiDomainFault(host, 0) !== undefined ? undefined : host
}

const nonAscii = /[^\0-\x7f]/

/** True if all characters are below 128. */
export const isAscii = (text: string): boolean => !nonAscii.test(text)

/** The name of an unprintable character; `undefined` for a printable one. */
export const controlName = (code: number): string | undefined => {
  if (code === 0) return "NUL"
  if (code === 9) return "a tab"
  if (code === 10) return "a line feed"
  if (code === 13) return "a carriage return"
  if (code < 32 || (code >= 127 && code <= 159))
    return `the control character U+${code.toString(16).toUpperCase().padStart(4, "0")}`
  return undefined
}

const fault = (position: number, problem: string, remedy: string): Fault => ({ position, problem, remedy })

const isAtomCharacter = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x30 && code <= 0x39) ||
  code > 0x9f ||
  (code < 0x80 && "!#$%&'*+-/=?^_`{|}~".includes(String.fromCharCode(code)))

const invisible = /[\s\u200b\u2060\ufeff]/

/** A character that no part of an address may hold, quoted or not. */
const unfitCharacter = (input: string, position: number): Fault | undefined => {
  const code = input.charCodeAt(position)
  const control = controlName(code)
  if (control !== undefined) return fault(position, `${control} is not allowed in an address`, "take it out")
  if (code > 0x7f && invisible.test(input[position]!))
    return fault(position, "an invisible space is not allowed in an address", "take it out")
  if ((code & 0xf800) === 0xd800 && isLoneSurrogate(input, position))
    return fault(position, "half of a character (a lone surrogate) is not allowed", "correct the text's encoding")
  return undefined
}

const isLoneSurrogate = (input: string, position: number): boolean =>
  input.charCodeAt(position) >= 0xdc00
    ? (input.charCodeAt(position - 1) & 0xfc00) !== 0xd800
    : (input.charCodeAt(position + 1) & 0xfc00) !== 0xdc00

/** Some providers gave out such addresses against the grammar; without the dot they belong to other people. */
const orQuoted = 'put the part before @ in double quotes, as in "a..b"@example.org, or correct it'

const endOfLocalPart = (input: string): number | Fault =>
  input.startsWith('"') ? endOfQuotedLocal(input) : endOfDotString(input)

const endOfDotString = (input: string): number | Fault => {
  for (let i = 0; i < input.length; i++) {
    const character = input[i]!
    if (character === "@") {
      if (i === 0) return fault(0, "there is nothing before @", "write it as local@domain")
      return input[i - 1] === "." ? fault(i - 1, "a dot stands right before @", orQuoted) : i
    }
    if (character === ".") {
      if (i === 0) return fault(0, "the address begins with a dot", orQuoted)
      if (input[i - 1] === ".") return fault(i, "two dots stand together", orQuoted)
      continue
    }
    const unfit = unfitCharacter(input, i)
    if (unfit !== undefined) return unfit
    if (!isAtomCharacter(input.charCodeAt(i)))
      return fault(
        i,
        character === " " ? "a space is not allowed before @" : `"${character}" is not allowed before @`,
        character === "<" || character === ">"
          ? "give the address alone, without a name and angle brackets"
          : "take it out, or put the part before @ in double quotes"
      )
  }
  return fault(input.length, "there is no @", "write it as local@domain")
}

const endOfQuotedLocal = (input: string): number | Fault => {
  for (let i = 1; i < input.length; i++) {
    const unfit = unfitCharacter(input, i)
    if (unfit !== undefined) return unfit
    const character = input[i]!
    if (character === "\\") {
      const code = input.charCodeAt(++i)
      if (!(code >= 32 && code <= 126))
        return fault(i, "a backslash must stand before a printable ASCII character", "take the backslash out")
    } else if (character === '"') {
      return input[i + 1] === "@"
        ? i + 1
        : fault(i + 1, "@ must follow the closing quote", 'write it as "local part"@domain')
    }
  }
  return fault(input.length, "the quote is never closed", "add the closing double quote before @")
}

const domainFault = (domain: string, offset: number): Fault | undefined => {
  if (domain === "") return fault(offset, "there is nothing after @", "write it as local@domain")
  for (let i = 0; i < domain.length; i++) {
    const unfit = unfitCharacter(domain, i)
    if (unfit !== undefined) return { ...unfit, position: offset + i }
  }
  const wrong = asciiDomainFault(domain, offset)
  if (wrong !== undefined || isAscii(domain)) return wrong
  return domainToAscii(domain) === undefined
    ? fault(offset, "the domain is not a valid internationalised name", "check its spelling, or give it as xn--…")
    : undefined
}

/** Checks labels. Characters above 127 pass, because IDNA judges them. */
const asciiDomainFault = (domain: string, offset: number): Fault | undefined => {
  let position = offset
  for (const label of domain.split(".")) {
    if (label === "") {
      if (position === offset) return fault(position, "the domain begins with a dot", "take the dot out")
      return position === offset + domain.length
        ? fault(position - 1, "the domain ends with a dot", "take the dot out")
        : fault(position, "two dots stand together", "take one out")
    }
    for (let i = 0; i < label.length; i++) {
      const code = label.charCodeAt(i)
      if (code > 0x7f || code === 0x2d || /[a-z\d]/i.test(label[i]!)) continue
      return fault(
        position + i,
        label[i] === "@" ? "there is a second @" : `"${label[i]}" is not allowed in a domain`,
        label[i] === "," || label[i] === ";"
          ? "give one address here; several belong in a list"
          : "use letters, digits, hyphens and dots"
      )
    }
    if (label.startsWith("-") || label.endsWith("-"))
      return fault(
        label.startsWith("-") ? position : position + label.length - 1,
        "a part of the domain begins or ends with a hyphen",
        "take the hyphen out"
      )
    if (isAscii(label) && label.length > maxLabel)
      return fault(position, `a part of the domain has ${label.length} characters`, `shorten it to ${maxLabel}`)
    position += label.length + 1
  }
  return isIpAddress(domain, 0)
    ? fault(offset, "an IP address must be in square brackets", `write [${domain}]`)
    : undefined
}

/** An IP address without brackets: a mistake, though the grammar allows its labels (RFC 1123 §2.1). */
const isIpAddress = (input: string, from: number): boolean => {
  const last = input.charCodeAt(input.length - 1)
  return last >= 0x30 && last <= 0x39 && dottedQuad.test(input.slice(from))
}

const octet = "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)"
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`)
const ipv6Characters = /^[\da-f:.]+$/i

/** RFC 5321 §4.1.3; of the tagged forms only `IPv6:` is registered. */
const literalFault = (literal: string, offset: number): Fault | undefined => {
  const end = literal.indexOf("]")
  if (end === -1) return fault(offset + literal.length, "the address literal is never closed", "add ]")
  if (end !== literal.length - 1) return fault(offset + end + 1, "there is text after ]", "take it out")
  const inside = literal.slice(1, -1)
  const valid = /^ipv6:/i.test(inside)
    ? ipv6Characters.test(inside.slice(5)) && URL.canParse(`http://[${inside.slice(5)}]/`)
    : ipv4.test(inside)
  return valid
    ? undefined
    : fault(offset + 1, "it is not an IP address", "write [192.0.2.1] or [IPv6:2001:db8::1], or use a domain name")
}
