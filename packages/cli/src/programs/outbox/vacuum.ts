/**
 * The program of `mailrace outbox vacuum`: makes the file smaller.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as Format from "../../text/format.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as Printable from "../../text/printable.ts"

/** Which outbox, and how the result is printed. */
export interface Options extends OutboxLocation.Options {
  readonly json: boolean
}

/** Gives back the space of deleted messages, and reports progress now and then. */
export const run = Effect.fnUntraced(
  function* (options: Options) {
    const outbox = yield* OutboxLocation.open(options, { create: false })
    const before = yield* outbox.occupancy
    let after = before
    let toldAt = yield* Clock.currentTimeMillis
    yield* Stream.runForEach(outbox.vacuum, (occupancy) =>
      Effect.gen(function* () {
        after = occupancy
        const now = yield* Clock.currentTimeMillis
        if (now - toldAt < tellEvery || !after.free) return
        toldAt = now
        yield* Terminal.log(`given back ${Format.bytes(before.total - after.total)}, ${Format.bytes(after.free)} to go`)
      })
    )
    if (options.json) return yield* Terminal.print(`${Printable.json({ before: before.total, after: after.total })}\n`)
    yield* Terminal.print(
      after.free === undefined
        ? `${outbox.name}: new messages reuse the space of deleted ones; its tables take ${Format.bytes(after.total)}\n`
        : `${outbox.name}: ${Format.bytes(before.total)} before, ${Format.bytes(after.total)} now\n`
    )
    if (after.free === undefined) {
      yield* Terminal.log("VACUUM FULL makes tables smaller, but locks them while it runs")
    }
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

/** In milliseconds. */
const tellEvery = 2000
