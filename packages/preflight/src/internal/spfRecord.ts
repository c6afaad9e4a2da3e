/**
 * An SPF record as terms (RFC 7208 §4.6.1).
 */
import * as Result from "effect/Result"

/** The result of a mechanism that matches (RFC 7208 §4.6.2). */
export type Qualifier = "pass" | "fail" | "softfail" | "neutral"

/** The mechanisms (RFC 7208 §5). */
const mechanisms = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"] as const

/** A mechanism's name. */
export type Mechanism = (typeof mechanisms)[number]

/** One mechanism of a record. */
export interface Term {
  readonly qualifier: Qualifier
  readonly mechanism: Mechanism
  /** The domain, or the address; empty where none is given. */
  readonly target: string
  /** Lengths of prefixes, as `/24`, `/24//64` or `//64`; empty where none is given. */
  readonly prefixes: string
}

export interface SpfRecord {
  readonly terms: ReadonlyArray<Term>
  /** The domain whose record goes on where no term matches. */
  readonly redirect: string | undefined
}

/** Reads a record that begins with `v=spf1`. Fails with the first term that SPF does not know. */
export const parse = (text: string): Result.Result<SpfRecord, string> => {
  const terms: Array<Term> = []
  let redirect: string | undefined
  for (const term of text.split(/\s+/).slice(1)) {
    const [, modifier, value] = /^([a-z][\w.-]*)=(.*)$/i.exec(term) ?? []
    if (modifier !== undefined) {
      // Other modifiers are passed over (RFC 7208 §6).
      if (modifier.toLowerCase() === "redirect") redirect = value
      continue
    }
    const parts = /^([+?~-]?)([a-z0-9]+)(?::([^/]*))?(\/.*)?$/i.exec(term)
    const mechanism = mechanisms.find((name) => name === parts?.[2]?.toLowerCase())
    if (parts === null || mechanism === undefined) return Result.fail(term)
    const [, sign = "", , target = "", prefixes = ""] = parts
    if ((mechanism === "include" || mechanism === "exists" || mechanism.startsWith("ip")) && target === "")
      return Result.fail(term)
    terms.push({ qualifier: qualifiers[sign] ?? "pass", mechanism, target, prefixes })
    // Later terms are never reached (RFC 7208 §5.1).
    if (mechanism === "all") break
  }
  return Result.succeed({ terms, redirect })
}

const qualifiers: { readonly [sign: string]: Qualifier } = {
  "+": "pass",
  "-": "fail",
  "~": "softfail",
  "?": "neutral"
}
