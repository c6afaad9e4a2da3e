/**
 * The task of a run of the dispatcher: `mailrace outbox run` sends messages that are due, `mailrace send --durable` also
 * feeds the outbox from an input.
 */
import type { AttemptedMail } from "@mailrace/outbox/Dispatcher"
import type * as Effect from "effect/Effect"
import type { CommandError } from "../CommandError.ts"
import type { Service } from "../outbox/OutboxLocation.ts"
import type * as DeliveryLog from "../output/DeliveryLog.ts"
import type * as Progress from "../output/Progress.ts"
import type { TenantLimits } from "../sending/TenantLimits.ts"
import type { DispatchState } from "./DispatchState.ts"

/** The name of a message in reports. */
export interface Name {
  readonly index: number
  readonly id: string
  /** As in `line 3`. */
  readonly place: string
}

/** A run as its parts and its task see it. */
export interface RunContext {
  readonly state: DispatchState
  readonly progress: Progress.Progress
  /** Adds a line to the delivery log, if there is one. */
  readonly record: (line: DeliveryLog.Line) => Effect.Effect<void>
}

/** The task of a run. */
export interface DispatchTask {
  readonly outbox: Service
  /** The tenants that have limits. */
  readonly tenants: TenantLimits
  /** Ends the run when nothing is due any more. */
  readonly ends: boolean
  /**
   * Enqueues messages while others are sent, once this process is the dispatcher. The run does not end before this does.
   * Nothing is sent before this calls `ready`, or ends.
   */
  readonly feed?: ((context: RunContext, ready: () => void) => Effect.Effect<void, CommandError>) | undefined
  /** Keeps the run's backlog up to date while it sends. */
  readonly watch?: ((context: RunContext) => Effect.Effect<void>) | undefined
  readonly nameOf: (mail: Pick<AttemptedMail, "id" | "mailId" | "idempotencyKey" | "state">) => Name
}
