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
  pick<PipelineRun.Event>([
    ...repeat(7, { type: "deliver", count: 2 } as const),
    { type: "breakStream" },
    { type: "refuseEarly" }
  ])
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

/** A scenario in which all goes well but what is said. */
const scenarioOf = (parts: Partial<PipelineRun.Scenario>): PipelineRun.Scenario => ({
  mode: "speculative",
  depth: 8,
  maxRefusals: 100,
  messages: Array.from({ length: 4 }, () => ({ recipients: 1, lines: 2, isStreamed: false })),
  verdicts: [],
  goesAheadWithoutRecipients: false,
  events: [],
  greed: 0,
  ...parts
})

describe("SmtpPipeline", () => {
  it.prop(
    "writes nothing out of order, and ends each message once and rightly, whatever happens",
    [scenario],
    ([scenario]) => assert.isEmpty(faults(scenario), faults(scenario).join("; ")),
    { arbitrary: { runs: 10_000, size: 60, maxShrinks: 3000 } }
  )

  it.prop(
    "ends each message once, whatever the relay answers",
    [scenario, Arbitrary.array(Arbitrary.all([int(200, 599), int(0, 3)]), { minLength: 1, maxLength: 60 })],
    ([scenario, answers]) => {
      const outcomes = PipelineRun.answeredAtWill(scenario, answers)
      assert.deepStrictEqual(
        outcomes.map(({ length }) => length),
        outcomes.map(() => 1)
      )
    },
    { arbitrary: { runs: 2000, size: 60 } }
  )

  it.prop(
    "takes a reply given twice for no acceptance, where content waits for its 354",
    [
      scenario,
      pick(["off", "envelope", "overlap"]),
      Arbitrary.array(oneOf<PipelineRun.Event>(event, event, event, Arbitrary.Constant({ type: "repeat" })), {
        maxLength: 40
      })
    ],
    ([scenario, mode, events]) => {
      // Only what is said twice is wrong. A relay that says more things twice can shift its replies by a whole
      // transaction, and one that takes RCPT with the code of DATA as well looks right throughout: no count shows that.
      const verdicts = scenario.verdicts.map((code) => (code < 400 ? 0 : code))
      let repeats = 0
      const few = events.filter(({ type }) => type !== "repeat" || ++repeats <= 2)
      const run = new PipelineRun.Run({ ...scenario, verdicts, events: few, mode })
      for (const [n, { isWithdrawn, outcomes }] of run.results.entries()) {
        assert.strictEqual(outcomes.length, isWithdrawn ? 0 : 1)
        const taken = run.server.taken.filter(({ from }) => from === PipelineRun.sender(n))
        if (outcomes[0]?._tag === "Accepted") assert.strictEqual(taken.length, 1, `message ${n} was not taken`)
      }
    },
    { arbitrary: { runs: 4000, size: 60 } }
  )

  it("takes no reply for an answer to what had not been written when it was sent", () => {
    // MAIL, RCPT and DATA answered with one reply too many, in one piece: the last comes before any content.
    const outcomes = PipelineRun.answeredAtWill(
      scenarioOf({ mode: "envelope", messages: [{ recipients: 1, lines: 0, isStreamed: false }] }),
      [250, 250, 354, 250].map((code) => [code, 4])
    )
    assert.deepStrictEqual(
      outcomes.map((all) => all.map(nameOf)),
      [["Unknown"]]
    )
  })

  it("sends no message under another's envelope, which it would without RSET", () => {
    const refusedInTheMiddle = scenarioOf({
      // The first waits for its 354; of the others, sent together, the second has its only recipient refused.
      verdicts: [...repeat(5, 0), ...repeat(4, 0), 0, 0, 550],
      events: [
        { type: "submit", count: 1 },
        { type: "deliver", count: 9 },
        { type: "deliver", count: 1 },
        { type: "submit", count: 3 }
      ]
    })
    const senders = (scenario: PipelineRun.Scenario) =>
      new PipelineRun.Run(scenario).server.taken.map(({ content, from }) => [from, content.split("\r\n", 1)[0]])
    assert.deepStrictEqual(senders(refusedInTheMiddle), [
      ["from-0@a", "this is 0"],
      ["from-1@a", "this is 1"],
      ["from-3@a", "this is 3"]
    ])
    assert.deepInclude(senders({ ...refusedInTheMiddle, ignoresRset: true }), ["from-2@a", "this is 3"])
  })

  it("goes as far ahead as its mode lets it", () => {
    const messages = repeat(4, { recipients: 1, lines: 0, isStreamed: false })
    const events: ReadonlyArray<PipelineRun.Event> = [
      { type: "submit", count: 1 },
      ...repeat(6, { type: "deliver", count: 1 } as const),
      { type: "submit", count: 3 },
      { type: "end", ending: PipelineRun.lost }
    ]
    const commands = (mode: Pipelining.Mode) =>
      new PipelineRun.Run(scenarioOf({ mode, events, messages })).written
        .match(/^(MAIL FROM:<from|RCPT|DATA|BDAT|RSET$)/gm)
        ?.join(" ")
    const first = "MAIL FROM:<from RCPT DATA"
    const chunk = "RSET MAIL FROM:<from RCPT BDAT"
    assert.strictEqual(commands("off"), `${first} MAIL FROM:<from`)
    assert.strictEqual(commands("envelope"), `${first} ${first}`)
    assert.strictEqual(commands("overlap"), `${first} ${first}`)
    assert.strictEqual(commands("speculative"), `RSET ${first} ${chunk} ${chunk} ${chunk}`)
  })

  it("sends an envelope in one write with the content before it", () => {
    const run = new PipelineRun.Run(
      scenarioOf({
        mode: "overlap",
        events: [
          { type: "submit", count: 2 },
          { type: "deliver", count: 3 },
          { type: "end", ending: PipelineRun.lost }
        ]
      })
    )
    assert.match(run.written, /this is 0\r\n[^]*\r\n\.\r\nMAIL FROM:<from-1@a>\r\nRCPT TO:<to-1-0@b>\r\nDATA\r\n$/)
  })

  it("waits while the peer does not keep up", () => {
    const events: ReadonlyArray<PipelineRun.Event> = [
      { type: "stall" },
      { type: "submit", count: 4 },
      { type: "end", ending: PipelineRun.lost }
    ]
    const run = new PipelineRun.Run(scenarioOf({ events }))
    assert.strictEqual(run.written, "")
    assert.deepStrictEqual(
      run.results.map(({ outcomes }) => outcomes.map(nameOf)),
      repeat(4, ["NotSent"])
    )
  })

  it("wears out after so many refusals, and gives back what was not begun", () => {
    const run = new PipelineRun.Run(
      scenarioOf({
        maxRefusals: 1,
        verdicts: [0, 550],
        events: [{ type: "submit", count: 4 }]
      })
    )
    assert.isTrue(run.isWorn)
    assert.deepStrictEqual(
      run.results.map(({ outcomes }) => outcomes.map(nameOf)),
      [["Refused at mail"], ["NotSent"], ["NotSent"], ["NotSent"]]
    )
  })
})
