/** Every fault at every step of a session, in every mode, with and without retries. */
import { assert, describe, it } from "@effect/vitest"
import * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Pipelining from "../src/Pipelining.ts"
import { leavingNothing } from "./support/leaks.ts"
import * as Relay from "./support/relay.ts"
import * as Stopped from "./support/stopped.ts"

const actions = [
  "421 4.3.2 bye",
  "450 4.3.0 not now",
  "451 4.7.1 slow down",
  "452 4.3.1 no room",
  "550 5.1.1 no",
  "552 5.3.4 too large",
  "554 5.7.1 never",
  "delay=2ms",
  "drop",
  "reset",
  "hang",
  "partial",
  "partial=close",
  "garbage",
  "drip=1ms"
] as const

/** One of each kind, for what is tried again. */
const passing = new Set<string>(["421 4.3.2 bye", "450 4.3.0 not now", "550 5.1.1 no", "reset", "hang", "garbage"])

type Action = (typeof actions)[number]

/** The steps at which something is said or done for a message, or before one. */
const phases = [
  "connect",
  "greeting",
  "ehlo",
  "mail",
  "rcpt",
  "data",
  "bdat",
  "content",
  "final",
  "rset",
  "quit"
] as const

type Phase = (typeof phases)[number]

const modes: ReadonlyArray<Pipelining.Mode> = ["off", "overlap", "speculative"]

const refusals: { readonly [phase in "mail" | "rcpt" | "data" | "content"]: string } = {
  mail: "SenderRejected",
  rcpt: "RecipientsRejected",
  data: "MessageRejected",
  content: "MessageRejected"
}

/** The reasons that are right where a fault always happens and nothing is retried; none where it costs no mail. */
const rightReasons = (phase: Phase, action: Action): ReadonlyArray<string> => {
  if (action.startsWith("delay") || action.startsWith("drip") || phase === "quit") return []
  const isEnd = phase === "content" || phase === "final" || phase === "bdat"
  const lost = isEnd ? "OutcomeUnknown" : "ConnectionLost"
  switch (action) {
    case "drop":
    case "reset":
    case "partial=close":
      // What is reset at once may be taken for a connection that was never made.
      return phase === "connect" || phase === "greeting" ? [lost, "ConnectFailed"] : [lost]
    case "hang":
    case "partial":
      return [isEnd ? "OutcomeUnknown" : "Timeout"]
    case "garbage":
      return [isEnd ? "OutcomeUnknown" : "ProtocolViolation"]
  }
  if (phase === "connect" || phase === "greeting") return ["ConnectFailed"]
  // A relay that does not know EHLO is greeted with HELO.
  if (phase === "ehlo") return action.startsWith("5") ? [] : ["ConnectFailed"]
  if (action.startsWith("421") || action.startsWith("451")) return ["Throttled"]
  if (action.startsWith("552")) return phase === "rcpt" ? ["RecipientsRejected"] : ["SizeExceeded"]
  if (phase !== "mail" && phase !== "rcpt" && action.startsWith("550")) return ["MailboxUnavailable"]
  return [refusals[phase === "mail" || phase === "rcpt" || phase === "data" ? phase : "content"]]
}

const count = 4

const isBeforeMail = (phase: Phase): boolean => phase === "connect" || phase === "greeting" || phase === "ehlo"

const isSilent = (action: Action): boolean => action === "hang" || action === "partial"

/** Sends some mails through a relay with a fault, and checks what holds whatever the fault is. */
const send = (mode: Pipelining.Mode, fault: string, action: Action, retry: RetryPolicy.RetryPolicy) =>
  Effect.gen(function* () {
    const limit = isSilent(action) ? 150 : 20_000
    const server = yield* TestServer.make({ faults: [fault] })
    const deliveries = yield* Effect.scoped(
      Effect.gen(function* () {
        const { transport } = yield* Relay.open(server, {
          pipelining: mode,
          maxConnections: 2,
          timeouts: { greeting: limit, command: limit, content: limit, finalReply: limit }
        })
        const mails = Array.from({ length: count }, (_, n) => Relay.message(n))
        return yield* Stream.fromIterable(mails).pipe(
          Mailer.sendAll({ retry }),
          Stream.runCollect,
          Effect.provideService(MailTransport, transport)
        )
      })
    )
    assertHonest(server, deliveries, fault)
    return deliveries
  })

/** Each mail ended once, and its end is what the server knows of it. */
const assertHonest = (
  server: TestServer.TestServerService,
  deliveries: ReadonlyArray<Delivery.Delivery>,
  fault: string
): void => {
  assert.deepStrictEqual(
    deliveries.map(({ index }) => index).toSorted((a, b) => a - b),
    Array.from({ length: count }, (_, n) => n),
    fault
  )
  const times = (taken: TestServer.TestServerService["messages"], id: string): number =>
    taken.filter(({ from }) => from.address === `from-${id}@test.example`).length
  for (const { _tag, id } of deliveries) {
    const answered = times(server.messages, id)
    const silent = times(server.unanswered, id)
    if (_tag === "Accepted") assert.deepStrictEqual([answered, silent], [1, 0], `${fault}: mail ${id}`)
    // What could not be told is not sent again, and what is known to have failed was taken by nobody.
    else assert.isAtMost(answered + silent, _tag === "Unknown" ? 1 : 0, `${fault}: mail ${id} is ${_tag}`)
  }
  // Nothing of a body was ever taken for a command.
  assert.isEmpty(server.protocolErrors.filter(({ problem }) => problem.includes("unknown")))
}

/** What the fault of one message may do to others on the same connection. */
const bycatch = (mode: Pipelining.Mode, phase: Phase): ReadonlyArray<string> => {
  // One at a time, only a relay that answers in the middle of content and goes is met by the next message.
  if (mode === "off") return phase === "content" ? ["ConnectionLost"] : []
  return ["Accepted", "OutcomeUnknown", "ConnectionLost", "Timeout", "ProtocolViolation", "Throttled"]
}

/** The faults of a phase that tell something in a mode. */
const faultsOf = (mode: Pipelining.Mode, phase: Phase): ReadonlyArray<readonly [Phase, Action]> => {
  if ((phase === "bdat" || phase === "rset") && mode !== "speculative") return []
  // What comes before the first message does not depend on the mode.
  if (isBeforeMail(phase) && mode !== "speculative") return []
  return actions
    .filter((action) => {
      if (phase === "quit" && isSilent(action)) return false
      if (phase === "ehlo" && action.startsWith("drip")) return false
      return Fault.isApplicable(phase, Fault.parseUnsafe(`noop:${action}`).action.type)
    })
    .map((action) => [phase, action])
}

/** A fault that always happens, with no retry: each mail ends once, for the right reason. */
const alwaysFails = (mode: Pipelining.Mode, [phase, action]: readonly [Phase, Action]) =>
  Effect.gen(function* () {
    const fault = `${phase}:${action}`
    const deliveries = yield* send(mode, fault, action, RetryPolicy.none)
    const reasons = deliveries.map((delivery): string =>
      delivery._tag === "Accepted" ? "Accepted" : delivery.error.reason._tag
    )
    // The self-test meets these faults first, and then the relay is sent to without them.
    if (phase === "bdat" || phase === "rset") return
    const right = rightReasons(phase, action)
    if (right.length === 0) {
      assert.isTrue(
        reasons.every((reason) => reason === "Accepted"),
        `${fault}: ${reasons.join()}`
      )
      return
    }
    assert.isTrue(
      right.some((reason) => reasons.includes(reason)),
      `${fault}: ${reasons.join()}`
    )
    for (const reason of reasons) assert.include([...right, ...bycatch(mode, phase)], reason, fault)
  })

/** A fault that passes, with retries: it costs no mail that can be retried. */
const passes = (mode: Pipelining.Mode, [phase, action]: readonly [Phase, Action]) =>
  Effect.gen(function* () {
    const fault = `${phase}:${action}:first=2`
    const deliveries = yield* send(mode, fault, action, RetryPolicy.make({ base: 1, times: 6 }))
    for (const delivery of deliveries) {
      if (delivery._tag === "Accepted") continue
      assert.isFalse(delivery.error.isRetryable, `${fault}: ${delivery.error.message}`)
    }
    const bad = deliveries.filter(({ _tag }) => _tag !== "Accepted").length
    if (mode === "off") assert.isAtMost(bad, 2, fault)
  })

type Checking = Effect.Effect<void, unknown, Scope.Scope>

const atOnce = <A>(
  items: ReadonlyArray<A>,
  check: (item: A) => Checking,
  around: (checking: Checking) => Checking = (checking) => checking
) => leavingNothing(around(Effect.forEach(items, check, { concurrency: "unbounded", discard: true })))

for (const mode of modes) {
  describe(`fault matrix, ${mode}`, () => {
    const all = phases.map((phase) => faultsOf(mode, phase)).filter((faults) => faults.length > 0)
    const silences = all.flat().filter(([, action]) => isSilent(action))

    for (const faults of all) {
      const loud = faults.filter(([, action]) => !isSilent(action))
      const phase = faults[0]![0]

      it.live(`${phase}: each fault ends each mail once, for the right reason`, () =>
        atOnce(loud, (fault) => alwaysFails(mode, fault))
      )

      it.live(`${phase}: a fault that passes costs no mail that can be retried`, () =>
        atOnce(
          loud.filter(([, action]) => passing.has(action)),
          (fault) => passes(mode, fault)
        )
      )
    }

    it.live("silence at any step ends each mail once, for the right reason", () =>
      atOnce(silences, (fault) => alwaysFails(mode, fault), Stopped.paced)
    )

    it.live("silence that passes costs no mail that can be retried", () =>
      atOnce(
        silences.filter(([, action]) => passing.has(action)),
        (fault) => passes(mode, fault),
        Stopped.paced
      )
    )
  })
}
