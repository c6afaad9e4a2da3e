/**
 * The durable outbox as applications use it, in a SQLite file: it enqueues messages; in the whole contest, a dispatcher in
 * the same process also sends and settles them, over `SmtpTransport`.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { performance } from "node:perf_hooks"
import type { Batch, MakeContestant } from "../Contestant.ts"
import { composedFrom, relayOptions } from "./relay.ts"
import { tempFolder } from "../internal/tempFolder.ts"

export const make: MakeContestant = async (spec, messages) => {
  const folder = tempFolder()
  const concurrency = spec.concurrency ?? 256
  const mail = composedFrom(messages)
  const outbox = Outbox.layerSqlite({
    path: `${folder.path}/outbox.db`,
    durability: spec.contestant.endsWith("-normal") ? "normal" : "full",
    ...(spec.contestant.endsWith("-alone") ? { mailsPerCommit: 1 } : {}),
    ...(spec.contestant.endsWith("-plain") ? { compressAbove: Number.POSITIVE_INFINITY } : {})
  })
  const transport = SmtpTransport.layer({
    ...relayOptions(spec, "auto"),
    minConnections: spec.connections,
    maxConnections: spec.connections
  })
  const enqueue = (batch: Batch, done: (begin: number) => void) => {
    const timed = (index: number) =>
      Effect.suspend(() => {
        const begin = performance.now()
        return Effect.map(Outbox.enqueue(mail(index)), () => done(begin))
      })
    return Effect.forEach(numbers(batch), timed, { concurrency, discard: true })
  }
  const close = async (runtime: { readonly dispose: () => Promise<void> }) => {
    await runtime.dispose()
    folder.remove()
  }

  if (spec.contestant !== "mailrace-outbox") {
    const runtime = ManagedRuntime.make(outbox)
    await runtime.runPromise(Outbox.Outbox)
    return {
      concurrency,
      send: (batch) => runtime.runPromise(enqueue(batch, (begin) => batch.accepted(performance.now() - begin))),
      close: () => close(runtime)
    }
  }

  const runtime = ManagedRuntime.make(Layer.merge(outbox, transport))
  await runtime.runPromise(Effect.flatMap(SmtpTransport.SmtpTransport, ({ verify }) => verify))
  const send = (batch: Batch): Promise<void> => {
    let isOver = false
    const record = Outbox.run({
      until: () => (isOver ? "empty" : "never"),
      onDelivery: (delivery) =>
        Effect.sync(() => {
          if (delivery._tag === "Accepted") batch.accepted(delivery.durationMs)
          else batch.failed(delivery.error.message)
        })
    })
    const fill = Effect.andThen(
      enqueue(batch, () => {}),
      Effect.sync(() => {
        isOver = true
      })
    )
    return runtime.runPromise(Effect.all([fill, record], { concurrency: "unbounded", discard: true }))
  }
  return { concurrency, send, close: () => close(runtime) }
}

function* numbers(batch: Batch): Generator<number> {
  for (let index = batch.first; index < batch.first + batch.count; index++) yield index
}
