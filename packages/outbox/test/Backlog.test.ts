/**
 * A lane or a tenant with a large backlog that must wait, and another one that need not.
 *
 * The suite has some thousands of messages, `MAILRACE_LONG=1` a million in a SQLite file, and measures.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { tempFolder } from "./support/tempFolder.ts"

const isLong = process.env["MAILRACE_LONG"] === "1"

const [backlog, few] = isLong ? [1_000_000, 1_000] : [3_000, 100]

/** A relay that takes 2,000 messages a second, ten at once, and notes when it took which. */
const relayOf = (refuse: (to: string) => MailError.MailError | undefined = () => undefined) => {
  const taken: Array<{ readonly to: string; readonly at: number }> = []
  const transport = MailTransport.of({
    concurrency: 10,
    send: (message: Composed.Composed, options) =>
      Effect.gen(function* () {
        if (options?.gate?.isOpen === false) yield* options.gate.opened
        options?.gate?.begun?.()
        yield* Effect.sleep(5)
        const to = String(message.envelope.to[0])
        const error = refuse(to)
        if (error !== undefined) return yield* Effect.fail(error)
        taken.push({ to, at: performance.now() })
        return ScriptedTransport.taken(message)
      })
  })
  const of = (name: string) => taken.filter(({ to }) => to.startsWith(`${name}@`))
  return { of, taken, transport }
}

const open = (path: string) =>
  Effect.map(Layer.build(Layer.fresh(Outbox.layerSqlite(path))), (context) => Context.get(context, Outbox.Outbox))

const enqueue = (outbox: Outbox.Outbox["Service"], count: number, to: string, tenant: string) =>
  Stream.runDrain(
    outbox.enqueueAll(
      Stream.map(Stream.range(1, count), () => mail(to)),
      { tenant }
    )
  )

/** Sends from an outbox until a condition holds. Gives when it began. */
const sendUntil = (
  outbox: Outbox.Outbox["Service"],
  transport: MailTransport["Service"],
  options: FlowOptions.Options,
  isEnough: () => boolean,
  meanwhile: Effect.Effect<void, unknown> = Effect.void
) =>
  Effect.gen(function* () {
    const flow = Result.getOrThrow(FlowOptions.resolve(options, Date.now()))
    const startedAt = performance.now()
    const running = yield* Effect.forkChild(Effect.provideService(outbox.run({ flow }), MailTransport, transport))
    yield* meanwhile
    while (!isEnough()) yield* Effect.sleep(10)
    yield* Fiber.interrupt(running)
    return startedAt
  })

const perSecond = (times: ReadonlyArray<{ readonly at: number }>): number =>
  (1000 * (times.length - 1)) / (times.at(-1)!.at - times[0]!.at)

describe(`a backlog of ${backlog} messages`, () => {
  it.live(
    "of a lane that must wait does not slow another lane, and that of a tenant does not cost another its turn",
    () =>
      Effect.gen(function* () {
        const folder = yield* tempFolder
        const crowded = yield* open(`${folder}/crowded.db`)
        const empty = yield* open(`${folder}/empty.db`)
        yield* enqueue(crowded, backlog, "held@big.test", "big")

        const throttled = { lanes: { "big.test": { rate: ["20/s"] } } }
        for (const [what, options, refuse] of [
          ["a limit", throttled, () => undefined],
          [
            "the relay's replies",
            {},
            (to: string) => (to.endsWith("big.test") ? ScriptedTransport.throttling() : undefined)
          ]
        ] as const) {
          const shares: Array<number> = []
          for (let round = 0; round < (isLong ? 3 : 1); round++) {
            const rates: Array<number> = []
            for (const outbox of [empty, crowded]) {
              const relay = relayOf(refuse)
              yield* enqueue(outbox, few, "free@few.test", "few")
              yield* sendUntil(outbox, relay.transport, options, () => relay.of("free").length === few)
              rates.push(perSecond(relay.of("free")))
            }
            shares.push(rates[1]! / rates[0]!)
          }
          yield* Effect.logInfo(
            `held by ${what}: ${shares.map((share) => share.toFixed(2)).join(", ")} of its rate alone`
          )
          if (isLong) assert.isAtLeast(shares.sort((a, b) => a - b)[1]!, 0.9)
        }

        for (const [what, options] of [
          ["held to 100/s", { tenants: { big: { rate: ["100/s"] } } }],
          ["with no limit", { tenants: { big: {}, small: {} } }]
        ] as const) {
          const relay = relayOf()
          let enqueuedAt = 0
          const ten = Effect.gen(function* () {
            while (relay.of("held").length < 20) yield* Effect.sleep(10)
            enqueuedAt = performance.now()
            yield* enqueue(crowded, 10, "small@big.test", "small")
          })
          yield* sendUntil(crowded, relay.transport, options, () => relay.of("small").length === 10, ten)
          const waited = relay.of("small").at(-1)!.at - enqueuedAt
          yield* Effect.logInfo(`ten beside a tenant ${what}: ${Math.round(waited)} ms`)
          assert.isBelow(relay.of("held").length, backlog / 2)
          if (isLong) assert.isAtMost(waited, 1000)
        }
      }).pipe(Effect.scoped),
    600_000
  )
})
