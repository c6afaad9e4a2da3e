/**
 * The program of `mailrace outbox pause` and `resume`.
 */
import * as Effect from "effect/Effect"
import * as Format from "../../text/format.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as Printable from "../../text/printable.ts"

/** Which lanes of which outbox. */
export interface Options extends OutboxLocation.Options {
  readonly lane: ReadonlyArray<string>
}

/** Stops claiming from lanes. */
export const pause = (options: Options) => change(options, "paused", (outbox, lane) => outbox.pause(lane))

/** Continues paused lanes. */
export const resume = (options: Options) => change(options, "resumed", (outbox, lane) => outbox.resume(lane))

const change = Effect.fnUntraced(
  function* (
    options: Options,
    done: string,
    apply: (outbox: OutboxLocation.Service, lane: string) => ReturnType<OutboxLocation.Service["pause"]>
  ) {
    const outbox = yield* OutboxLocation.open(options, { create: false })
    const before = yield* outbox.stats
    for (const lane of new Set(options.lane)) {
      yield* apply(outbox, lane)
      const known = before.lanes.find((one) => one.lane === lane)
      const already = (known?.paused ?? false) === (done === "paused") ? "already " : ""
      if (known === undefined && done === "paused") {
        yield* Terminal.log(`no message waits in ${lane} now; it is paused anyway (check its name)`)
      }
      yield* Terminal.print(
        `${Printable.line(lane)}: ${already && done === "resumed" ? "was not paused" : `${already}${done}`}, ${Format.plural(known?.waiting ?? 0, "message")} waiting\n`
      )
    }
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)
