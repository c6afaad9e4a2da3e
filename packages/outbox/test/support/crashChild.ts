/**
 * A process to be killed: enqueues mails as fast as it can, sends what is due to an SMTP server, and appends to a file
 * the Message-ID of each mail whose enqueue has returned.
 *
 * Its argument is JSON: where the outbox is, the server's port, and what it does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { openSync, writeSync } from "node:fs"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Outbox from "../../src/Outbox.ts"

/** What the process is told. */
export interface Instructions {
  readonly store:
    | { readonly _tag: "Sqlite"; readonly path: string }
    | { readonly _tag: "Postgres"; readonly host: string; readonly port: number; readonly username: string }
  readonly smtpPort: number
  /** Begins each recipient's name, so that every process has its own. */
  readonly name: string
  /** How many mails to enqueue; `null` for no end. */
  readonly mails: number | null
  readonly dispatch: boolean
  readonly maxCrashes?: number
  /** The file that the Message-IDs are appended to. */
  readonly log: string
}

const { dispatch, log, mails, maxCrashes, name, smtpPort, store } = JSON.parse(process.argv[2]!) as Instructions

const file = openSync(log, "a")

const outbox =
  store._tag === "Sqlite"
    ? Outbox.layerSqlite(store.path)
    : Outbox.layerPostgres({
        host: store.host,
        port: store.port,
        database: "postgres",
        username: store.username,
        heartbeat: "100 millis"
      })

const program = Effect.gen(function* () {
  const enqueue = Stream.range(1, mails ?? Number.MAX_SAFE_INTEGER).pipe(
    Stream.map((i) => ({
      from: "shop@example.com",
      to: `${name}-${i}@lane${i % 7}.test`,
      subject: "An order",
      text: `This is mail ${i} of ${name}.`
    })),
    Outbox.enqueueAll(),
    Stream.runForEach((receipt) =>
      Effect.sync(() => {
        if (receipt._tag === "Receipt") writeSync(file, `${receipt.messageId}\n`)
      })
    )
  )
  yield* Effect.all([enqueue, dispatch ? Outbox.run({ concurrency: 20, maxCrashes }) : Effect.void], {
    concurrency: "unbounded"
  })
})

const relay = SmtpTransport.layer({ host: "127.0.0.1", port: smtpPort })

await Effect.runPromise(Effect.provide(program, Layer.merge(outbox, relay)))
