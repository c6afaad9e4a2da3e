/**
 * The program of `mailrace top`: shows runs and their outbox, again and again on a terminal and once elsewhere.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as EffectTerminal from "effect/Terminal"
import { CommandError } from "../CommandError.ts"
import { Interrupts } from "../Interrupts.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import * as Printable from "../text/printable.ts"
import * as Screen from "../output/Screen.ts"
import * as StatsView from "../output/StatsView.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Times from "../text/Times.ts"
import * as TopView from "../output/TopView.ts"
import * as Observation from "../watching/Observation.ts"

/** Where to look, and how often. */
export interface Options extends Observation.Options {
  /** The time between two looks, as `2s`. Defaults to two seconds. */
  readonly interval?: string | undefined
  readonly sort: TopView.Sort
  /** Looks once. */
  readonly once: boolean
  readonly json: boolean
}

/** Shows what is going on. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const intervalMs = yield* Effect.fromResult(Times.parseInterval(options.interval ?? "2s")).pipe(
    Effect.mapError(
      (problem) => new CommandError({ problem: `--interval: ${problem}`, remedy: "write it as 500ms or 2s" })
    )
  )
  const sources = yield* Observation.open(options)
  const first = yield* sources.observe
  const failure = Observation.failureOf(first)
  if (failure !== undefined) return yield* failure
  if (options.json) return yield* Terminal.print(`${Printable.json(toJson(first))}\n`)
  const { canAnimate } = yield* TerminalCapabilities.TerminalCapabilities
  if (options.once || !canAnimate) {
    const scene: TopView.Scene = {
      title: sources.title,
      observation: first,
      rates: TopView.rates(first, undefined),
      sort: options.sort,
      style: yield* Terminal.style
    }
    return yield* Terminal.print(
      TopView.render(scene)
        .map((line) => `${line}\n`)
        .join("")
    )
  }
  yield* watch(new Board(sources, first, options.sort), intervalMs)
}, Effect.scoped)

const toJson = ({ at, outbox, run, runs }: Observation.Observation) => ({
  at: new Date(at),
  run: run ?? null,
  runs: runs.map(({ status, url }) => ({ url, run: status ?? null })),
  outbox: outbox === undefined ? null : { ...StatsView.toJson(outbox.name, outbox.stats), errors: outbox.errors }
})

/** The state of the screen, and of what keys change. */
class Board {
  readonly sources: Observation.Sources
  private observation: Observation.Observation
  private rates: TopView.Rates
  private sort: TopView.Sort
  private selected: string | undefined
  private notice: string | undefined
  /** For how many more looks the notice stands there in place of the keys. */
  private noticeLooks = 0
  /** True once the user wants to leave. */
  isOver = false

  constructor(sources: Observation.Sources, first: Observation.Observation, sort: TopView.Sort) {
    this.sources = sources
    this.observation = first
    this.rates = TopView.rates(first, undefined)
    this.sort = sort
  }

  /** The result of a look. A source that does not answer now keeps its last answer. */
  see(now: Observation.Observation): void {
    if (--this.noticeLooks < 0) this.notice = undefined
    const observation = Observation.after(this.observation, now)
    this.rates = TopView.rates(observation, this.observation)
    this.observation = observation
  }

  /** Carries out a key. */
  press(name: string): Effect.Effect<void> {
    this.notice = undefined
    switch (name) {
      case "q":
      case "escape":
        this.isOver = true
        return Effect.void
      case "s":
        this.sort = TopView.sorts[(TopView.sorts.indexOf(this.sort) + 1) % TopView.sorts.length]!
        return Effect.void
      case "up":
      case "k":
        return this.move(-1)
      case "down":
      case "j":
        return this.move(1)
      case "p":
        return this.change("paused", (outbox, lane) => outbox.pause(lane))
      case "r":
        return this.change("resumed", (outbox, lane) => outbox.resume(lane))
      default:
        return Effect.void
    }
  }

  /** The lines of the picture on a terminal of this size. */
  lines({ columns, rows }: EffectTerminal.Size, colors: boolean): ReadonlyArray<string> {
    return TopView.render({
      title: this.sources.title,
      observation: this.observation,
      rates: this.rates,
      sort: this.sort,
      style: { colors, columns: columns || usualSize.columns },
      screen: {
        rows: rows || usualSize.rows,
        selected: this.selection,
        notice: this.notice,
        canPause: this.sources.outbox !== undefined
      }
    })
  }

  /** The lane that was chosen, or the first one; none if there are no lanes. */
  private get selection(): string | undefined {
    const lanes = this.lanes
    return lanes.includes(this.selected ?? "") && this.selected !== undefined ? this.selected : lanes[0]
  }

  private get lanes(): ReadonlyArray<string> {
    return TopView.laneRows(this.observation, this.sort).map(({ lane }) => lane)
  }

  private move(by: number): Effect.Effect<void> {
    const { lanes, selection } = this
    const at = selection === undefined ? -1 : lanes.indexOf(selection)
    this.selected = lanes[Math.max(0, Math.min(lanes.length - 1, at + by))]
    return Effect.void
  }

  private announce(notice: string): void {
    this.notice = notice
    this.noticeLooks = 2
  }

  private change(
    done: string,
    apply: (outbox: OutboxLocation.Service, lane: string) => ReturnType<OutboxLocation.Service["pause"]>
  ): Effect.Effect<void> {
    const { selection: lane, sources } = this
    if (sources.outbox === undefined) {
      this.announce("lanes are paused in the outbox: name it with --db FILE or --postgres URL")
      return Effect.void
    }
    if (lane === undefined) return Effect.void
    // The choice stays on the lane, wherever it moves to.
    this.selected = lane
    return OutboxLocation.asCommandErrors(apply(sources.outbox, lane)).pipe(
      Effect.match({
        onSuccess: () => `${StatsView.laneName(lane)}: ${done}`,
        onFailure: ({ message }) => message
      }),
      Effect.tap((notice) => Effect.sync(() => this.announce(notice))),
      Effect.andThen(sources.observe),
      Effect.map((now) => this.see(now))
    )
  }
}

/** For a terminal that does not report its size. */
const usualSize: EffectTerminal.Size = { columns: 80, rows: 24 }

/** The share of the time that looks may take: counting the lanes of a large outbox is work for its database. */
const looksShare = 0.1

type Event =
  | { readonly _tag: "Key"; readonly name: string }
  | { readonly _tag: "Resized"; readonly size: EffectTerminal.Size }
  | { readonly _tag: "Seen"; readonly observation: Observation.Observation }
  | { readonly _tag: "Quit" }

/** Draws until the user leaves. */
const watch = Effect.fnUntraced(function* (board: Board, intervalMs: number) {
  const terminal = yield* EffectTerminal.Terminal
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const write = yield* Terminal.canvas
  const sizes = yield* terminal.size
  yield* Screen.take({ fd: 1, write, ...Screen.fullScreen })
  let restMs = intervalMs
  const look = Effect.gen(function* () {
    yield* Effect.sleep(restMs)
    const [took, observation] = yield* Effect.timed(board.sources.observe)
    restMs = Math.max(intervalMs, Duration.toMillis(took) / looksShare)
    return { _tag: "Seen", observation } satisfies Event
  })
  const { first: interrupted } = yield* Interrupts
  const events: Stream.Stream<Event> = Stream.mergeAll(
    [
      Stream.map(Stream.fromQueue(sizes), (size): Event => ({ _tag: "Resized", size })),
      Stream.fromEffectRepeat(look),
      yield* keys(terminal),
      Stream.fromEffect(Effect.as(interrupted, { _tag: "Quit" } satisfies Event))
    ],
    { concurrency: "unbounded" }
  )
  let size = usualSize
  const handle = (event: Event): Effect.Effect<void> => {
    if (event._tag === "Key") return board.press(event.name)
    return Effect.sync(() => {
      if (event._tag === "Resized") size = event.size
      else if (event._tag === "Seen") board.see(event.observation)
      else board.isOver = true
    })
  }
  const draw = Effect.suspend(() => (board.isOver ? Effect.void : write(Screen.picture(board.lines(size, canColor)))))
  yield* events.pipe(
    Stream.tap((event) => Effect.andThen(handle(event), draw)),
    Stream.takeUntil(() => board.isOver),
    Stream.runDrain
  )
})

/** The keys that are pressed; Ctrl-C and Ctrl-D leave, because the terminal gives them as keys now. */
const keys = Effect.fnUntraced(function* (terminal: EffectTerminal.Terminal) {
  // Without a keyboard a signal leaves.
  if (!(yield* (yield* Stdio.Stdio).stdinIsTerminal)) return Stream.empty
  const pressed = yield* terminal.readInput
  return Stream.fromQueue(pressed).pipe(
    Stream.map(({ input, key }): Event => ({ _tag: "Key", name: key.name || Option.getOrElse(input, () => "") })),
    Stream.concat(Stream.succeed<Event>({ _tag: "Quit" }))
  )
})
