/**
 * The progress display: two lines that are redrawn on a terminal, or a plain line now and then elsewhere. It goes to
 * standard error, because standard output is for data.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as EffectTerminal from "effect/Terminal"
import * as Format from "../text/format.ts"
import { fit, plain } from "./PaintedLine.ts"
import * as LogLines from "./LogLines.ts"
import * as Printable from "../text/printable.ts"
import * as Screen from "./Screen.ts"
import * as Terminal from "./Terminal.ts"
import type { Log } from "./Terminal.ts"
import type { Outcome } from "../results/Tally.ts"

/** `auto` draws on a terminal and is plain elsewhere. */
export type Mode = "auto" | "plain" | "none"

/** A run at one moment. */
export interface Snapshot {
  readonly counts: Readonly<Record<Outcome, number>>
  /** Messages that are not sent because all their recipients were dropped. */
  readonly dropped: number
  /** Messages that have ended. */
  readonly done: number
  /** How many messages there will be, if that can be estimated. */
  readonly expected: number | undefined
  /** True if `expected` is known and not estimated. */
  readonly isExact: boolean
  readonly retries: number
  readonly p99Ms: number
  readonly connections: number
  /** The waits of messages, with their reasons. */
  readonly waitsFor?: string | undefined
  /** How long limits held messages back, in milliseconds, by the kind of limit. */
  readonly heldMs?: Readonly<Record<string, number>> | undefined
}

/** A running display. */
export interface Progress {
  /** Prints a line that stays, above the lines that are redrawn. */
  readonly log: Log
  /** Clears the redrawn lines, before the scope closes. */
  readonly end: Effect.Effect<void>
}

/** Displays until the scope closes. */
export const run = Effect.fnUntraced(function* (mode: Mode, snapshot: Effect.Effect<Snapshot>) {
  const log = yield* Terminal.logger
  // Objects are for a program, also where they pass by on a terminal.
  const isTerminal = (yield* LogLines.format) === "text" && (yield* (yield* Stdio.Stdio).stderrIsTerminal)
  const progress: Progress =
    mode === "auto" && isTerminal && process.env["TERM"] !== "dumb"
      ? yield* animate(snapshot, yield* Terminal.pen)
      : { log, end: Effect.void }
  if (mode === "plain" || (mode === "auto" && !isTerminal)) yield* Effect.forkScoped(printLines(snapshot, log))
  return progress
})

/** The data of one frame. */
export interface View {
  readonly snapshot: Snapshot
  readonly ratePerSecond: number
  readonly columns: number
  readonly colors: boolean
}

/** The two lines on a terminal; neither is wider than the terminal. */
export const frame = (view: View): readonly [string, string] => {
  const { snapshot, columns } = view
  const paint = Format.paint(view.colors)
  const width = Math.max(10, columns - 1)
  const counts = fit(
    [
      ...shown(snapshot).map(({ outcome, text }) => [text, paint[colorOf[outcome]](text)] as const),
      ...(snapshot.dropped > 0 ? [plain(droppedOf(snapshot))] : []),
      plain(`p99 ${Format.duration(snapshot.p99Ms)}`),
      plain(Format.plural(snapshot.connections, "connection")),
      ...(snapshot.retries > 0 ? [plain(`${Format.count(snapshot.retries)} retries`)] : []),
      ...(snapshot.waitsFor === undefined ? [] : [plain(waitOf(snapshot.waitsFor))])
    ],
    width
  )
  const facts = [plain(position(snapshot)), plain(`${Format.count(view.ratePerSecond)}/s`)]
  const left = remaining(view)
  if (left !== undefined) facts.push(plain(`${left} left`))
  const fraction = fractionOf(snapshot)
  if (fraction === undefined) return [fit(facts, width), counts]
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5)
  const taken = facts.reduce((sum, [text]) => sum + text.length + 2, percent.length + 2)
  const barWidth = Math.min(40, width - taken)
  if (barWidth < 8) return [fit([plain(percent.trim()), ...facts], width), counts]
  const filled = Math.round(fraction * barWidth)
  const bar = paint.green("█".repeat(filled)) + paint.dim("░".repeat(barWidth - filled))
  return [`${bar}${percent}  ${facts.map(([text]) => text).join("  ")}`, counts]
}

/** The plain line. */
export const line = (snapshot: Snapshot, ratePerSecond: number): string =>
  [
    position(snapshot),
    `${Format.count(ratePerSecond)}/s`,
    ...shown(snapshot).map(({ text }) => text),
    ...(snapshot.dropped > 0 ? [droppedOf(snapshot)] : []),
    `p99 ${Format.duration(snapshot.p99Ms)}`,
    `${Format.count(snapshot.connections)} connections`,
    ...(snapshot.waitsFor === undefined ? [] : [waitOf(snapshot.waitsFor)])
  ].join(", ")

/** The intervals between frames and between plain lines. */
const frameInterval = "100 millis"
const lineInterval = "3 seconds"

const clearFrame = "\r\u001B[J"

const animate = Effect.fnUntraced(function* (
  snapshot: Effect.Effect<Snapshot>,
  write: (text: string) => Effect.Effect<void>
) {
  const terminal = yield* EffectTerminal.Terminal
  const colors = (process.env["NO_COLOR"] ?? "") === ""
  const meter = makeMeter(yield* Clock.Clock)
  let isOver = false
  const draw = Effect.gen(function* () {
    if (isOver) return
    const now = yield* snapshot
    const columns = (yield* terminal.columns) || process.stderr.columns || 80
    const [first, second] = frame({ snapshot: now, ratePerSecond: meter(now.done), columns, colors })
    yield* write(`${clearFrame}${first}\n${second}\r\u001B[1A`)
  })
  const restored = yield* Screen.take({
    fd: 2,
    write,
    take: Screen.hideCursor,
    restore: Screen.showCursor,
    clear: clearFrame
  })
  const end = Effect.suspend(() => {
    isOver = true
    return restored
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(draw, Effect.sleep(frameInterval))))
  const progress: Progress = {
    log: (text) => Effect.andThen(write(`${clearFrame}${Printable.lines(text)}\n`), draw),
    end
  }
  return progress
})

const printLines = (snapshot: Effect.Effect<Snapshot>, log: Log) =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const meter = makeMeter(clock)
    const print = Effect.flatMap(snapshot, (now) => log(line(now, meter(now.done))))
    return Effect.forever(Effect.andThen(Effect.sleep(lineInterval), print))
  })

/** The rate over the last few seconds, smoothed so that it can be read. */
const makeMeter = (clock: Clock.Clock): ((done: number) => number) => {
  let at = clock.currentTimeMillisUnsafe()
  let before = 0
  let rate: number | undefined
  return (done) => {
    const now = clock.currentTimeMillisUnsafe()
    const elapsed = now - at
    if (elapsed >= 90) {
      const current = ((done - before) / elapsed) * 1000
      const weight = 1 - Math.exp(-elapsed / 1000)
      rate = rate === undefined ? current : rate + (current - rate) * weight
      at = now
      before = done
    }
    return rate ?? 0
  }
}

const colorOf: Readonly<Record<Outcome, "green" | "red" | "yellow">> = {
  accepted: "green",
  rejected: "red",
  deferred: "yellow",
  unknown: "yellow",
  invalid: "red"
}

const shown = ({ counts }: Snapshot): ReadonlyArray<{ readonly outcome: Outcome; readonly text: string }> =>
  (["accepted", "rejected", "deferred", "unknown", "invalid"] as const)
    .filter((outcome) => outcome !== "invalid" || counts.invalid > 0)
    .map((outcome) => ({ outcome, text: `${outcome} ${Format.count(counts[outcome])}` }))

const droppedOf = ({ dropped }: Snapshot): string => `dropped ${Format.count(dropped)}`

const waitOf = (waitsFor: string): string => `waits for ${Printable.line(waitsFor)}`

const position = ({ done, expected, isExact }: Snapshot): string =>
  expected === undefined
    ? `${Format.count(done)} done`
    : `${Format.count(done)} of ${isExact ? "" : "about "}${Format.count(Math.max(done, expected))}`

const fractionOf = ({ done, expected }: Snapshot): number | undefined =>
  expected === undefined || expected === 0 ? undefined : Math.min(1, done / expected)

const remaining = ({ snapshot, ratePerSecond }: View): string | undefined => {
  if (snapshot.expected === undefined || ratePerSecond < 0.01) return undefined
  const seconds = Math.ceil(Math.max(0, snapshot.expected - snapshot.done) / ratePerSecond)
  return seconds < 60 ? `${seconds} s` : Format.duration(seconds * 1000)
}
