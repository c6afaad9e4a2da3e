/**
 * What screening found about recipients, as a run tells it: counted, written down, and said where it is a warning.
 */
import * as Effect from "effect/Effect"
import type * as Screening from "mailrace/Screening"
import { type DroppedEntry, type MailEntry, placeOf } from "../input/Entry.ts"
import * as Format from "../output/format.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Printable from "../output/printable.ts"

/** Where findings go. */
export interface Places {
  readonly tally: Screening.Tally
  readonly note?: ((line: DeliveryLog.Line) => Effect.Effect<void>) | undefined
  readonly say: (text: string) => Effect.Effect<void>
}

/** Tells of all that was found in an entry. */
export const tell = (entry: MailEntry | DroppedEntry, index: number, places: Places): Effect.Effect<void> =>
  entry.screened === undefined ? Effect.void : tellAll(entry, index, entry.screened.findings, places)

const tellAll = Effect.fnUntraced(function* (
  entry: MailEntry | DroppedEntry,
  index: number,
  findings: ReadonlyArray<Screening.Finding>,
  { note, say, tally }: Places
) {
  for (const finding of findings) {
    yield* tally.record(finding)
    if (finding.action === "warned") yield* warn(entry, finding, tally, say)
  }
  const line = DeliveryLog.lineDropped(index, entry.mail.id ?? String(index), findings)
  if (note !== undefined && line !== undefined) yield* note(line)
})

/** The most warnings that are said one by one. */
const maxWarnings = 20

const warn = (
  entry: MailEntry | DroppedEntry,
  { address, detail }: Screening.Finding,
  { counts }: Screening.Tally,
  say: Places["say"]
): Effect.Effect<void> => {
  if (counts.roleWarnings > maxWarnings) return Effect.void
  const last = counts.roleWarnings === maxWarnings ? "\nfurther addresses of roles are only counted" : ""
  return say(`${Printable.line(`${placeOf(entry)}, ${address}: ${detail}`)}; it is sent to${last}`)
}

/** What was left out, in words, as in `3 suppressed, 1 duplicate`; `undefined` when nothing was. */
export const inWords = (counts: Omit<Screening.Counts, "mails" | "invalid">): string | undefined => {
  const parts = [
    [counts.suppressed, `${Format.count(counts.suppressed)} suppressed`],
    [counts.duplicates, Format.plural(counts.duplicates, "duplicate")],
    [counts.roles, Format.plural(counts.roles, "role address", "role addresses")],
    [counts.roleWarnings, `${Format.plural(counts.roleWarnings, "role address", "role addresses")} sent to`]
  ] as const
  const said = parts.filter(([count]) => count > 0).map(([, text]) => text)
  return said.length === 0 ? undefined : said.join(", ")
}
