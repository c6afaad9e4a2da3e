import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import type { Ending } from "../src/Ending.ts"
import * as Pipelining from "../src/Pipelining.ts"
import type { Outcome } from "../src/Transaction.ts"
import { int, oneOf, pick } from "./support/arbitraries.ts"
import * as PipelineRun from "./support/pipelineRun.ts"

const repeat = <A>(times: number, ...values: ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.from({ length: times }, () => values).flat()

/** 0 is whatever a good relay says. */
const verdict = pick([...repeat(90, 0), ...repeat(6, 450, 550, 554), ...repeat(3, 251), 300, 354, 421, 451, 503, 599])

const endings: ReadonlyArray<Ending> = [
  PipelineRun.lost,
  PipelineRun.lost,
  { _tag: "Silent", phase: "finalReply", limitMs: 1 },
  { _tag: "Closed" },
  { _tag: "Violation", problem: "garbage" }
]

const event: Arbitrary.Arbitrary<PipelineRun.Event> = oneOf<PipelineRun.Event>(
  Arbitrary.map(int(1, 4), (count) => ({ type: "submit", count })),
  Arbitrary.map(int(1, 4), (count) => ({ type: "submit", count })),
  Arbitrary.map(int(1, 9), (count) => ({ type: "deliver", count })),
  Arbitrary.map(int(1, 9), (count) => ({ type: "deliver", count })),
  Arbitrary.map(int(1, 9), (count) => ({ type: "deliver", count })),
  Arbitrary.map(int(1, 9), (count) => ({ type: "deliver", count })),
  Arbitrary.map(int(1, 5), (count) => ({ type: "stream", count })),
  Arbitrary.map(int(1, 5), (count) => ({ type: "stream", count })),
  pick<PipelineRun.Event>([
    { type: "stall" },
    { type: "drain" },
    { type: "drain" },
    { type: "pause" },
    { type: "withdraw" },
    { type: "withdraw" }
  ]),
  pick<PipelineRun.Event>([...repeat(7, { type: "deliver", count: 2 } as const), { type: "breakStream" }, { type: "refuseEarly" }])
)

export const scenario: Arbitrary.Arbitrary<PipelineRun.Scenario> = Arbitrary.map(
  Arbitrary.all({
    mode: pick([...Pipelining.modes, "speculative"]),
    depth: int(1, 6),
    maxRefusals: pick([2, 100]),
    messages: Arbitrary.array(
      Arbitrary.all({
        recipients: pick([1, 1, 1, 2, 3]),
        lines: pick([0, 1, 2, 3, 5, 12]),
        isStreamed: pick([false, false, false, false, true])
      }),
      { maxLength: 14 }
    ),
    verdicts: Arbitrary.array(verdict, { maxLength: 60 }),
    goesAheadWithoutRecipients: pick([true, false]),
    events: Arbitrary.array(event, { maxLength: 40 }),
    loss: pick([...repeat(2 * endings.length, undefined), ...endings]),
    greed: int(0, 4)
  }),
  ({ events, loss, ...rest }) => ({
    ...rest,
    events: loss === undefined ? events : [...events, { type: "end", ending: loss }]
  })
)

const nameOf = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Refused":
      return `Refused at ${outcome.at}`
    case "NotSent":
      return outcome.begun ? "NotSent, begun" : "NotSent"
    default:
      return outcome._tag
  }
}

/** What a run must not do, in words; nothing when all is well. */
const faults = (scenario: PipelineRun.Scenario): ReadonlyArray<string> => {
  const run = new PipelineRun.Run(scenario)
  const found: Array<string> = [...run.server.illegal]
  if (run.writtenTooLate !== "") found.push(`${run.writtenTooLate} was written into content`)
  if (run.isStuck) found.push("it stands still")
  for (const [n, { isWithdrawn, outcomes, transaction }] of run.results.entries()) {
    const taken = run.server.taken.filter(({ content }) => content.startsWith(`this is ${n}\r\n`))
    const [outcome] = outcomes
    if (outcomes.length !== (isWithdrawn ? 0 : 1)) found.push(`message ${n} ended ${outcomes.length} times`)
    if (taken.length > 1) found.push(`message ${n} was taken ${taken.length} times`)
    if (outcome === undefined) {
      if (taken.length > 0) found.push(`message ${n} was taken and never ended`)
      continue
    }
    const right = PipelineRun.rightOutcome(run, scenario, n)
    // One command at a time, RSET may have gone and MAIL not.
    const actual =
      right === "NotSent" && scenario.mode === "off" && outcome._tag === "NotSent" ? right : nameOf(outcome)
    if (actual !== right) found.push(`message ${n} is ${actual} and not ${right}`)
    if (outcome._tag === "Accepted" && taken.length === 0) found.push(`message ${n} was not taken`)
    if (taken.length > 0 && outcome._tag !== "Accepted" && outcome._tag !== "Unknown")
      found.push(`message ${n} was taken, and is ${nameOf(outcome)}`)
    const message = scenario.messages[n]!
    for (const { content, from, to } of taken) {
      if (content !== PipelineRun.content(n, message)) found.push(`message ${n} was taken with other bytes`)
      if (from !== PipelineRun.sender(n)) found.push(`message ${n} was taken from ${from}`)
      const all = PipelineRun.recipients(n, message)
      if (!to.every((address) => all.includes(address))) found.push(`message ${n} was taken for ${to.join()}`)
      const accepted = all.filter((_, i) => (transaction.rcptReplies[i]?.code ?? 999) < 300)
      if (outcome._tag === "Accepted" && to.join() !== accepted.join())
        found.push(`message ${n} was taken for ${to.join()} and reported for ${accepted.join()}`)
    }
  }
  return found
}

describe("SmtpPipeline", () => {
  it.prop(
    "writes nothing out of order, and ends each message once and rightly, whatever happens",
    [scenario],
    ([scenario]) => assert.isEmpty(faults(scenario), faults(scenario).join("; ")),
    { arbitrary: { runs: 10_000, size: 60, maxShrinks: 3000 } }
  )
})
