/**
 * Handles the ends of messages in a run of the dispatcher: counts them, adds them to the delivery log, and warns the user
 * once if the relay cannot be reached.
 */
import type { AttemptedMail } from "@mailrace/outbox/Dispatcher"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Printable from "../text/printable.ts"
import * as Remedy from "../Remedy.ts"
import { type UntriedEnd, untriedWords } from "../results/Tally.ts"
import type { DispatchTask, RunContext } from "./DispatchTask.ts"
import type { FoundMail } from "./UnattemptedMails.ts"

/** Handles the ends of messages. */
export class DispatchEvents {
  private readonly task: DispatchTask
  private readonly context: RunContext
  private readonly relayStatus: RelayStatus
  /** The ends without an attempt that were reported to the user. */
  private readonly announced = new Set<UntriedEnd>()

  constructor(task: DispatchTask, context: RunContext) {
    this.task = task
    this.context = context
    this.relayStatus = new RelayStatus(context, task.ends)
  }

  /** An attempt has ended. */
  attempted(delivery: Delivery.Delivery, attempt: AttemptedMail): Effect.Effect<void> {
    const { record, state } = this.context
    const name = this.task.nameOf(attempt)
    const outcome = state.end(delivery, attempt, name.place)
    const line = record(DeliveryLog.lineOf(delivery, name.index, name.id, outcome))
    const warning = this.task.tenants.note(attempt.tenant, name.place)
    const recorded =
      warning === undefined ? line : Effect.andThen(line, this.context.progress.log(Printable.line(warning)))
    if (delivery._tag === "Accepted") return Effect.andThen(recorded, this.relayStatus.reached)
    const { error } = delivery
    if (this.task.ends && Remedy.concernsEveryMessage(error)) {
      return Effect.andThen(recorded, state.giveUp(Remedy.toCommandError(error)))
    }
    return error.reason._tag === "ConnectFailed"
      ? Effect.andThen(recorded, this.relayStatus.unreachable(error.reason.message))
      : recorded
  }

  /** A message has ended without an attempt. */
  unattempted({ end, entry, id, mailId }: FoundMail): Effect.Effect<void> {
    const { progress, record, state } = this.context
    const { idempotencyKey } = entry ?? {}
    const name = this.task.nameOf({ id, mailId, idempotencyKey, state: end === "expired" ? "expired" : "dead" })
    state.endUntried(id, end, name.place)
    const recorded =
      entry === undefined ? Effect.void : record(DeliveryLog.lineUntried(name.index, name.id, end, entry))
    if (this.announced.has(end)) return recorded
    this.announced.add(end)
    return Effect.andThen(
      recorded,
      progress.log(`${name.place}: ${untriedWords[end].example}; further ones are counted but not shown`)
    )
  }
}

/** Tells the user once that the relay is unreachable, and once that it is back. */
class RelayStatus {
  private isDown = false
  private readonly context: RunContext
  private readonly ends: boolean

  constructor(context: RunContext, ends: boolean) {
    this.context = context
    this.ends = ends
  }

  unreachable(problem: string): Effect.Effect<void> {
    if (this.isDown) return Effect.void
    this.isDown = true
    const next = this.ends
      ? "nothing is lost: the messages wait in the outbox for the next run"
      : "nothing is lost: the messages are retried until it is back"
    return this.context.progress.log(`the relay cannot be reached: ${Printable.line(problem)}; ${next}`)
  }

  /** The relay took a message. */
  readonly reached: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isDown) return Effect.void
    this.isDown = false
    return this.context.progress.log("the relay is back")
  })
}
