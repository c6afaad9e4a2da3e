/**
 * Starts dispatchers, each in a process of its own, that share one outbox in PostgreSQL, and reads their state from the
 * database.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Outbox from "@mailrace/outbox/Outbox"
import type { StateCounts } from "@mailrace/outbox/OutboxEntry"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import type * as Mail from "mailrace/Mail"
import * as PostgresServer from "./postgresServer.ts"

/** A dispatcher's process. */
export interface Dispatcher {
  readonly signal: (signal: NodeJS.Signals) => void
  readonly ended: () => Promise<void>
}

/** A server, its outbox, and the dispatchers that were started. */
export interface Fleet {
  readonly start: () => Dispatcher
  readonly restartPostgres: () => Promise<void>
  /** Enqueues this many short messages, over forty lanes. */
  readonly enqueue: (count: number) => Promise<void>
  /** Resolves when this many dispatchers are registered. */
  readonly present: (count: number) => Promise<void>
  /** Resolves when this many dispatchers own all buckets, in shares that differ by one bucket at most. */
  readonly shared: (count: number) => Promise<void>
  /** Resolves when one more message is sent. */
  readonly moves: () => Promise<void>
  /** Resolves when nothing is left to send; fails if a message was not accepted. */
  readonly drained: () => Promise<void>
  /** The number of transactions that the outbox's database has counted. */
  readonly transactions: () => Promise<number>
  readonly close: () => Promise<void>
}

const program = new URL("../processes/fleetDispatcher.ts", import.meta.url)

const poll = 20

/** Starts a server with an empty outbox and no dispatchers. */
export const make = async (): Promise<Fleet> => {
  const server = await PostgresServer.start()
  const place = { host: server.host, port: server.port, username: "postgres" }
  // Connects to another database, so that its queries do not count among the transactions of the outbox.
  const onlooker = PgClient.layer({ ...place, database: "template1", maxConnections: 1 })
  const runtime = ManagedRuntime.make(Layer.merge(onlooker, Outbox.layerPostgres({ ...place, database: "postgres" })))
  const within = ManagedRuntime.make(PgClient.layer({ ...place, database: "postgres", maxConnections: 1 }))
  const children = new Set<ChildProcess>()
  let mails = 0

  const start = (): Dispatcher => {
    const child = fork(program, [server.host, String(server.port)], { execArgv: ["--no-warnings"], stdio: "ignore" })
    const gone = once(child, "exit")
    children.add(child)
    void gone.then(() => children.delete(child))
    return { signal: (signal) => void child.kill(signal), ended: () => gone.then(() => {}) }
  }

  const enqueue = async (count: number): Promise<void> => {
    const first = mails
    mails += count
    const added = Stream.map(Stream.range(first, mails - 1), mailOf)
    await runtime.runPromise(Stream.runDrain(Outbox.enqueueAll(added)))
  }
  const stats = () => runtime.runPromise(Outbox.stats)

  // Opens the outbox, which makes its tables.
  await stats()

  return {
    start,
    restartPostgres: server.restart,
    enqueue,
    ...ownershipIn((sql) =>
      within.runPromise(Effect.flatMap(PgClient.PgClient, (client) => client.unsafe<any>(sql))).then(([first]) => first)
    ),
    ...progressOf(
      async () => (await stats()).states,
      () => mails
    ),
    transactions: () =>
      runtime.runPromise(
        Effect.map(
          Effect.flatMap(PgClient.PgClient, (client) =>
            client.unsafe<{ readonly transactions: number }>(
              `SELECT (xact_commit + xact_rollback)::int4 AS transactions FROM pg_stat_database WHERE datname = 'postgres'`
            )
          ),
          ([first]) => first!.transactions
        )
      ),
    close: async () => {
      for (const child of children) child.kill("SIGKILL")
      await runtime.dispose()
      await within.dispose()
      await server.close()
    }
  }
}

/** Repeats `ask` until it resolves to true; the server may be away meanwhile. */
const until = async (ask: () => Promise<boolean>): Promise<void> => {
  while (!(await ask().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, poll))
}

/** Waits for dispatchers and their shares; `row` returns the first row of a statement. */
const ownershipIn = (row: <Row extends object>(sql: string) => Promise<Row>): Pick<Fleet, "present" | "shared"> => ({
  present: (count) =>
    until(async () => {
      const { present } = await row<{ present: number }>(
        `SELECT count(*)::int4 AS present FROM mailrace_dispatcher
         WHERE beat_at + 2000 > extract(epoch FROM clock_timestamp()) * 1000`
      )
      return present >= count
    }),
  shared: (count) =>
    until(async () => {
      const { owners, least, most, free } = await row<{
        readonly owners: number
        readonly least: number
        readonly most: number
        readonly free: number
      }>(
        `SELECT count(owner)::int4 AS owners, min(buckets) FILTER (WHERE owner IS NOT NULL)::int4 AS least,
                max(buckets) FILTER (WHERE owner IS NOT NULL)::int4 AS most,
                coalesce(sum(buckets) FILTER (WHERE owner IS NULL), 0)::int4 AS free
         FROM (SELECT owner, count(*) AS buckets FROM mailrace_bucket GROUP BY owner) AS share`
      )
      return owners === count && free === 0 && most - least <= 1
    })
})

/** Waits for progress in sending the `enqueued` messages. */
const progressOf = (states: () => Promise<StateCounts>, enqueued: () => number): Pick<Fleet, "moves" | "drained"> => ({
  moves: async () => {
    let before: number | undefined
    await until(async () => {
      const { accepted } = await states()
      before ??= accepted
      return accepted > before
    })
  },
  drained: async () => {
    let sent = 0
    await until(async () => {
      const { accepted, claimed, due } = await states()
      sent = accepted
      return due === 0 && claimed === 0
    })
    if (sent !== enqueued()) throw new Error(`${sent} of ${enqueued()} messages were accepted`)
  }
})

const mailOf = (index: number): Mail.Mail => ({
  from: "news@sender.example",
  to: `r${index}@lane${index % 40}.example`,
  subject: "Hello",
  text: `Number ${index}.`
})
