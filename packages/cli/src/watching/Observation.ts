/**
 * Observes what `mailrace top` shows: runs by the addresses of their `--metrics`, an outbox, or both.
 */
import type { Entry, Stats } from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"
import * as BoundedText from "../internal/boundedText.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import { RunStatus } from "../results/RunStatus.ts"
import * as RunsAsOne from "./RunsAsOne.ts"

/** The observation of one moment. */
export interface Observation {
  /** In milliseconds since 1970. */
  readonly at: number
  readonly runs: ReadonlyArray<RunNow>
  /** The runs as one; `undefined` if none has answered. */
  readonly run: RunStatus | undefined
  readonly outbox: OutboxNow | undefined
  /** The sources that gave no answer, and why. */
  readonly failures: ReadonlyArray<CommandError>
}

/** A run at one moment. */
export interface RunNow {
  /** As `http://127.0.0.1:9464`. */
  readonly url: string
  /** Its last answer. */
  readonly status: RunStatus | undefined
  /** False if it gave no answer this time. */
  readonly answers: boolean
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
  /** The addresses of the runs' metrics. Defaults to none if an outbox is named, else to `http://127.0.0.1:9464`. */
  readonly urls: ReadonlyArray<string>
}

/** Opens the sources for as long as the scope lasts. */
export const open = Effect.fnUntraced(function* ({ urls, ...location }: Options) {
  const isOutboxNamed =
    location.db !== undefined ||
    location.postgres !== undefined ||
    (urls.length === 0 && (yield* OutboxLocation.isInEnvironment))
  const outbox = isOutboxNamed ? yield* OutboxLocation.open(location, { create: false }) : undefined
  const named = urls.length === 0 && !isOutboxNamed ? [usualUrl] : urls
  const origins = [...new Set((yield* Effect.forEach(named, parse)).map(({ origin }) => origin))]
  const runs = origins.length > 2 ? [`${origins.length} runs`] : origins
  const title = [...runs, ...(outbox === undefined ? [] : [outbox.name])].join(" and ")
  const observe = Effect.gen(function* () {
    const answers = yield* Effect.forEach(origins, (url) => Effect.result(statusOf(url)), { concurrency: "unbounded" })
    const stored = outbox === undefined ? undefined : yield* Effect.result(stateOf(outbox))
    return observation({
      at: yield* Clock.currentTimeMillis,
      runs: answers.map((answer, index) => ({
        url: origins[index]!,
        status: Result.getOrUndefined(answer),
        answers: Result.isSuccess(answer)
      })),
      outbox: stored && Result.getOrUndefined(stored),
      failures: [stored, ...answers].flatMap(failuresOf)
    })
  })
  return { title, outbox, observe } satisfies Sources
})

/** An observation with the runs as one. A run that does not answer counts with its totals, but not with its current state. */
export const observation = (seen: Omit<Observation, "run">): Observation => ({
  ...seen,
  run: RunsAsOne.combine(
    seen.runs.flatMap(({ answers, status }) =>
      status === undefined ? [] : [answers || seen.runs.length === 1 ? status : RunsAsOne.silent(status)]
    )
  )
})

/** An observation in which a source that does not answer keeps its last answer. */
export const after = (before: Observation, now: Observation): Observation =>
  observation({
    ...now,
    runs: now.runs.map((run, index) => (run.answers ? run : { ...run, status: before.runs[index]?.status })),
    outbox: now.outbox ?? before.outbox
  })

/** Why watching makes no sense: the outbox, or each of the runs, gave no answer. */
export const failureOf = ({ failures, runs }: Observation): CommandError | undefined => {
  const silent = runs.filter(({ answers }) => !answers).length
  return silent < runs.length && silent === failures.length ? undefined : failures[0]
}

/** The address that the documentation uses for `--metrics`. */
const usualUrl = "http://127.0.0.1:9464"

/** The most messages of an outbox whose errors are counted. */
const mostErrors = 500

/** How long a run has time to answer, in milliseconds. */
const answerMs = 5_000

/** The longest answer that is read, in bytes; a run's is bounded in itself, but another server may answer without end. */
const mostBytes = 4 << 20

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

const statusOf = Effect.fnUntraced(function* (origin: string) {
  const text = yield* Effect.tryPromise({
    try: async (signal) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMs)])
      const response = await fetch(`${origin}/status`, { signal: limit })
      return response.ok ? await BoundedText.read(response, mostBytes) : undefined
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
