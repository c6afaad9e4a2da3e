/**
 * What to ask the system's resolver about a relay's name, and when.
 *
 * One question for both families comes first: its answer is in the order that the system prefers (RFC 6724, `gai.conf`), and
 * it costs one of the few threads that Node has for names. But such a question waits for the slower of A and AAAA, and some
 * systems fail it if one of them fails. So where it fails, or has no answer after a tenth of a second, each family is asked for alone, and
 * the first answer is enough to begin (RFC 8305 §3). Later answers join.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 */

/** A question: both families together, or one of them. */
export type Family = 0 | 4 | 6

/** How long the question for both families is alone, in milliseconds. */
const apartAfterMs = 100

/** What to ask the resolver, and when. */
export class NameQuestions {
  private readonly begunAt: number
  private readonly limitMs: number
  private readonly asked = new Set<Family>()
  private readonly codes = new Map<Family, string | undefined>()
  private isFound = false

  /** `limitMs` is how long answers are waited for. */
  constructor(begunAt: number, limitMs: number) {
    this.begunAt = begunAt
    this.limitMs = limitMs
  }

  /** The questions to ask now. Each is given once. */
  due(now: number): ReadonlyArray<Family> {
    if (this.isOver(now)) return []
    const isApart = this.mustBeApart(now)
    const questions = (isApart ? [0, 4, 6] : [0]).filter((family) => !this.asked.has(family as Family))
    for (const family of questions) this.asked.add(family as Family)
    return questions as ReadonlyArray<Family>
  }

  /** How long until `due` or `isOver` may change by themselves, in milliseconds. */
  changesIn(now: number): number {
    if (this.isOver(now)) return Number.POSITIVE_INFINITY
    const at = this.begunAt + (this.asked.has(4) ? this.limitMs : Math.min(apartAfterMs, this.limitMs))
    return Math.max(0, at - now)
  }

  /** A question has an answer with addresses in it. */
  answered(family: Family): void {
    this.codes.set(family, undefined)
    this.isFound = true
  }

  /** A question has no answer, for the reason that Node's error code says. */
  failed(family: Family, code: string): void {
    // On some systems the absence of one family has a code of its own.
    this.codes.set(family, code === "EAI_ADDRFAMILY" || code === "EAI_NODATA" ? absent : code)
  }

  /** True if no further answer is worth waiting for. */
  isOver(now: number): boolean {
    if (now - this.begunAt >= this.limitMs) return true
    if (this.codes.has(0) && (this.codes.get(0) === undefined || this.isAbsent(0))) return true
    return this.codes.has(4) && this.codes.has(6) && (this.codes.has(0) || (this.isAbsent(4) && this.isAbsent(6)))
  }

  /** Why the name has no addresses, as Node's error code; `TIMEOUT` when there was no answer in time. */
  failure(now: number): string | undefined {
    if (this.isFound || !this.isOver(now)) return undefined
    const codes = [...this.codes.values()].filter((code) => code !== undefined)
    if (now - this.begunAt >= this.limitMs) return "TIMEOUT"
    // The absence of one family says nothing about the family that could not be asked for.
    return codes.find((code) => code !== absent) ?? absent
  }

  private mustBeApart(now: number): boolean {
    return (this.codes.has(0) && this.codes.get(0) !== undefined) || now - this.begunAt >= apartAfterMs
  }

  private isAbsent(family: Family): boolean {
    return this.codes.get(family) === absent
  }
}

/** Node's code for a name without addresses (of that family). */
const absent = "ENOTFOUND"
