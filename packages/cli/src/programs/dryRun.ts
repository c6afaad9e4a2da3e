/**
 * What `mailrace send --dry-run` does: reads and composes every message as for sending, shows some, and sends nothing.
 *
 * Files and streams inside a message are read to their end, so that what would fail when it is sent fails here.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import type * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import * as Screening from "mailrace/Screening"
import * as MailError from "mailrace/MailError"
import * as Preview from "mailrace/Preview"
import { CommandError, ExitStatus } from "../CommandError.ts"
import { describe, describeInvalid, type Entry, type MailEntry, sourceOf } from "../input/Entry.ts"
import * as Input from "../input/Input.ts"
import * as Format from "../output/format.ts"
import { keepApart, unwritable } from "../internal/files.ts"
import { Interrupts, stoppedStatus } from "../Interrupts.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as ScreeningNotes from "../sending/ScreeningNotes.ts"
import * as Signing from "../sending/Signing.ts"
import * as Printable from "../output/printable.ts"

/** What is composed, and which messages are shown. */
export interface Options extends Input.Options, Signing.Options {
  readonly onBadLine?: "skip" | "abort" | undefined
  /** How many messages to show. Defaults to none. */
  readonly preview?: number | undefined
  /** The folder that shown messages are written to. */
  readonly previewDir: string
}

/** Composes the input's messages. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const stdio = yield* Stdio.Stdio
  const say = (text: string) => Effect.ignore(Stream.run(Stream.succeed(`${text}\n`), stdio.stderr()))
  const sign = yield* Signing.resolve(options)
  if (options.preview !== undefined)
    yield* keepApart({ "--input": options.input }, { "--preview-dir": options.previewDir })
  const warnings: Array<string> = []
  const input = yield* Input.open({ ...options, onWarning: (warning) => warnings.push(warning) })
  const show = options.preview === undefined ? undefined : yield* openFolder(options.previewDir)
  const interrupts = yield* Interrupts
  const compose = sign ?? Signing.composeWith(yield* Composer)
  const count = { total: 0, read: 0, composed: 0, bytes: 0 }
  const screening = Screening.makeTally()
  let isStopped = false

  const refuse = (problem: string, isFatal: boolean) => {
    if (isFatal) {
      const remedy = "correct it, or pass over bad lines with --on-bad-line skip"
      return Effect.fail(new CommandError({ problem, remedy }))
    }
    const refused = count.total - count.composed
    if (refused > maxWarnings) return Effect.void
    return say(`bad ${Printable.line(problem)}${refused === maxWarnings ? "\nfurther bad lines are only counted" : ""}`)
  }

  const take = Effect.fnUntraced(function* (entry: MailEntry) {
    const message = yield* compose(sourceOf(entry))
    if (show !== undefined && count.composed < options.preview!) yield* show(message, count.composed + 1)
    else if (!(message.content instanceof Uint8Array)) yield* Stream.runDrain(message.content.stream)
    count.composed++
    count.bytes += message.size
  })

  const check = Effect.fnUntraced(function* (entry: Entry) {
    const index = count.read++
    if (entry._tag !== "BadEntry") yield* ScreeningNotes.tell(entry, index, { tally: screening, say })
    if (entry._tag === "DroppedEntry") return
    count.total++
    const isAbort = options.onBadLine === "abort"
    if (entry._tag === "BadEntry") {
      const isWrongFormat = index === 0 && entry.malformed && options.onBadLine === undefined
      return yield* refuse(describe(entry), isAbort || isWrongFormat)
    }
    yield* Effect.catchIf(take(entry), MailError.isMailError, (error) => refuse(describeInvalid(entry, error), isAbort))
  })

  yield* input.entries.pipe(
    Stream.interruptWhen(
      Effect.andThen(
        interrupts.first,
        Effect.sync(() => (isStopped = true))
      )
    ),
    Stream.runForEach(check),
    Effect.provideService(AttachmentsFrom, input.attachmentsFrom)
  )
  for (const warning of warnings) yield* say(warning)
  const { mails: dropped } = screening.counts
  const left = ScreeningNotes.inWords(screening.counts)
  if (left !== undefined) yield* Conclusion.print(`${Format.plural(dropped, "message")} dropped; recipients: ${left}\n`)
  yield* Conclusion.print(
    `${Format.count(count.composed)} of ${Format.count(count.total)} messages composed, ${Format.bytes(count.bytes)}; nothing was sent\n`
  )
  if (count.total === 0) yield* say(Conclusion.nothingToSend(dropped))
  if (isStopped) return yield* new ExitStatus({ status: stoppedStatus })
  if (count.composed < count.total) return yield* new ExitStatus({ status: 1 })
})

/** The most bad lines that are complained about one by one. */
const maxWarnings = 20

/** Writes a message into the folder and prints it for a reader. */
const openFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const stdio = yield* Stdio.Stdio
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), (error) => unwritable(folder, error))
  return Effect.fnUntraced(function* (message: Composed.Composed, number: number) {
    const file = path.join(folder, `${number}.eml`)
    const { content } = message
    const bytes = content instanceof Uint8Array ? Stream.succeed(content) : content.stream
    yield* Stream.run(bytes, fs.sink(file, { mode: 0o600 })).pipe(
      Effect.mapError((error) => (MailError.isMailError(error) ? error : unwritable(file, error)))
    )
    const text = Preview.format(yield* Preview.make(message))
    yield* Effect.provideService(Conclusion.print(`── ${Printable.line(file)}\n${text}\n\n`), Stdio.Stdio, stdio)
  })
})
