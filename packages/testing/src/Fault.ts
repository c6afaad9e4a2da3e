/**
 * Faults of a test server: what goes wrong, when, and how often.
 *
 * A fault names a phase of the session, an action in place of the right answer, and optionally which events it
 * meets: a share of them, the first few, the n-th, those of one sender or recipient. Faults of one phase are asked in
 * the order given; the first that fires is the one that happens.
 *
 * Odds are drawn from a seed: the k-th event that a fault is asked about always gets the same answer, whatever
 * connection it arrives on, so that totals repeat from run to run.
 *
 * The text form is for the command line, as in `rcpt:450:10%` or `mail:451 4.7.1 slow down:first=5`; `grammar` describes it in
 * full.
 *
 * @since 0.1.0
 */

import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * The steps of a session at which something can go wrong.
 *
 * @since 0.1.0
 */
export const phases = [
  "connect",
  "greeting",
  "ehlo",
  "starttls",
  "tls",
  "auth",
  "mail",
  "rcpt",
  "data",
  "bdat",
  "content",
  "final",
  "rset",
  "noop",
  "quit"
] as const

/**
 * A step of a session.
 *
 * `connect` is before anything is said, `tls` before a handshake, `auth` the end of the exchange, `data` the 354,
 * `bdat` a chunk once it has been read (in place of taking it), `content` the moment when the first bytes of content
 * are there and the rest is not, `final` the reply to the whole content (of DATA or of the last BDAT).
 *
 * @since 0.1.0
 */
export type Phase = (typeof phases)[number]

/**
 * The action in place of the right answer.
 *
 * @since 0.1.0
 */
export type Action =
  /** Another reply. From 400 on the command has no effect; below, only the words differ. 421 ends the connection. */
  | { readonly type: "reply"; readonly code: number; readonly text: string }
  /** The right answer, later. What else arrives on the connection waits. */
  | { readonly type: "delay"; readonly ms: number }
  /** The connection is closed in order (FIN), without an answer. At `final` the content was taken all the same. */
  | { readonly type: "drop" }
  /** The connection is torn down (RST), without an answer. */
  | { readonly type: "reset" }
  /** No answer ever, with the connection left open. */
  | { readonly type: "hang" }
  /** Half of the right answer, then nothing more or the end of the connection. */
  | { readonly type: "partial"; readonly end: "hang" | "close" }
  /** Bytes that are no reply (at `tls`: no handshake). */
  | { readonly type: "garbage" }
  /** The right answer, one byte at each interval. */
  | { readonly type: "drip"; readonly ms: number }
  /** EHLO advertises an extension that this connection then does not honour. */
  | { readonly type: "lie"; readonly keyword: string }

/**
 * Which events a fault meets; `*` stands for any characters, letters of either case are the same.
 *
 * @since 0.1.0
 */
export interface Match {
  /** The sender's address; the null sender is the empty string. */
  readonly from?: string | undefined
  /** A recipient's address: the one at hand in phase `rcpt`, any of the transaction's later on. */
  readonly to?: string | undefined
}

/**
 * Something that goes wrong.
 *
 * @since 0.1.0
 */
export interface Fault {
  readonly phase: Phase
  readonly action: Action
  /** The share of the events that it meets, from 0 to 1. Defaults to 1. */
  readonly probability?: number | undefined
  /** Happens only at the n-th event that it could meet, counted from 1 over all connections. */
  readonly nth?: number | undefined
  /** Happens at most this often. Unbounded by default. */
  readonly count?: number | undefined
  readonly match?: Match | undefined
}

/**
 * The text form in words, for a help text or an error.
 *
 * @since 0.1.0
 */
export const grammar = `PHASE:ACTION[:ODDS...]
  PHASE   ${phases.join(" ")}
  ACTION  450 | 550 | "451 4.7.1 slow down"   another reply (200-599); 421 also ends the connection
          delay=200ms | drip=5ms              the right reply late, or one byte at a time
          drop | reset | hang                 close (FIN), tear down (RST), never answer
          partial | partial=close             half a reply, then silence or the end
          garbage                             bytes that are no reply
          lie=KEYWORD                         (ehlo) advertise an extension and do not honour it
  ODDS    10%  nth=3  first=5  from=GLOB  to=GLOB
  e.g.    rcpt:450:10%   final:drop:1%   connect:delay=200ms   rcpt:550:to=bounce@*`

/**
 * A fault that cannot be read, or that makes no sense at its phase.
 *
 * @since 0.1.0
 */
export class FaultError extends Schema.TaggedError<FaultError>("@mailrace/testing/FaultError")("FaultError", {
  input: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot read the fault "${this.input}": ${this.problem}\n${grammar}`
  }
}

const replyOnly = new Set(["reply", "delay", "drop", "reset", "hang"])
const handshake = new Set(["delay", "drop", "reset", "hang", "garbage"])
const beforeSpeech = new Set([...replyOnly, "garbage"])

/**
 * True if an action makes sense at a phase.
 *
 * @since 0.1.0
 */
export const isApplicable = (phase: Phase, action: Action["type"]): boolean => {
  switch (phase) {
    case "connect":
      return beforeSpeech.has(action)
    case "tls":
      return handshake.has(action)
    case "content":
      return replyOnly.has(action)
    default:
      return action !== "lie" || phase === "ehlo"
  }
}

const defaultTexts: { readonly [code: number]: string } = {
  421: "4.3.2 closing the connection",
  450: "4.2.1 mailbox busy, try again later",
  451: "4.3.0 try again later",
  452: "4.3.1 out of storage, try again later",
  454: "4.7.0 not available for now",
  500: "5.5.2 command not recognised",
  502: "5.5.1 command not implemented",
  503: "5.5.1 bad sequence of commands",
  530: "5.7.0 authentication required",
  535: "5.7.8 credentials refused",
  550: "5.1.1 no such user",
  552: "5.2.2 mailbox full",
  553: "5.1.3 bad address",
  554: "5.7.1 refused"
}

/**
 * A reply as an action; a code alone gets usual words.
 *
 * @since 0.1.0
 */
export const reply = (code: number, text?: string | undefined): Action => ({
  type: "reply",
  code,
  text: text ?? defaultTexts[code] ?? (code < 400 ? "OK" : code < 500 ? "4.0.0 try again later" : "5.0.0 refused")
})

/**
 * Reads the text form. Fails with what is wrong and the whole grammar.
 *
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Fault, FaultError> => {
  const fail = (problem: string) => Result.fail(new FaultError({ input: text, problem }))
  const [first, ...rest] = text.split(":")
  const phase = phases.find((name) => name === first?.trim().toLowerCase())
  if (phase === undefined) return fail(`"${first}" is no phase`)
  let odds: Odds = {}
  while (rest.length > 1) {
    const next = parseOdds(rest.at(-1)!.trim())
    if (next === undefined) break
    if (typeof next === "string") return fail(next)
    odds = { ...next, ...odds, match: { ...next.match, ...odds.match } }
    rest.pop()
  }
  const action = parseAction(rest.join(":").trim())
  if (typeof action === "string") return fail(action)
  if (!isApplicable(phase, action.type)) return fail(`${action.type} cannot happen at ${phase}`)
  const { match, ...others } = odds
  return Result.succeed({ phase, action, ...others, ...(match && Object.keys(match).length > 0 ? { match } : {}) })
}

/**
 * Reads the text form, or throws the `FaultError`. For tests and constants.
 *
 * @since 0.1.0
 */
export const parseUnsafe = (text: string): Fault => Result.getOrThrow(parse(text))

/**
 * The text form of a fault; `parse` reads it back.
 *
 * @since 0.1.0
 */
export const format = (fault: Fault): string =>
  [
    fault.phase,
    formatAction(fault.action),
    fault.probability === undefined ? "" : `${rounded(fault.probability * 100)}%`,
    fault.nth === undefined ? "" : `nth=${fault.nth}`,
    fault.count === undefined ? "" : `first=${fault.count}`,
    fault.match?.from === undefined ? "" : `from=${fault.match.from}`,
    fault.match?.to === undefined ? "" : `to=${fault.match.to}`
  ]
    .filter((part) => part !== "")
    .join(":")

type Odds = Omit<Fault, "phase" | "action">

const parseOdds = (part: string): Odds | string | undefined => {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(part)
  if (percent) {
    const value = Number(percent[1])
    return value <= 100 ? { probability: rounded(value / 100) } : `${part} is more than 100%`
  }
  const named = /^(nth|first|count|from|to)=(.*)$/.exec(part)
  if (!named) return undefined
  const [, name, value] = named as unknown as [string, string, string]
  if (name === "from" || name === "to") return { match: { [name]: value } }
  if (!/^[1-9]\d*$/.test(value)) return `${name} takes a whole number from 1`
  return name === "nth" ? { nth: Number(value) } : { count: Number(value) }
}

const parseAction = (text: string): Action | string => {
  const coded = /^(\d+)(?:\s+(.*))?$/.exec(text)
  if (coded) {
    const code = Number(coded[1])
    return code >= 200 && code <= 599 ? reply(code, coded[2]) : `${coded[1]} is no reply code`
  }
  const [name, value] = splitOnce(text, "=")
  switch (name) {
    case "drop":
    case "reset":
    case "hang":
    case "garbage":
      return value === undefined ? { type: name } : `${name} takes no value`
    case "partial":
      if (value === undefined || value === "hang") return { type: "partial", end: "hang" }
      return value === "close" ? { type: "partial", end: "close" } : "partial takes hang or close"
    case "delay":
    case "drip": {
      const ms = parseMillis(value ?? "")
      return ms === undefined ? `${name} takes a time, as in ${name}=200ms` : { type: name, ms }
    }
    case "lie":
      return value && /^[A-Za-z0-9-]+$/.test(value)
        ? { type: "lie", keyword: value.toUpperCase() }
        : "lie takes an EHLO keyword, as in lie=CHUNKING"
    default:
      return text === "" ? "an action is missing" : `"${text}" is no action`
  }
}

const formatAction = (action: Action): string => {
  switch (action.type) {
    case "reply":
      return action.text === "" ? String(action.code) : `${action.code} ${action.text}`
    case "delay":
    case "drip":
      return `${action.type}=${action.ms}ms`
    case "partial":
      return action.end === "hang" ? "partial" : "partial=close"
    case "lie":
      return `lie=${action.keyword}`
    default:
      return action.type
  }
}

const unitMillis: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000 }

const parseMillis = (text: string): number | undefined => {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text)
  return parts ? Number(parts[1]) * unitMillis[parts[2] ?? "ms"]! : undefined
}

/** Without the last digits, which the change between percent and share blurs. */
const rounded = (value: number): number => Number(value.toPrecision(12))

const splitOnce = (text: string, separator: string): [string, string | undefined] => {
  const at = text.indexOf(separator)
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}
