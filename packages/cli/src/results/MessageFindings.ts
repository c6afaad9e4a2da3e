/**
 * Receivers' objections to the messages of an input, with their counts.
 */
import * as Preflight from "@mailrace/preflight/Preflight"
import * as Effect from "effect/Effect"
import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import * as Remedy from "../Remedy.ts"

/** The messages that are looked at, from the first one on; those of one campaign are alike. */
const maxChecked = 1_000

/** The most different findings that are kept. */
const maxKept = 200

/** A finding that messages share. */
export interface Counted extends Preflight.Finding {
  /** The number of messages concerned. */
  readonly count: number
  /** The first of them, as in `line 3`. */
  readonly place: string
}

/** Findings of one run. */
export class MessageFindings {
  private readonly options: Preflight.MessageOptions
  private readonly found = new Map<string, Preflight.Finding & { count: number; readonly place: string }>()
  /** How many messages were looked at. */
  checked = 0

  constructor(options: Preflight.MessageOptions = {}) {
    this.options = options
  }

  /** True once this many messages were looked at that further ones are passed over. */
  get isFull(): boolean {
    return this.checked >= maxChecked
  }

  /** Looks at a message, unless enough were looked at before. */
  check(message: Composed.Composed, place: string): Effect.Effect<void, MailError.MailError> {
    if (this.isFull) return Effect.void
    this.checked++
    return Effect.map(Preflight.checkMessage(message, this.options), (findings) => {
      for (const finding of findings) this.add(finding, place)
    })
  }

  /** All of them in the order in which they were first found, with flags in their remedies. */
  get all(): ReadonlyArray<Counted> {
    return [...this.found.values()]
  }

  private add(finding: Preflight.Finding, place: string): void {
    const key = `${finding.rule}\n${finding.verdict}\n${finding.found}`
    const known = this.found.get(key)
    if (known !== undefined) known.count++
    else if (this.found.size < maxKept) this.found.set(key, { ...withFlags(finding), count: 1, place })
  }
}

/** The same finding with the command's flags in its remedy. */
export const withFlags = (finding: Preflight.Finding): Preflight.Finding => ({
  ...finding,
  remedy: finding.remedy === null ? null : Remedy.inFlags(finding.remedy)
})
