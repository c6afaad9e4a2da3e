/**
 * The program of `mailrace send --durable`: puts every message of the input into the outbox, and sends from there.
 *
 * Messages in the outbox carry marks (see `InputMarks`), so the same command run again continues where the first one
 * ended, whatever ended it and wherever the input lies by then.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ExitStatus } from "../CommandError.ts"
import * as DispatchRun from "../dispatching/DispatchRun.ts"
import type { RunOptions } from "../sending/RunOptions.ts"
import type { DispatchTask, Name } from "../dispatching/DispatchTask.ts"
import { DurableFeed } from "../enqueueing/DurableFeed.ts"
import { EarlierMessages } from "../enqueueing/EarlierMessages.ts"
import { InputMarks } from "../enqueueing/InputMarks.ts"
import * as Input from "../input/Input.ts"
import * as TenantNames from "../sending/TenantNames.ts"
import * as FileMode from "../outbox/FileMode.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"
import * as Report from "../results/Report.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Configuration from "../sending/Configuration.ts"
import * as NamedFiles from "../sending/NamedFiles.ts"
import type { Result } from "../results/Result.ts"
import { TenantLimits } from "../sending/TenantLimits.ts"

/** The options: the input, the outbox, and the display of the run. */
export interface Options extends Input.Options, FileMode.Options, RunOptions {
  /** The outbox's file. */
  readonly durable: string
  readonly onBadLine?: "skip" | "abort" | undefined
  /** Sends the whole input again, although the outbox holds its messages. */
  readonly again: boolean
}

/** Sends an input by way of an outbox. */
export const run = Effect.fnUntraced(
  function* (given: Options) {
    const options = yield* Configuration.read(given)
    const log = yield* Terminal.logger
    yield* NamedFiles.check({ "--input": options.input, "--durable": options.durable }, options)
    const tenants = new TenantLimits(options)
    yield* TenantNames.require(options.input, tenants)
    const warnings: Array<string> = []
    const input = yield* Input.open({ ...options, onWarning: (warning) => warnings.push(warning) })
    let durable: DurableRun | undefined
    const open = Effect.gen(function* () {
      const outbox = yield* OutboxLocation.openFile(options.durable, options)
      warnings.push(...(yield* FileMode.warnings(outbox.name)))
      const names = { input: Input.nameOf(options.input), outbox: options.durable }
      const counts = yield* outbox.count()
      const mails = Object.values(counts).reduce((sum, count) => sum + count, 0)
      if (mails >= manyMails) {
        yield* log(
          `${names.outbox} holds ${Format.plural(mails, "message")}; looking for those of ${names.input} first`
        )
      }
      const marks = yield* InputMarks.load(outbox, options.input, yield* Clock.currentTimeMillis)
      const earlier = new EarlierMessages(marks, names)
      const feed = new DurableFeed({ ...options, input, outbox, earlier })
      const attempts = new InputAttempts(marks)
      durable = { earlier, feed, attempts }
      return {
        outbox,
        tenants,
        ends: true,
        feed: (context, ready) => feed.run(context, ready),
        nameOf: (attempt) => attempts.nameOf(attempt)
      } satisfies DispatchTask
    })
    const result = yield* DispatchRun.run(options, open, (result, outbox) =>
      Effect.gen(function* () {
        for (const warning of warnings) yield* log(warning)
        if (result.isComplete && result.report.total > 0)
          for (const warning of tenants.unused(options.durable)) yield* log(Printable.line(warning))
        for (const line of remarks(options, durable!, result, yield* DispatchRun.remainder(outbox))) yield* log(line)
      })
    )
    if (result.failure !== undefined) return yield* Effect.fail(result.failure)
    if (!result.isComplete || !Report.isAllAccepted(result.report) || !isAccepted(durable!))
      return yield* new ExitStatus({ status: 1 })
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

/** From this many messages on, the user is told why it takes a while: their keys are read at half a million a second. */
const manyMails = 200_000

/** The parts of a run that know the input. */
interface DurableRun {
  readonly earlier: EarlierMessages
  readonly feed: DurableFeed
  readonly attempts: InputAttempts
}

/** Tells attempts on messages of the input from attempts on other messages in the outbox. */
class InputAttempts {
  /** Messages of the input that this run saw accepted. */
  accepted = 0
  /** Attempts on messages that are not of the input. */
  others = 0
  private readonly marks: InputMarks

  constructor(marks: InputMarks) {
    this.marks = marks
  }

  nameOf({ id, idempotencyKey, mailId, state }: Parameters<DispatchTask["nameOf"]>[0]): Name {
    const mark = this.marks.markOf(idempotencyKey)
    if (mark === undefined) {
      this.others++
      return { index: -1, id: mailId ?? id, place: `message ${id}` }
    }
    if (state === "accepted") this.accepted++
    return { ...mark, id: mailId ?? String(mark.index) }
  }
}

/** True if every message of the input was accepted for all its recipients, in this run or an earlier one. */
const isAccepted = ({ attempts, earlier, feed }: DurableRun): boolean =>
  earlier.marks.missed === 0 && earlier.count("accepted") + attempts.accepted >= earlier.marks.known + feed.stored

/** Sentences that the summary of this run leaves out. `remainder` is about the messages that still wait. */
const remarks = (
  { again, durable }: Options,
  { attempts, earlier, feed }: DurableRun,
  { failure, isComplete, report }: Result,
  remainder: string | undefined
): ReadonlyArray<string> => {
  const lines = [...earlier.remarks(feed.isComplete)]
  if (attempts.others > 0) {
    lines.push(
      `${Format.plural(attempts.others, "attempt")} of these ${attempts.others === 1 ? "was" : "were"} for other messages in ${durable}`
    )
  }
  if (remainder !== undefined) lines.push(remainder)
  if (failure !== undefined) return lines
  const rerun = again ? "run the same command again without --again" : "run the same command again"
  if (!isComplete) lines.push(`${rerun} to continue`)
  else if (remainder !== undefined) lines.push(`${rerun} then, or mailrace outbox run`)
  else if (report.total === 0) {
    lines.push(earlier.marks.known === 0 ? Conclusion.nothingToSend(report.dropped) : "no message was left to send")
  }
  return lines
}
