/**
 * A server that takes mail and throws it away (or into a directory), as `mailrace sink` runs it: a `TestServer` with
 * defaults for throughput, counts to show while it runs, and an end after this many messages.
 *
 * Nothing here prints. `snapshots` gives a line's worth of figures at each interval.
 *
 * @example
 * ```ts
 * import * as Sink from "@mailrace/testing/Sink"
 * import * as Effect from "effect/Effect"
 *
 * // Takes 1,000 messages on port 2525, refuses a tenth of the recipients for now, and ends.
 * export const program = Sink.run({ port: 2525, count: 1000, faults: ["rcpt:450:10%"] }).pipe(
 *   Effect.map((snapshot) => snapshot.messages)
 * )
 * ```
 *
 * @since 0.1.0
 */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Digest from "./Digest.ts"
import * as TestServer from "./TestServer.ts"

/**
 * Options of a sink; every one may be left out.
 *
 * @since 0.1.0
 */
export interface Options extends Omit<TestServer.Options, "mailbox"> {
  /** Done after this many messages. Runs until interrupted by default. */
  readonly count?: number | undefined
  /** Write each message to a file in this directory, which is made when missing. They are discarded by default. */
  readonly directory?: string | undefined
  /** Keep the digest of what is discarded (see `Digest`); costs about half a microsecond a message. Defaults to false. */
  readonly digest?: boolean | undefined
}

/**
 * The figures at one moment.
 *
 * @since 0.1.0
 */
export interface Snapshot extends TestServer.Stats {
  /** Since the sink started, in milliseconds. */
  readonly elapsedMs: number
  /** Messages a second, from the first message to this moment. */
  readonly ratePerSecond: number
  /** Messages a second since the snapshot before; the same as `ratePerSecond` in a snapshot taken alone. */
  readonly currentPerSecond: number
}

/**
 * A running sink.
 *
 * @since 0.1.0
 */
export interface Sink {
  readonly host: string
  readonly port: number
  /** The certificate in use, when `tls` is on. */
  readonly tls: TestServer.TlsIdentity | undefined
  /** The figures now. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** The figures at each interval (100 ms when left out), the last ones when `count` is reached. */
  readonly snapshots: (interval?: Duration.Input | undefined) => Stream.Stream<Snapshot>
  /**
   * Completes when `count` messages were taken and answered, with the figures of that moment; never without a `count`.
   * Senders then have up to two seconds to say goodbye.
   */
  readonly done: Effect.Effect<Snapshot>
  /** Digest over what was taken; only counts and sizes unless `digest` was asked for. */
  readonly digest: Effect.Effect<Digest.Digest>
  /** Violations by clients, up to 10,000. */
  readonly protocolErrors: Effect.Effect<ReadonlyArray<TestServer.ProtocolError>>
}

/**
 * Starts a sink that ends with the scope. Fails when its port is taken or its directory cannot be made.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<Sink, TestServer.StartError, Scope.Scope> {
  const { count, directory, digest, ...others } = options
  const server = yield* TestServer.start({
    checkContent: false,
    transcript: false,
    ...others,
    mailbox: directory === undefined ? { type: "discard", digest } : { type: "directory", path: directory }
  })
  const startedAt = performance.now()
  // The clock of the rate starts with the first message, or waiting for a sender would count against it.
  let firstAt = startedAt
  yield* Effect.forkScoped(
    Effect.map(server.awaitMessages(1), () => {
      firstAt = performance.now()
    }),
    { startImmediately: true }
  )
  const take = (before?: Snapshot | undefined): Snapshot => {
    const now = performance.now()
    const stats = server.stats
    const ratePerSecond = perSecond(stats.messages, now - firstAt)
    const elapsedMs = now - startedAt
    return {
      ...stats,
      elapsedMs,
      ratePerSecond,
      currentPerSecond:
        before === undefined ? ratePerSecond : perSecond(stats.messages - before.messages, elapsedMs - before.elapsedMs)
    }
  }
  const snapshot = Effect.sync(() => take())
  const reached =
    count === undefined
      ? Effect.never
      : Effect.andThen(
          server.until((stats) => stats.messages >= count),
          snapshot
        )
  // Ending at once would tear the last replies from senders that still wait for them.
  const done = Effect.tap(reached, () => Effect.timeoutOption(server.awaitIdle, closingTime))
  return {
    host: server.host,
    port: server.port,
    tls: server.tls,
    snapshot,
    snapshots: (interval = 100) => snapshots(take, Schedule.spaced(interval), reached),
    done,
    digest: Effect.sync(() => server.digest),
    protocolErrors: Effect.sync(() => server.protocolErrors)
  }
})

/** A snapshot at each interval until `reached`, and one at the end. */
const snapshots = (
  take: (before?: Snapshot | undefined) => Snapshot,
  interval: Schedule.Schedule<unknown>,
  reached: Effect.Effect<unknown>
): Stream.Stream<Snapshot> =>
  Stream.suspend(() => {
    let before: Snapshot | undefined
    const next = Effect.sync(() => (before = take(before)))
    return Stream.fromEffectSchedule(next, interval).pipe(
      Stream.interruptWhen(reached),
      Stream.concat(Stream.fromEffect(next))
    )
  })

/**
 * Runs a sink until `count` messages were taken, or for ever; gives the last figures.
 *
 * @since 0.1.0
 */
export const run = (options: Options = {}): Effect.Effect<Snapshot, TestServer.StartError> =>
  Effect.scoped(Effect.flatMap(make(options), (sink) => sink.done))

const closingTime = "2 seconds"

const perSecond = (messages: number, ms: number): number => (ms > 0 ? (messages / ms) * 1000 : 0)
