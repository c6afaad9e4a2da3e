/**
 * What `mailrace top` looks at: a run by the address of its `--metrics`, an outbox, or both.
 */
import type { Entry, Stats } from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import { RunStatus } from "../results/RunStatus.ts"

/** What was seen at one moment. */
export interface Observation {
  /** In milliseconds since 1970. */
  readonly at: number
  readonly run: RunStatus | undefined
  readonly outbox: OutboxNow | undefined
  /** What gave no answer, and why. */
  readonly failures: ReadonlyArray<CommandError>
}

/** An outbox at one moment. */
export interface OutboxNow {
  readonly name: string
  readonly stats: Stats
  /** How the messages that wait for another attempt were last answered: the first of them. */
  readonly errors: ReadonlyArray<WaitingError>
}

/** Messages that wait after the same reply. */
export interface WaitingError {
  readonly code: number | undefined
  readonly enhanced: string | undefined
  readonly count: number
}

/** The sources, opened. */
export interface Sources {
  /** Their names in one line. */
  readonly title: string
  readonly outbox: OutboxLocation.Service | undefined
  readonly observe: Effect.Effect<Observation>
}

/** Where to look. */
export interface Options extends OutboxLocation.Options {
  /** The address of a run's metrics. Defaults to none if an outbox is named, else to `http://127.0.0.1:9464`. */
  readonly url?: string | undefined
}

/** Opens the sources for as long as the scope lasts. */
export const open = Effect.fnUntraced(function* ({ url, ...location }: Options) {
  const isOutboxNamed =
    location.db !== undefined ||
    location.postgres !== undefined ||
    (url === undefined && (yield* OutboxLocation.isInEnvironment))
  const outbox = isOutboxNamed ? yield* OutboxLocation.open(location, { create: false }) : undefined
  const base = url === undefined && isOutboxNamed ? undefined : yield* parse(url ?? usualUrl)
  const title = [base?.origin, outbox?.name].filter((name) => name !== undefined).join(" and ")
  const observe = Effect.gen(function* () {
    const run = base === undefined ? undefined : yield* Effect.result(statusOf(base))
    const stored = outbox === undefined ? undefined : yield* Effect.result(stateOf(outbox))
    return {
      at: yield* Clock.currentTimeMillis,
      run: run && Result.getOrUndefined(run),
      outbox: stored && Result.getOrUndefined(stored),
      failures: [...failuresOf(run), ...failuresOf(stored)]
    } satisfies Observation
  })
  return { title, outbox, observe } satisfies Sources
})

/** The address that the documentation uses for `--metrics`. */
const usualUrl = "http://127.0.0.1:9464"

/** The most messages of an outbox whose errors are counted. */
const mostErrors = 500

/** How long a run has time to answer, in milliseconds. */
const answerMs = 5_000

const parse = (text: string): Effect.Effect<URL, CommandError> => {
  const withScheme = text.includes("://") ? text : `http://${text}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  return url === undefined || !/^https?:$/.test(url.protocol)
    ? Effect.fail(
        new CommandError({
          // An address of a database here by mistake may hold a password.
          problem: `${text.includes("@") ? "what is given" : `"${text}"`} is not the address of a run`,
          remedy: "write it as http://127.0.0.1:9464, as the run says it; name an outbox with --db or --postgres"
        })
      )
    : Effect.succeed(url)
}

const statusOf = Effect.fnUntraced(function* ({ origin }: URL) {
  const text = yield* Effect.tryPromise({
    try: async (signal) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMs)])
      const response = await fetch(`${origin}/status`, { signal: limit })
      return response.ok ? await response.text() : undefined
    },
    catch: (cause) =>
      new CommandError({
        problem: `no run answers at ${origin} (${reasonOf(cause)})`,
        remedy:
          "start send or outbox run with --metrics 127.0.0.1:9464, give the address that it says, or name its outbox with --db"
      })
  })
  const status = text === undefined ? undefined : Schema.decodeUnknownOption(Schema.fromJsonString(RunStatus))(text)
  if (status?._tag === "Some") return status.value
  return yield* new CommandError({
    problem: `what answers at ${origin} does not tell of a run`,
    remedy: "give the address of a run with --metrics, of this version of mailrace"
  })
})

const failuresOf = (one: Result.Result<unknown, CommandError> | undefined): ReadonlyArray<CommandError> =>
  one !== undefined && Result.isFailure(one) ? [one.failure] : []

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const { code } = (cause.cause ?? {}) as NodeJS.ErrnoException
  return code ?? cause.message
}

const stateOf = (outbox: OutboxLocation.Service): Effect.Effect<OutboxNow, CommandError> =>
  Effect.gen(function* () {
    const stats = yield* outbox.stats
    const tried = outbox.list({ states: ["due"], attempted: true })
    const errors = groups(yield* Stream.runCollect(Stream.take(tried, mostErrors)))
    return { name: outbox.name, stats, errors }
  }).pipe(OutboxLocation.asCommandErrors)

const groups = (entries: ReadonlyArray<Entry>): ReadonlyArray<WaitingError> => {
  const byReply = new Map<string, { code: number | undefined; enhanced: string | undefined; count: number }>()
  for (const { lastCode, lastEnhanced } of entries) {
    const key = `${lastCode} ${lastEnhanced}`
    const group = byReply.get(key)
    if (group === undefined) byReply.set(key, { code: lastCode, enhanced: lastEnhanced, count: 1 })
    else group.count++
  }
  return [...byReply.values()].sort((a, b) => b.count - a.count)
}
