/**
 * Drops recipients of an input: those on a suppression list, duplicates, and role addresses.
 *
 * A message goes on without such recipients; one that has no other is a dropped entry, which is no failure. Addresses are not
 * validated here: composing refuses a message with an invalid one.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import * as Dedupe from "mailrace/Dedupe"
import * as Screening from "mailrace/Screening"
import * as RoleAddress from "mailrace/RoleAddress"
import * as Suppression from "mailrace/Suppression"
import { CommandError } from "../CommandError.ts"
import type { Entry, MailEntry } from "./Entry.ts"
import * as SuppressionList from "./SuppressionList.ts"

/** The flags that drop recipients. */
export interface Options {
  /** True if an address gets one message of the run at most. */
  readonly dedupe?: boolean | undefined
  /** Files with addresses and domains that get none. */
  readonly suppress?: ReadonlyArray<string> | undefined
  /** Names the place where a list that cannot be read is asked for, in its error. Defaults to the error as it is. */
  readonly onBadList?: ((file: string, error: CommandError) => CommandError) | undefined
  /** The file that this run adds to; as one of `suppress` it may be missing or empty. */
  readonly suppressAdd?: string | undefined
  /** The policy for role addresses. Defaults to `keep`. */
  readonly roleAddresses?: RoleAddress.Policy | undefined
  /** Called with a warning about something odd that is not an error. */
  readonly onWarning?: ((warning: string) => void) | undefined
}

/** Reads the lists and returns the screening; `undefined` if nobody is to be left out. */
export const open = Effect.fnUntraced(function* ({
  dedupe,
  onBadList = (_, error) => error,
  onWarning,
  roleAddresses = "keep",
  suppress = [],
  suppressAdd
}: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const lists: Array<SuppressionList.List> = []
  for (const file of suppress) {
    const isAddedTo = suppressAdd !== undefined && path.resolve(file) === path.resolve(suppressAdd)
    if (isAddedTo && !(yield* Effect.orElseSucceed(fs.exists(file), () => true))) continue
    const list = yield* Effect.mapError(SuppressionList.read(file), (error) => onBadList(file, error))
    if (list.size === 0 && !isAddedTo) onWarning?.(SuppressionList.holdsNobody(file))
    lists.push(list)
  }
  const checks: ReadonlyArray<Screening.Check<Suppression.SuppressionError>> = [
    ...lists.map(suppressedBy),
    ...(roleAddresses === "keep" ? [] : [RoleAddress.check({ policy: roleAddresses })]),
    // Last, so that a recipient dropped for another reason does not count as one who had the message.
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
