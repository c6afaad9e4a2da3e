/**
 * Who is left out of an input: those on a suppression list, those who were there before, and addresses of a role.
 *
 * A mail goes on without such recipients; one that has no other is a dropped entry, which is no failure. That an address
 * is one at all is not looked at here: a mail with a wrong one is bad and named as such when it is composed.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Dedupe from "mailrace/Dedupe"
import * as Screening from "mailrace/Screening"
import * as RoleAddress from "mailrace/RoleAddress"
import * as Suppression from "mailrace/Suppression"
import { CommandError } from "../CommandError.ts"
import { unreadable } from "../internal/files.ts"
import * as Utf16 from "../internal/utf16.ts"
import type { Entry, MailEntry } from "./Entry.ts"
import * as Printable from "../output/printable.ts"

/** What the flags say of who is left out. */
export interface Options {
  /** Whether an address gets one mail of the run at most. */
  readonly dedupe?: boolean | undefined
  /** Files with addresses and domains that get none. */
  readonly suppress?: ReadonlyArray<string> | undefined
  /** What becomes of addresses of a role. Defaults to `keep`. */
  readonly roleAddresses?: RoleAddress.Policy | undefined
  /** Told of what is odd but no error. */
  readonly onWarning?: ((warning: string) => void) | undefined
}

/** Reads the lists; gives what leaves people out, `undefined` when nobody is to be left out. */
export const open = Effect.fnUntraced(function* ({
  dedupe,
  onWarning,
  roleAddresses = "keep",
  suppress = []
}: Options) {
  const lists = yield* Effect.forEach(suppress, readList)
  for (const [index, { size }] of lists.entries())
    if (size === 0) onWarning?.(Printable.line(`the suppression list ${suppress[index]} holds nobody`))
  const checks: ReadonlyArray<Screening.Check<Suppression.SuppressionError>> = [
    ...lists.map(suppressedBy),
    ...(roleAddresses === "keep" ? [] : [RoleAddress.check({ policy: roleAddresses })]),
    // Last, so that who gets no mail for another reason does not count as having had one.
    ...(dedupe === true ? [Dedupe.check()] : [])
  ]
  if (checks.length === 0) return undefined
  return (entries: Stream.Stream<Entry, CommandError>): Stream.Stream<Entry, CommandError> =>
    Stream.unwrap(
      Effect.map(Screening.makeScreener(checks, { invalid: "keep" }), (screen) =>
        Stream.mapAccumArrayEffect(
          entries,
          () => undefined,
          (_, chunk) => Effect.map(screenChunk(chunk, screen), (screened) => [undefined, screened] as const)
        )
      )
    ).pipe(Stream.mapError((error) => (error instanceof CommandError ? error : unasked(error))))
})

/** A list in memory. */
const readList = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(fs.stat(file), (error) => unreadable(file, error))
  // A pipe, as of `<(psql …)`, is read at one go.
  const bytes = info.type === "File" ? fs.stream(file) : Stream.fromEffect(fs.readFile(file))
  const lines = bytes.pipe(Utf16.toUtf8(file), Stream.decodeText(), Stream.splitLines)
  const context = yield* Effect.mapError(Effect.scoped(Layer.build(Suppression.layerLines(lines))), (error) =>
    error._tag === "PlatformError"
      ? unreadable(file, error)
      : error._tag === "CommandError"
        ? error
        : new CommandError({ problem: `${file}, line ${error.line}: ${error.problem}`, remedy: error.remedy })
  )
  return Context.get(context, Suppression.Suppression)
})

const suppressedBy = (list: Suppression.Suppression["Service"]): Screening.Check<Suppression.SuppressionError> => ({
  ...Suppression.check,
  start: Effect.provideService(Suppression.check.start, Suppression.Suppression, list)
})

const screenChunk = <E>(chunk: ReadonlyArray<Entry>, screen: Screening.Screener<E>): Effect.Effect<Array<Entry>, E> => {
  const mails = chunk.filter((entry) => entry._tag === "MailEntry")
  return Effect.map(screen(mails.map(({ mail }) => mail)), (all) => {
    let next = 0
    return chunk.map((entry) => (entry._tag === "MailEntry" ? judged(entry, all[next++]!) : entry))
  })
}

const judged = (entry: MailEntry, { findings, kept }: Screening.Screened<MailEntry["mail"]>): Entry => {
  if (findings.length === 0) return entry
  const screened = { findings, before: entry }
  return kept === undefined
    ? { ...entry, _tag: "DroppedEntry", screened }
    : ({ ...entry, mail: kept, screened } as MailEntry)
}

const unasked = ({ problem, remedy }: Suppression.SuppressionError): CommandError =>
  new CommandError({ problem: `the suppression list cannot be asked: ${problem}`, remedy })
