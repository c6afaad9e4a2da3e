/**
 * The program of `mailrace outbox export`: writes messages to files or standard output.
 */
import type { Entry } from "@mailrace/outbox/OutboxEntry"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import type * as Mail from "mailrace/Mail"
import type { Sendable } from "mailrace/Mailer"
import { CommandError, ExitStatus } from "../../CommandError.ts"
import * as Printable from "../../text/printable.ts"
import { unwritable } from "../../internal/files.ts"
import * as Format from "../../text/format.ts"
import * as MailSelection from "../../outbox/MailSelection.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"

/** Which messages are written, in which format, and to where. */
export interface Options extends OutboxLocation.Options, MailSelection.Options {
  readonly id: ReadonlyArray<string>
  readonly format?: "ndjson" | "eml" | undefined
  /** A file for NDJSON, a folder for `.eml`. Defaults to standard output. */
  readonly output?: string | undefined
}

export const run = Effect.fnUntraced(
  function* (options: Options) {
    const format = options.format ?? (options.output === undefined || isFileOfLines(options.output) ? "ndjson" : "eml")
    const selection = yield* MailSelection.read(options, options.id)
    const outbox = yield* OutboxLocation.open(options, { create: false })
    yield* MailSelection.requireKnownIds(outbox, options.id)
    const mails = MailSelection.mails(outbox, selection)
    const { left, written } = yield* format === "ndjson"
      ? exportLines(outbox, mails, options.output)
      : options.output === undefined
        ? exportOne(outbox, mails)
        : exportFiles(outbox, mails, options.output)
    for (const [why, count] of left) yield* Terminal.log(`not written: ${Format.plural(count, "message")} (${why})`)
    const where = options.output === undefined ? "" : ` to ${options.output}`
    if (options.output !== undefined || written === 0)
      yield* Terminal.log(`${Format.plural(written, "message")} written${where}`)
    if (left.size > 0) return yield* new ExitStatus({ status: 1 })
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

type Mails = ReturnType<typeof MailSelection.mails>

/** The number of written messages, and why others were not written. */
class Tally {
  written = 0
  readonly left = new Map<string, number>()

  leave(why: string): undefined {
    this.left.set(why, (this.left.get(why) ?? 0) + 1)
  }
}

interface Kept {
  readonly entry: Entry
  readonly mail: Sendable
}

/** Each message with its body. */
const kept = (outbox: OutboxLocation.Service, mails: Mails, tally: Tally) =>
  mails.pipe(
    Stream.mapEffect((entry) =>
      Effect.map(outbox.get(entry.id), (details): ReadonlyArray<Kept> => {
        if (details?.mail !== undefined) return [{ entry: details.entry, mail: details.mail }]
        tally.leave("the body is gone")
        return []
      })
    ),
    Stream.flattenIterable
  )

const exportLines = Effect.fnUntraced(function* (
  outbox: OutboxLocation.Service,
  mails: Mails,
  file: string | undefined
) {
  const tally = new Tally()
  const lines = kept(outbox, mails, tally).pipe(
    Stream.map(({ mail }) => {
      if (Composed.isComposed(mail)) {
        tally.leave("it was enqueued as an .eml and cannot be a line; see --format eml")
        return ""
      }
      tally.written++
      return `${Printable.json(toLine(mail))}\n`
    })
  )
  if (file === undefined) yield* Terminal.write(lines)
  else {
    const fs = yield* FileSystem.FileSystem
    yield* Stream.run(
      Stream.map(lines, (line) => Buffer.from(line)),
      Sink.mapError(fs.sink(file, { mode: 0o600 }), (error) => unwritable(file, error))
    )
  }
  return tally
})

/** A message as `mailrace send` reads it. */
const toLine = (mail: Mail.Mail): object => ({
  ...mail,
  attachments: mail.attachments?.map((attachment) =>
    attachment.content instanceof Uint8Array
      ? { ...attachment, content: Buffer.from(attachment.content).toString("base64"), encoding: "base64" }
      : attachment
  )
})

const exportFiles = Effect.fnUntraced(function* (outbox: OutboxLocation.Service, mails: Mails, folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const tally = new Tally()
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), (error) => unwritable(folder, error))
  yield* Stream.runForEach(
    kept(outbox, mails, tally),
    Effect.fnUntraced(function* (one) {
      const bytes = yield* compose(one, tally)
      if (bytes === undefined) return
      const file = path.join(folder, `${one.entry.id}.eml`)
      yield* Effect.mapError(fs.writeFile(file, bytes, { mode: 0o600 }), (error) => unwritable(file, error))
      tally.written++
    })
  )
  return tally
})

const exportOne = Effect.fnUntraced(function* (outbox: OutboxLocation.Service, mails: Mails) {
  const tally = new Tally()
  const found = yield* Stream.runCollect(Stream.take(kept(outbox, mails, tally), 2))
  if (found.length > 1) {
    return yield* new CommandError({
      problem: "standard output holds one .eml, but several messages are selected",
      remedy: "give a folder with --output, or the id of one message"
    })
  }
  for (const one of found) {
    const bytes = yield* compose(one, tally)
    if (bytes === undefined) continue
    yield* Terminal.printBytes(bytes)
    tally.written++
  }
  return tally
})

/** The message's bytes as they are sent; `undefined` if it cannot be composed. */
const compose = Effect.fnUntraced(function* ({ mail }: Kept, tally: Tally) {
  const composed = Composed.isComposed(mail) ? Effect.succeed(mail) : (yield* Composer).compose(mail)
  return yield* composed.pipe(
    Effect.flatMap(({ content }) =>
      content instanceof Uint8Array ? Effect.succeed(content) : Stream.mkUint8Array(content.stream)
    ),
    Effect.catch((error) => Effect.sync(() => tally.leave(`it cannot be composed: ${error.reason.message}`)))
  )
})

const isFileOfLines = (path: string): boolean => /\.(ndjson|jsonl|json)$/i.test(path)
