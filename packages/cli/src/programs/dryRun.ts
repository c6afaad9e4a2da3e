/**
 * The program of `mailrace send --dry-run`: reads and composes every message as for sending, shows some, and sends none.
 *
 * It ends with what receivers would hold against the messages. Files and streams inside a message are read to their end, so that what would fail when it is sent fails here.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import type * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import * as MailError from "mailrace/MailError"
import * as Preview from "mailrace/Preview"
import * as Screening from "mailrace/Screening"
import { type CommandError, ExitStatus } from "../CommandError.ts"
import { BadLines } from "../input/BadLines.ts"
import { describeInvalid, type Entry, type MailEntry, placeOf, sourceOf } from "../input/Entry.ts"
import * as Input from "../input/Input.ts"
import { Interrupts, stoppedStatus } from "../Interrupts.ts"
import { keepApart, unwritable } from "../internal/files.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as FindingsView from "../output/FindingsView.ts"
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"
import * as Terminal from "../output/Terminal.ts"
import { MessageFindings } from "../results/MessageFindings.ts"
import * as Configuration from "../sending/Configuration.ts"
import * as ScreeningNotes from "../output/ScreeningNotes.ts"
import * as Signing from "../sending/Signing.ts"

/** The options: the input, and the messages to show. */
export interface Options extends Input.Options, Configuration.Options, Signing.Options {
  readonly onBadLine?: "skip" | "abort" | undefined
  /** How many messages to show. Defaults to none. */
  readonly preview?: number | undefined
  /** The folder that shown messages are written to. */
  readonly previewDir: string
}

/** Composes the input's messages. */
export const run = Effect.fnUntraced(function* (given: Options) {
  const options = yield* Configuration.read(given)
  const log = yield* Terminal.logger
  const sign = yield* Signing.resolve(options)
  const { preview, previewDir } = options
  if (preview !== undefined) yield* keepApart({ "--input": options.input }, { "--preview-dir": previewDir })
  const warnings: Array<string> = []
  const input = yield* Input.open({ ...options, onWarning: (warning) => warnings.push(warning) })
  const checker = new Checker(
    sign ?? Signing.composeWith(yield* Composer),
    new BadLines({ onBadLine: options.onBadLine, log, word: "bad" }),
    log,
    preview === undefined ? undefined : { count: preview, show: yield* openFolder(previewDir) }
  )
  const interrupts = yield* Interrupts
  let isStopped = false
  const stop = Effect.tap(interrupts.first, () => Effect.sync(() => (isStopped = true)))
  yield* input.entries.pipe(
    Stream.interruptWhen(stop),
    Stream.runForEach((entry) => checker.check(entry)),
    Effect.provideService(AttachmentsFrom, input.attachmentsFrom)
  )
  for (const warning of warnings) yield* log(warning)
  yield* Terminal.print(checker.summary)
  const { findings } = checker
  yield* Terminal.print(FindingsView.renderShort(findings.all, findings.checked, yield* Terminal.style))
  if (checker.total === 0) yield* log(Conclusion.nothingToSend(checker.dropped))
  if (isStopped) return yield* new ExitStatus({ status: stoppedStatus })
  if (checker.composed < checker.total) return yield* new ExitStatus({ status: 1 })
})

/** The first messages, and how each is shown. */
interface Shown {
  readonly count: number
  readonly show: (message: Composed.Composed, number: number) => Effect.Effect<void, MailError.MailError | CommandError>
}

/** Composes messages and counts them. */
class Checker {
  /** Messages and bad lines, without messages that were dropped. */
  total = 0
  composed = 0
  /** The objections that receivers would have to the messages. */
  readonly findings = new MessageFindings()
  private read = 0
  private bytes = 0
  private readonly screening = Screening.makeTally()
  private readonly compose: Signing.Sign
  private readonly badLines: BadLines
  private readonly log: Terminal.Log
  private readonly shown: Shown | undefined

  constructor(compose: Signing.Sign, badLines: BadLines, log: Terminal.Log, shown: Shown | undefined) {
    this.compose = compose
    this.badLines = badLines
    this.log = log
    this.shown = shown
  }

  readonly check = (entry: Entry) =>
    Effect.gen({ self: this }, function* () {
      const index = this.read++
      if (entry._tag !== "BadEntry") {
        yield* ScreeningNotes.report(entry, index, { tally: this.screening, log: this.log })
      }
      if (entry._tag === "DroppedEntry") return
      this.total++
      if (entry._tag === "BadEntry") return yield* this.badLines.entry(entry, index)
      yield* Effect.catchIf(this.composeWhole(entry), MailError.isMailError, (error) =>
        this.badLines.message(describeInvalid(entry, error))
      )
    })

  private readonly composeWhole = (entry: MailEntry) =>
    Effect.gen({ self: this }, function* () {
      const message = yield* this.compose(sourceOf(entry))
      if (this.shown !== undefined && this.composed < this.shown.count) {
        yield* this.shown.show(message, this.composed + 1)
      } else if (!(message.content instanceof Uint8Array)) yield* Stream.runDrain(message.content.stream)
      yield* this.findings.check(message, placeOf(entry))
      this.composed++
      this.bytes += message.size
    })

  /** Messages of which every recipient was dropped. */
  get dropped(): number {
    return this.screening.counts.mails
  }

  get summary(): string {
    const recipients = ScreeningNotes.inWords(this.screening.counts)
    const dropped =
      recipients === undefined ? "" : `${Format.plural(this.dropped, "message")} dropped; recipients: ${recipients}\n`
    return `${dropped}${Format.count(this.composed)} of ${Format.count(this.total)} messages composed, ${Format.bytes(this.bytes)}; nothing was sent\n`
  }
}

/** Returns a function that writes a message into the folder and prints it for a reader. */
const openFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const print = yield* Terminal.printer
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), (error) => unwritable(folder, error))
  return Effect.fnUntraced(function* (message: Composed.Composed, number: number) {
    const file = path.join(folder, `${number}.eml`)
    const { content } = message
    const bytes = content instanceof Uint8Array ? Stream.succeed(content) : content.stream
    yield* Stream.run(bytes, fs.sink(file, { mode: 0o600 })).pipe(
      Effect.mapError((error) => (MailError.isMailError(error) ? error : unwritable(file, error)))
    )
    const text = Preview.format(yield* Preview.make(message))
    yield* print(`── ${Printable.line(file)}\n${text}\n\n`)
  })
})
