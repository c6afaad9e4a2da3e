/**
 * Dispatchers in processes of their own that share one outbox and one SMTP server, and an account of what arrived.
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestServer from "@mailrace/testing/TestServer"
import { spawn } from "node:child_process"
import { getCompileCacheDir } from "node:module"
import { fileURLToPath } from "node:url"
import * as Outbox from "../../src/Outbox.ts"
import { mail } from "./fixtures.ts"
import type { FleetInstructions } from "./fleetChild.ts"
import { connect, place, schema } from "./freshPostgres.ts"
import { counted } from "./messageIds.ts"
import type { PostgresServer } from "./postgresServer.ts"

/** How the dispatchers own. */
export interface Settings {
  readonly concurrency: number
  readonly heartbeatMs: number
  readonly leaseMs: number
  /** Limits that all share. Defaults to none. */
  readonly rate?: ReadonlyArray<string> | undefined
}

/** A dispatcher in a process of its own. */
export interface Dispatcher {
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Sends SIGTERM and waits for the end. */
  readonly leave: Effect.Effect<void>
  /** Sends SIGKILL and waits for the end. */
  readonly kill: Effect.Effect<void>
}

/** What arrived of what was enqueued. */
export interface Account {
  readonly enqueued: number
  readonly lost: number
  readonly twice: number
}

const program = fileURLToPath(new URL("./fleetChild.ts", import.meta.url))

/** An outbox of its own on a server, and an SMTP server for all. */
export const make = (server: PostgresServer, settings: Settings) =>
  Effect.gen(function* () {
    const name = yield* schema(server)
    const relay = yield* TestServer.make({
      checkContent: false,
      latency: "10 millis",
      mailbox: { type: "keep", maxMessages: 1_000_000 }
    })
    const open = Effect.map(Layer.build(Outbox.layerPostgres(place(server, name))), (context) =>
      Context.get(context, Outbox.Outbox)
    )
    const outbox = yield* open
    const accepted = new Set<string>()
    let next = 0

    const start = (applicationName: string) =>
      Effect.acquireRelease(
        Effect.sync((): Dispatcher => {
          const instructions: FleetInstructions = {
            host: server.host,
            port: server.port,
            username: name,
            applicationName,
            smtpPort: relay.port,
            ...settings
          }
          const child = spawn(process.execPath, [program, JSON.stringify(instructions)], {
            stdio: ["ignore", "ignore", process.env["MAILRACE_FLEET_SHOW"] === "1" ? "inherit" : "ignore"],
            env: { ...process.env, NODE_OPTIONS: "", NODE_COMPILE_CACHE: getCompileCacheDir() }
          })
          const ended = Effect.promise(
            () =>
              new Promise<void>((resolve) =>
                child.exitCode === null && child.signalCode === null ? child.once("close", () => resolve()) : resolve()
              )
          )
          const signal = (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal))
          return {
            signal,
            leave: Effect.andThen(signal("SIGTERM"), ended),
            kill: Effect.andThen(signal("SIGKILL"), ended)
          }
        }),
        ({ kill }) => kill
      )

    /** Enqueues so many, over forty lanes. */
    const enqueue = (count: number) =>
      Stream.range(1, count).pipe(
        Stream.map(() => mail(`x${++next}@lane${next % 40}.test`)),
        outbox.enqueueAll,
        Stream.runForEach((receipt) =>
          Effect.sync(() => {
            if (receipt._tag === "Receipt") accepted.add(receipt.messageId)
          })
        )
      )

    /** Keeps enqueueing a little while something else runs. */
    const underLoad = <A, E, R>(effect: Effect.Effect<A, E, R>, perSecond: number) =>
      Effect.gen(function* () {
        const load = yield* Effect.forkChild(
          Effect.forever(Effect.andThen(enqueue(Math.ceil(perSecond / 10)), Effect.sleep("100 millis")))
        )
        const result = yield* effect
        yield* Fiber.interrupt(load)
        return result
      })

    const client: PgClient = yield* connect(server, name)

    /** Waits until so many dispatchers own all buckets among them. */
    const owners = (count: number) =>
      client
        .unsafe<{ owners: number; free: number }>(
          `SELECT count(DISTINCT owner)::int4 AS owners, count(*) FILTER (WHERE owner IS NULL)::int4 AS free
           FROM mailrace_bucket`
        )
        .pipe(
          Effect.filterOrFail(
            ([row]) => row!.owners === count && row!.free === 0,
            () => "not yet"
          ),
          Effect.retry(Schedule.spaced("20 millis"))
        )

    /** Waits until so many dispatchers have said that they are there. */
    const present = (count: number) =>
      client
        .unsafe<{ present: number }>(
          `SELECT count(*)::int4 AS present FROM mailrace_dispatcher
           WHERE beat_at + 2 * ${settings.heartbeatMs} > extract(epoch FROM clock_timestamp()) * 1000`
        )
        .pipe(
          Effect.filterOrFail(
            ([row]) => row!.present >= count,
            () => "not yet"
          ),
          Effect.retry(Schedule.spaced("10 millis"))
        )

    const acceptedNow = Effect.retry(
      Effect.map(outbox.stats, ({ states }) => states.accepted),
      Schedule.spaced("20 millis")
    )

    /** Waits until something more is sent. */
    const moves = Effect.flatMap(acceptedNow, (before) =>
      Effect.retry(
        Effect.filterOrFail(
          acceptedNow,
          (now) => now > before,
          () => "not yet"
        ),
        Schedule.spaced("20 millis")
      )
    )

    /** Waits until nothing is left to send. */
    const drained = outbox.stats.pipe(
      Effect.filterOrFail(
        ({ states }) => states.due === 0 && states.claimed === 0,
        () => "not yet"
      ),
      Effect.retry(Schedule.spaced("50 millis")),
      Effect.orDie
    )

    const account = Effect.map(drained, (): Account => {
      const arrived = counted(relay.messages)
      return {
        enqueued: accepted.size,
        lost: [...accepted].filter((id) => !arrived.has(id)).length,
        twice: [...arrived.values()].reduce((sum, count) => sum + count - 1, 0)
      }
    })

    /** Ends the sessions of one dispatcher, as a firewall or a fail-over does. */
    const cut = (applicationName: string) =>
      client.unsafe("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1::text", [
        applicationName
      ])

    return { relay, outbox, start, enqueue, underLoad, owners, present, moves, drained, account, cut }
  })
