/**
 * The program of `mailrace outbox enqueue`: puts a file of messages into the outbox.
 */
import type { EnqueueOptions } from "@mailrace/outbox/EnqueueOptions"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import * as Composed from "mailrace/Composed"
import { type Counts, makeTally } from "mailrace/Screening"
import { CommandError, ExitStatus } from "../../CommandError.ts"
import * as Input from "../../input/Input.ts"
import { type MailEntry, placeOf } from "../../input/Entry.ts"
import { Interrupts } from "../../Interrupts.ts"
import * as Format from "../../text/format.ts"
import * as ScreeningNotes from "../../output/ScreeningNotes.ts"
import * as Traces from "../../sending/Traces.ts"
import * as FileMode from "../../outbox/FileMode.ts"
import * as EnqueueInput from "../../enqueueing/EnqueueInput.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as Times from "../../text/Times.ts"
import * as Printable from "../../text/printable.ts"

/** The options: the input and how it is enqueued. */
export interface Options extends OutboxLocation.Options, FileMode.Options, Input.Options, Traces.Options {
  readonly onBadLine?: "skip" | "abort" | undefined
  /** The field or column that names each message, so that it is enqueued once. */
  readonly idempotencyKeyField?: string | undefined
  /** Not to be sent before: `2h` or a date. */
  readonly sendAt?: string | undefined
  /** How long after it is due a message is given up, as in `6h`. */
  readonly expiresIn?: string | undefined
  readonly priority?: EnqueueOptions["priority"]
  readonly lane?: string | undefined
  /** The tenant of messages that name none. */
  readonly tenant?: string | undefined
  /** Prints a JSON object for each message. */
  readonly json: boolean
}

/** Puts the input's messages into the outbox. */
export const run = Effect.fnUntraced(
  function* (settings: Options) {
    const options = yield* readOptions(settings)
    const warnings: Array<string> = []
    const input = yield* Input.open({ ...settings, onWarning: (warning) => warnings.push(warning) })
    const outbox = yield* OutboxLocation.open(settings, { create: true })
    warnings.push(...(yield* FileMode.warnings(outbox.name)))
    const tracing = yield* Layer.build(yield* Traces.layer(settings))
    const interrupts = yield* Interrupts
    const log = yield* Terminal.logger
    const printJson = yield* Terminal.lineWriter
    const counts = { stored: 0, known: 0, bad: 0 }
    const screening = makeTally()
    let isStopped = false
    const stop = Effect.tap(interrupts.first, () => Effect.sync(() => (isStopped = true)))
    const taken = yield* Effect.result(
      EnqueueInput.run({
        entries: Stream.interruptWhen(input.entries, stop),
        outbox,
        onBadLine: settings.onBadLine,
        decide: ({ entry, index }) => {
          const decision = withKey(entry, settings.idempotencyKeyField, options)
          // As at a first line in another format: no line will have the field.
          const isNowhere = index === 0 && settings.onBadLine === undefined && Result.isFailure(decision)
          return isNowhere && valueOf(entry, settings.idempotencyKeyField!) === undefined
            ? Result.fail(fieldIsNowhere(entry, settings.idempotencyKeyField!))
            : decision
        },
        onStored: ({ duplicate, id, messageId }, { entry, index }) => {
          counts[duplicate ? "known" : "stored"]++
          const line = { index, mailId: entry.mail.id ?? null, id, messageId, duplicate }
          return settings.json ? printJson(Printable.json(line)) : Effect.void
        },
        onBad: () => Effect.sync(() => counts.bad++),
        onScreened: (entry, index) => ScreeningNotes.report(entry, index, { tally: screening, log }),
        log
      })
    ).pipe(Effect.provideService(AttachmentsFrom, input.attachmentsFrom), Effect.provideContext(tracing))
    for (const warning of warnings) yield* log(warning)
    const isWorthReporting = Result.isSuccess(taken) || counts.stored + counts.known > 0
    if (isWorthReporting) yield* (settings.json ? log : printLine)(summary(outbox.name, counts, screening.counts))
    if (Result.isFailure(taken)) return yield* Effect.fail(taken.failure)
    if (isStopped) yield* log("stopped before the end of the input")
    if (isStopped || counts.bad > 0) return yield* new ExitStatus({ status: 1 })
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

const printLine = (text: string) => Terminal.print(`${text}\n`)

const summary = (
  name: string,
  { bad, known, stored }: Record<"stored" | "known" | "bad", number>,
  screened: Counts
): string => {
  const recipients = ScreeningNotes.inWords(screened)
  return [
    `${Format.plural(stored, "message")} put into ${Printable.line(name)}`,
    ...(known > 0 ? [`${known.toLocaleString("en-US")} in already`] : []),
    ...(bad > 0 ? [`${bad.toLocaleString("en-US")} bad, skipped`] : []),
    ...(recipients === undefined
      ? []
      : [`${screened.mails.toLocaleString("en-US")} dropped (recipients: ${recipients})`])
  ].join(", ")
}

/** The options that hold for every message. */
const readOptions = Effect.fnUntraced(function* (settings: Options) {
  const now = yield* Clock.currentTimeMillis
  const named = (flag: string) => (problem: string) => new CommandError({ problem: `--${flag}: ${problem}` })
  const sendAt =
    settings.sendAt === undefined
      ? undefined
      : yield* Effect.fromResult(Result.mapError(Times.parseTime(settings.sendAt, now, "ahead"), named("send-at")))
  const expiresIn =
    settings.expiresIn === undefined
      ? undefined
      : yield* Effect.fromResult(Result.mapError(Times.parseSpan(settings.expiresIn), named("expires-in")))
  const options: EnqueueOptions = {
    sendAt,
    expiresAt: expiresIn === undefined ? undefined : new Date(Math.max(sendAt?.getTime() ?? now, now) + expiresIn),
    priority: settings.priority,
    lane: settings.lane
  }
  return { ...options, defaultTenant: settings.tenant }
})

/** The options of one message: those that hold for all, its tenant, and its key. */
const withKey = (
  entry: MailEntry,
  field: string | undefined,
  { defaultTenant, ...options }: EnqueueOptions & { readonly defaultTenant: string | undefined }
): EnqueueInput.Decision => {
  const own: EnqueueOptions = { ...options, tenant: entry.mail.tenant ?? defaultTenant }
  if (field === undefined) return Result.succeed(own)
  const value = valueOf(entry, field)
  if (typeof value === "number" || (typeof value === "string" && value !== "")) {
    return Result.succeed({ ...own, idempotencyKey: String(value) })
  }
  const { end, line, place } = entry
  const problem =
    value === undefined || value === "" || value === null
      ? "it is missing, but --idempotency-key-field requires it"
      : "--idempotency-key-field requires a text or a number"
  return Result.fail({ _tag: "BadEntry", line, end, place, field, problem, malformed: false })
}

const fieldIsNowhere = (entry: MailEntry, field: string): CommandError =>
  new CommandError({
    problem: `${placeOf(entry)} has no ${field}, which --idempotency-key-field names`,
    remedy:
      "name a column of the CSV, id, or a field of the line's data; or skip messages without it with --on-bad-line skip"
  })

const valueOf = ({ field, mail }: MailEntry, name: string): unknown => {
  const found = field?.(name)
  if (found !== undefined) return found
  if (name === "id" || name === "messageId") return mail[name]
  const data = Composed.isComposed(mail) ? undefined : mail.data
  return data !== undefined && Object.hasOwn(data, name) ? data[name] : undefined
}
