/**
 * A line of short facts that is never wider than its room, with colours or without.
 */
import * as Format from "../text/format.ts"

/** A text without colours, whose length counts, and with them. */
export type Painted = readonly [plain: string, painted: string]

/** A text without colours. */
export const plain = (text: string): Painted => [text, text]

/** As many of the texts as fit; the first is cut rather than dropped. */
export const fit = (texts: ReadonlyArray<Painted>, width: number): string => {
  const kept: Array<string> = []
  let used = 0
  for (const [text, painted] of texts) {
    if (kept.length === 0 && text.length > width) return Format.truncate(text, width)
    const needed = text.length + (kept.length === 0 ? 0 : 2)
    if (used + needed > width) break
    kept.push(painted)
    used += needed
  }
  return kept.join("  ")
}
