/**
 * An outbox in SQLite with a million messages: housekeeping, enqueueing by other processes, a drain over many lanes, a
 * purge.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as SqliteStore from "@mailrace/outbox/SqliteStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { MailTransport } from "mailrace/MailTransport"
import type * as Mail from "mailrace/Mail"
import { fork } from "node:child_process"
import type { Batch, MakeContestant } from "../Contestant.ts"
import { takingAll } from "../internal/takingAll.ts"
import { tempFolder, withCopy } from "../internal/tempFolder.ts"
import { timed, type StepClock } from "../internal/timed.ts"

export const make: MakeContestant = async ({ backlog = 1000, contestant, lanes = 1 }) => {
  const folder = tempFolder()
  const path = `${folder.path}/outbox.db`
  const name = contestant.replace("mailrace-outbox-", "")
  const isDueNow = name.endsWith("drain") || name === "purge"
  await Effect.runPromise(
    fill(path, { backlog, lanes, isDueNow, overdue: name === "sweep-overdue" ? backlog / 10 : 0 })
  )
  if (name === "purge") await Effect.runPromise(using(path, Stream.runDrain(Outbox.cancel({}))))
  /** Gives each step the original file; a sweep that finds nothing does not change it. */
  const onFile = <A, E>(use: (path: string) => Effect.Effect<A, E>) =>
    name === "sweep" ? use(path) : withCopy(path, use)
  const step = steps[name]!
  return {
    concurrency: 1,
    leastBatch: 1,
    warmsUp: false,
    send: (batch: Batch) =>
      name.startsWith("beside")
        ? Effect.runPromise(onFile((file) => Effect.promise(() => enqueueBeside(file, batch))))
        : timed(batch, (clock) => onFile((file) => step(file, clock, batch))),
    close: async () => folder.remove()
  }
}

const using = <A, E>(path: string, use: Effect.Effect<A, E, Outbox.Outbox>) =>
  Effect.provide(use, Outbox.layerSqlite(path))

type Step = (path: string, clock: StepClock, batch: Batch) => Effect.Effect<void, unknown>

/** Runs one sweep with all of its steps. */
const sweep: Step = (path, clock) =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* SqliteStore.make({ path })
      const begin = clock.begin()
      for (let done = false; !done;)
        ({ done } = yield* store.sweep({ bodies: 60_000, rows: 2_592_000_000 }, Date.now()))
      clock.end(begin)
    })
  )

const steps: { readonly [name: string]: Step } = {
  sweep,
  "sweep-overdue": sweep,
  drain: (path, clock) =>
    using(
      path,
      Effect.suspend(() => {
        const begin = clock.begin()
        return Effect.map(Effect.provideService(Outbox.run({ until: "idle" }), MailTransport, takingAll), () =>
          clock.end(begin)
        )
      })
    ),
  purge: (path, clock) =>
    using(
      path,
      Effect.suspend(() => {
        const begin = clock.begin()
        return Effect.map(Outbox.purge({}), () => clock.end(begin))
      })
    )
}

/** One caller enqueues a message every few milliseconds while another process dispatches. */
const enqueueBeside = async (path: string, batch: Batch): Promise<void> => {
  const child = fork(new URL("../processes/dispatcher.ts", import.meta.url), [path], { execArgv: ["--no-warnings"] })
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  try {
    const isReady = await Promise.race([
      new Promise<boolean>((resolve) => child.once("message", () => resolve(true))),
      ended.then(() => false)
    ])
    if (!isReady) throw new Error("the dispatcher ended")
    await Effect.runPromise(
      using(
        path,
        Effect.gen(function* () {
          for (let index = batch.first; index < batch.first + batch.count; index++) {
            const begin = performance.now()
            yield* Outbox.enqueue(mailOf(index, 1), { sendAt: new Date(Date.now() + 86_400_000) })
            batch.accepted(performance.now() - begin)
            yield* Effect.sleep(5)
          }
        })
      )
    )
  } finally {
    if (child.connected) child.disconnect()
    await ended
  }
}

const mailOf = (index: number, lanes: number): Mail.Mail => ({
  from: "news@sender.example",
  to: `r${index}@lane${index % lanes}.example`,
  subject: "Hello",
  text: `Number ${index}. ${"The quick brown fox jumps over the lazy dog. ".repeat(8)}`
})

interface Filling {
  readonly backlog: number
  readonly lanes: number
  /** True if the messages are due now; otherwise all of them are due at the same moment tomorrow. */
  readonly isDueNow: boolean
  /** The number of messages that expire at once. */
  readonly overdue: number
}

/** Fills a file and closes it; whether the power fails meanwhile does not matter. */
const fill = (path: string, { backlog, isDueNow, lanes, overdue }: Filling) =>
  Effect.scoped(
    Effect.gen(function* () {
      const outbox = yield* Outbox.make(yield* SqliteStore.make({ path, durability: "normal" }))
      const sendAt = isDueNow ? undefined : new Date(Date.now() + 86_400_000)
      const mails = Stream.map(Stream.range(0, backlog - 1), (index) => mailOf(index, lanes))
      yield* Stream.runDrain(
        outbox.enqueueAll(mails, (_, index) =>
          index < overdue ? { expiresAt: new Date(Date.now() + 50) } : { sendAt }
        )
      )
    })
  )
