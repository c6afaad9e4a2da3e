/**
 * A relay that is healthy, slow, refuses all with 421, is dead, and is healthy again, and all gates before it, in virtual time.
 */
import * as Result from "effect/Result"
import * as Feedback from "@mailrace/flow/Feedback"
import { FlowControl } from "@mailrace/flow/FlowControl"
import * as FlowOptions from "@mailrace/flow/FlowOptions"

/** The state of the relay. */
export type Phase = "healthy" | "slow" | "storm" | "dead" | "healed"

/** When each phase begins, in milliseconds. */
export const begins: Readonly<Record<Phase, number>> = {
  healthy: 0,
  slow: 20_000,
  storm: 50_000,
  dead: 80_000,
  healed: 110_000
}

/** When no more messages come. */
export const endsAt = 170_000

/** A slow relay takes so many times as long for a message. */
const slowness = 10

/** What became of the messages. */
export interface Course {
  /** When each message was accepted, in milliseconds. */
  readonly acceptedAt: ReadonlyArray<number>
  /** When each attempt that failed was begun. */
  readonly failedAt: ReadonlyArray<number>
  /** How many messages came. */
  readonly messages: number
}

interface Attempt {
  readonly admission: ReturnType<FlowControl["admit"]>
  readonly phase: Phase
  readonly begunAt: number
  readonly endsAt: number
}

const phaseAt = (now: number): Phase =>
  (Object.keys(begins) as ReadonlyArray<Phase>).findLast((phase) => now >= begins[phase])!

const feedbackIn: Readonly<Record<Phase, Feedback.Feedback>> = {
  healthy: Feedback.success,
  slow: Feedback.success,
  storm: { _tag: "Complaint", about: "rate", askedMs: 0 },
  dead: { _tag: "RelayFailure", askedMs: 0 },
  healed: Feedback.success
}

/** Sends as much as the gates let through. A message whose attempt fails waits again, and no more come at the end. */
export const run = (serviceMs: number, concurrency: number): Course => {
  const settings = Result.getOrThrow(FlowOptions.resolve({ adaptive: true, circuit: true }, 0))
  const control = new FlowControl(settings, concurrency)
  const facts = { tenant: "", lane: "a.test", cost: { recipients: 1, bytes: 1000 } }
  const acceptedAt: Array<number> = []
  const failedAt: Array<number> = []
  let underway: Array<Attempt> = []
  let messages = 0
  /** Messages whose attempt failed. */
  let waiting = 0
  let now = 0
  const isOneThere = (): boolean => waiting > 0 || now < endsAt
  while (isOneThere() || underway.length > 0) {
    let at = control.availableAt(facts, now)
    while (at <= now && underway.length < concurrency && isOneThere()) {
      if (waiting > 0) waiting--
      else messages++
      const admission = control.admit(facts, now)
      control.begin(admission, now)
      const phase = phaseAt(now)
      underway.push({ admission, phase, begunAt: now, endsAt: now + (phase === "slow" ? slowness : 1) * serviceMs })
      at = control.availableAt(facts, now)
    }
    const ends = Math.min(...underway.map((attempt) => attempt.endsAt))
    const next = Math.min(ends, at > now && underway.length < concurrency ? Math.ceil(at) : Number.POSITIVE_INFINITY)
    if (next === Number.POSITIVE_INFINITY) throw new Error(`nothing goes on at ${now} ms`)
    now = next
    for (const { admission, begunAt, phase } of underway.filter((attempt) => attempt.endsAt <= now)) {
      const feedback = feedbackIn[phase]
      control.end(admission, feedback, now)
      if (feedback._tag === "Success") acceptedAt.push(now)
      else {
        failedAt.push(begunAt)
        waiting++
      }
    }
    underway = underway.filter((attempt) => attempt.endsAt > now)
  }
  return { acceptedAt, failedAt, messages }
}
