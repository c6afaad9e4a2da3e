/**
 * Reports what screening found about recipients: counted, added to the delivery log, and printed if it is a warning.
 */
import * as Effect from "effect/Effect"
import type * as Screening from "mailrace/Screening"
import { type DroppedEntry, type MailEntry, placeOf } from "../input/Entry.ts"
import * as Format from "../text/format.ts"
import * as DeliveryLog from "./DeliveryLog.ts"
import * as Printable from "../text/printable.ts"

export interface Outputs {
  readonly tally: Screening.Tally
  /** Adds a line to the delivery log. */
  readonly record?: ((line: DeliveryLog.Line) => Effect.Effect<void>) | undefined
  readonly log: (line: string) => Effect.Effect<void>
}

/** Reports all findings about an entry. */
export const report = (entry: MailEntry | DroppedEntry, index: number, outputs: Outputs): Effect.Effect<void> =>
  entry.screened === undefined ? Effect.void : reportAll(entry, index, entry.screened.findings, outputs)

const reportAll = Effect.fnUntraced(function* (
  entry: MailEntry | DroppedEntry,
  index: number,
  findings: ReadonlyArray<Screening.Finding>,
  { log, record, tally }: Outputs
) {
  for (const finding of findings) {
    yield* tally.record(finding)
    if (finding.action === "warned") yield* warn(entry, finding, tally, log)
  }
  const line = DeliveryLog.lineDropped(index, entry.mail.id ?? String(index), findings)
  if (record !== undefined && line !== undefined) yield* record(line)
})

/** The most warnings that are printed one by one. */
const maxWarnings = 20

const warn = (
  entry: MailEntry | DroppedEntry,
  { address, detail }: Screening.Finding,
  { counts }: Screening.Tally,
  log: Outputs["log"]
): Effect.Effect<void> => {
  if (counts.roleWarnings > maxWarnings) return Effect.void
  const last = counts.roleWarnings === maxWarnings ? "\nfurther role addresses are counted but not shown" : ""
  return log(`${Printable.line(`${placeOf(entry)}, ${address}: ${detail}`)}; sending to it anyway${last}`)
}

/** The recipients that were dropped, as in `3 suppressed, 1 duplicate`; `undefined` if there are none. */
export const inWords = (counts: Omit<Screening.Counts, "mails" | "invalid">): string | undefined => {
  const parts = [
    [counts.suppressed, `${Format.count(counts.suppressed)} suppressed`],
    [counts.duplicates, Format.plural(counts.duplicates, "duplicate")],
    [counts.roles, Format.plural(counts.roles, "role address", "role addresses")],
    [counts.roleWarnings, `${Format.plural(counts.roleWarnings, "role address", "role addresses")} sent to`]
  ] as const
  const shown = parts.filter(([count]) => count > 0).map(([, text]) => text)
  return shown.length === 0 ? undefined : shown.join(", ")
}
