/**
 * Opens the outbox that the options or the environment name.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as OutboxError from "@mailrace/outbox/OutboxError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { CommandError } from "../CommandError.ts"
import * as Remedy from "../Remedy.ts"
import { readSecret } from "../internal/environment.ts"
import * as FileMode from "./FileMode.ts"
import * as OwnershipTimes from "./OwnershipTimes.ts"

/** An outbox, as the commands use it. */
export type Service = Outbox.Outbox["Service"]

/** The location of the outbox. */
export interface Options {
  /** A SQLite file. Defaults to MAILRACE_OUTBOX in the environment. */
  readonly db?: string | undefined
  /** The URL of a PostgreSQL database. Defaults to MAILRACE_OUTBOX_POSTGRES in the environment. */
  readonly postgres?: Redacted.Redacted<string> | undefined
}

/** Opens the outbox that the options name. Unless `create`, a missing file is an error: it was misspelt. */
export const open = Effect.fnUntraced(function* (
  options: Options & FileMode.Options & OwnershipTimes.Options,
  { create }: { readonly create: boolean }
) {
  const place = yield* resolve(options)
  if (place._tag === "Postgres") {
    if (options.mode !== undefined) yield* FileMode.withoutFile
    yield* mustBeUrl(place.url)
    return yield* build(Outbox.layerPostgres({ url: place.url, ...(yield* OwnershipTimes.parse(options)) }))
  }
  yield* OwnershipTimes.withoutDatabase(options)
  if (!create) yield* mustExist(place.path)
  return yield* openFile(place.path, options)
})

/** Opens a file, and creates it if it does not exist. */
export const openFile = Effect.fnUntraced(function* (path: string, { mode }: FileMode.Options) {
  yield* mustLast(path)
  const options = { mode: mode === undefined ? undefined : yield* FileMode.parse(mode) }
  return yield* build(Outbox.layerSqlite(path, options))
})

/** An error of the outbox as an error of the command. */
export const toCommandError = ({ reason, remedy }: OutboxError.OutboxError): CommandError =>
  new CommandError({ problem: reason.message, remedy: Remedy.inFlags(remedy) })

/** Turns the outbox's errors into the command's. */
export const asCommandErrors = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, OutboxError.OutboxError> | CommandError, R> =>
  Effect.mapError(effect, (error) =>
    OutboxError.isOutboxError(error) ? toCommandError(error) : (error as Exclude<E, OutboxError.OutboxError>)
  )

type OutboxLocation =
  | { readonly _tag: "File"; readonly path: string }
  | { readonly _tag: "Postgres"; readonly url: Redacted.Redacted<string> }

const inEnvironment = Effect.gen(function* () {
  const path = yield* readSecret("MAILRACE_OUTBOX")
  const url = yield* readSecret("MAILRACE_OUTBOX_POSTGRES")
  return yield* choose(path && Redacted.value(path), url, "MAILRACE_OUTBOX and MAILRACE_OUTBOX_POSTGRES are both set")
})

/** True if the environment names an outbox. */
export const isInEnvironment = Effect.map(
  Effect.suspend(() => inEnvironment),
  (place) => place !== undefined
)

const resolve = Effect.fnUntraced(function* ({ db, postgres }: Options) {
  const named = yield* choose(db, postgres, "--db and --postgres are both given")
  if (named !== undefined) return named
  return (
    (yield* inEnvironment) ??
    (yield* new CommandError({ problem: "no outbox is named", remedy: "pass --db outbox.db, or set MAILRACE_OUTBOX" }))
  )
})

const choose = (
  path: string | undefined,
  url: Redacted.Redacted<string> | undefined,
  problem: string
): Effect.Effect<OutboxLocation | undefined, CommandError> => {
  if (path !== undefined && url !== undefined) {
    return Effect.fail(new CommandError({ problem, remedy: "name one of them with --db or --postgres" }))
  }
  if (path !== undefined) return Effect.succeed({ _tag: "File", path })
  return Effect.succeed(url === undefined ? undefined : { _tag: "Postgres", url })
}

const build = (layer: Layer.Layer<Outbox.Outbox, OutboxError.OutboxError>) =>
  asCommandErrors(Effect.map(Layer.build(layer), (context) => Context.get(context, Outbox.Outbox)))

/** The error does not quote the URL, which may hold a password. */
const mustBeUrl = Effect.fnUntraced(function* (url: Redacted.Redacted<string>) {
  const text = Redacted.value(url)
  if (!URL.canParse(text) || !/^postgres(ql)?:$/.test(new URL(text).protocol)) {
    return yield* new CommandError({
      problem: "the URL of the PostgreSQL database is not valid",
      remedy: "write it as postgres://user@host:5432/database, and percent-encode characters that a URL cannot hold"
    })
  }
})

/** SQLite takes these two for databases of its own that end with the process. */
const mustLast = Effect.fnUntraced(function* (path: string) {
  if (path !== "" && path !== ":memory:") return
  return yield* new CommandError({
    problem:
      path === ""
        ? "the path of the outbox is empty"
        : "an outbox in memory ends with this command, and its messages with it",
    remedy: "name a file, such as outbox.db"
  })
})

const mustExist = Effect.fnUntraced(function* (path: string) {
  yield* mustLast(path)
  const exists = yield* Effect.orElseSucceed((yield* FileSystem.FileSystem).exists(path), () => true)
  if (!exists) {
    return yield* new CommandError({
      problem: `${path} does not exist`,
      remedy: `check the path; mailrace outbox enqueue --db ${path} creates it`
    })
  }
})
