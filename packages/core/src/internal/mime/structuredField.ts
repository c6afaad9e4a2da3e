/**
 * Structured header fields read back: values with parameters (RFC 2045 §5.1, RFC 2231) and with comments (RFC 5322 §3.2.2).
 */
import * as Charset from "./charset.ts"
import * as EncodedWordReader from "./encodedWordReader.ts"
import * as QuotedPrintable from "./quotedPrintable.ts"

/** A value and its parameters. */
export interface Parameters {
  /** In lower case, without comments. */
  readonly value: string
  /** Decoded, by their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Reads `value (comment); name=value; name="value"; name*0*=UTF-8''value…`. `raw` has a character for each byte. */
export const readParameters = (raw: string): Parameters => {
  const [value = "", ...rest] = split(raw)
  const parameters = new Map<string, string>()
  const sections = new Map<string, Map<number, Section>>()
  for (const parameter of rest) {
    const equals = parameter.indexOf("=")
    if (equals === -1) continue
    const name = withoutComments(parameter.slice(0, equals)).trim().toLowerCase()
    const text = parameterValue(name, parameter.slice(equals + 1))
    const [, base = "", index = "0", star = ""] = /^([^*]+)(?:\*(\d+))?(\*)?$/.exec(name) ?? []
    if (name.includes("*") && base !== "") {
      const known = sections.get(base) ?? new Map<number, Section>()
      sections.set(base, known.set(Number(index), { text, isEncoded: star === "*" }))
    } else if (name !== "" && !parameters.has(name)) {
      const decoded = Charset.decode(Buffer.from(text, "latin1"), "utf-8").text
      parameters.set(name, EncodedWordReader.decode(decoded))
    }
  }
  for (const [name, parts] of sections) parameters.set(name, joinSections(parts))
  return { value: withoutComments(value).replace(/\s+/g, "").toLowerCase(), parameters }
}

/** Takes comments out; they nest. A parenthesis that is never closed stands for itself. */
export const withoutComments = (text: string): string => {
  if (!text.includes("(")) return text
  let out = ""
  let start = 0
  const groups = new Groups(text)
  for (let i = 0; i < text.length;) {
    const end = groups.endOf(i)
    if (end === undefined) {
      i++
      continue
    }
    if (text[i] === "(") {
      out += `${text.slice(start, i)} `
      start = end
    }
    i = end
  }
  return out + text.slice(start)
}

interface Section {
  readonly text: string
  readonly isEncoded: boolean
}

/** A name of a file that is not in quotes may hold parentheses, as many programs write it; elsewhere they are comments. */
const parameterValue = (name: string, given: string): string => {
  const text = given.trim()
  if (text.startsWith('"'))
    return text.slice(1, (new Groups(text).endOf(0) ?? text.length + 1) - 1).replace(/\\(.)/g, "$1")
  return /^(?:file)?name\b/.test(name)
    ? text
    : withoutComments(text)
        .trim()
        .replace(/^"(.*)"$/, "$1")
}

/** Cuts at semicolons outside of quotes and comments. */
const split = (field: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let start = 0
  const groups = new Groups(field)
  for (let i = 0; i < field.length;) {
    if (field[i] === ";") {
      found.push(field.slice(start, i))
      start = i + 1
    }
    i = groups.endOf(i) ?? i + 1
  }
  found.push(field.slice(start))
  return found
}

/** Quoted strings and comments of a text that is gone through from its beginning. */
class Groups {
  private readonly text: string
  /** Openings without an end, so that the end is not searched for again. */
  private readonly unclosed = new Set<string>()

  constructor(text: string) {
    this.text = text
  }

  /** The end of the group that begins at a place, `undefined` if none does or it has no end. */
  endOf(start: number): number | undefined {
    const opening = this.text[start]!
    if ((opening !== '"' && opening !== "(") || this.unclosed.has(opening)) return undefined
    let depth = 0
    for (let i = start; i < this.text.length; i++) {
      const character = this.text[i]
      if (character === "\\") i++
      else if (opening === '"') {
        if (character === '"' && i > start) return i + 1
      } else if (character === "(") depth++
      else if (character === ")" && --depth === 0) return i + 1
    }
    this.unclosed.add(opening)
    return undefined
  }
}

/** RFC 2231 §3 and §4. */
const joinSections = (sections: ReadonlyMap<number, Section>): string => {
  let charset = "utf-8"
  const bytes = [...sections]
    .toSorted(([a], [b]) => a - b)
    .map(([index, { isEncoded, text }]) => {
      if (!isEncoded) return Buffer.from(text, "latin1")
      const [, label, encoded = text] = index === 0 ? (/^([^']*)'[^']*'(.*)$/.exec(text) ?? []) : []
      if (label) charset = label
      return QuotedPrintable.decode(encoded.replaceAll("=", "=3D").replaceAll("%", "="))
    })
  return Charset.decode(Buffer.concat(bytes), charset).text
}
