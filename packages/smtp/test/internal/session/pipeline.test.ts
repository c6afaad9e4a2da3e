import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import type { ConnectionEnd } from "../../../src/internal/connection/connectionEnd.ts"
import * as Pipelining from "../../../src/Pipelining.ts"
import { SmtpPipeline } from "../../../src/internal/session/pipeline.ts"
import { PipeliningRecord } from "../../../src/internal/session/pipeliningRecord.ts"
import * as SpeculationTest from "../../../src/internal/session/speculationTest.ts"
import { type Outcome, Transaction } from "../../../src/internal/session/transaction.ts"
import { int, oneOf, pick } from "../../support/arbitraries.ts"
import * as PipelineRun from "../../support/pipelineRun.ts"

const repeat = <A>(times: number, ...values: ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.from({ length: times }, () => values).flat()

/** 0 is whatever a good relay says. */
const verdict = pick([...repeat(90, 0), ...repeat(6, 450, 550, 554), ...repeat(3, 251), 300, 354, 421, 451, 503, 599])

const endings: ReadonlyArray<ConnectionEnd> = [
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
    isBusy: pick([true, true, true, false]),
    dotFault: pick([...repeat(9, undefined), "stores", "refuses", "hangsUp"] as const),
    runsRefusedChunks: pick([...repeat(9, false), true]),
    holdsReplies: pick([false, false, true]),
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
  ({ dotFault, events, loss, ...rest }) => ({
    ...rest,
    // In `overlap`, which is a wish, no reply shows what such a server does.
    dotFault: rest.mode === "overlap" && dotFault === "stores" ? undefined : dotFault,
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
    const actual = right === "NotSent" && transaction.isOneByOne && outcome._tag === "NotSent" ? right : nameOf(outcome)
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
  isBusy: true,
  depth: 8,
  maxRefusals: 100,
  messages: Array.from({ length: 4 }, () => ({ recipients: 1, lines: 2, isStreamed: false })),
  verdicts: [],
  goesAheadWithoutRecipients: false,
  events: [],
  greed: 0,
  ...parts
})

/** The first message of a speculating connection, from its submission to its end: the self-test, its envelope, its content. */
const firstMessage: ReadonlyArray<PipelineRun.Event> = [
  { type: "submit", count: 1 },
  { type: "deliver", count: SpeculationTest.replies + 3 },
  { type: "deliver", count: 1 }
]

describe("SmtpPipeline", () => {
  it.prop(
    "writes nothing out of order and ends each message once and correctly, whatever happens",
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
    "takes no duplicate reply for an acceptance while content waits for its 354",
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
      const run = new PipelineRun.Run({ ...scenario, verdicts, events: few, mode, dotFault: undefined })
      for (const [n, { isWithdrawn, outcomes }] of run.results.entries()) {
        assert.strictEqual(outcomes.length, isWithdrawn ? 0 : 1)
        const taken = run.server.taken.filter(({ from }) => from === PipelineRun.sender(n))
        if (outcomes[0]?._tag === "Accepted") assert.strictEqual(taken.length, 1, `message ${n} was not taken`)
      }
    },
    { arbitrary: { runs: 4000, size: 60 } }
  )

  it("takes no reply for the answer to a command that was not yet written", () => {
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
      // The first goes by DATA after the self-test, the second alone; of the others, sent together, the first has its only
      // recipient refused.
      verdicts: [...repeat(3, 0), ...repeat(4, 0), ...repeat(4, 0), 0, 0, 550],
      events: [
        ...firstMessage,
        { type: "submit", count: 1 },
        { type: "deliver", count: 4 },
        { type: "submit", count: 2 }
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

  it("runs as far ahead as its mode allows", () => {
    const messages = repeat(8, { recipients: 1, lines: 0, isStreamed: false })
    const commands = (mode: Pipelining.Mode, ...events: ReadonlyArray<PipelineRun.Event>) =>
      new PipelineRun.Run(
        scenarioOf({ mode, events: [...events, { type: "end", ending: PipelineRun.lost }], messages })
      ).written
        .match(/^(MAIL FROM:<from|RCPT|DATA|BDAT|RSET$)/gm)
        ?.join(" ")
    const three: ReadonlyArray<PipelineRun.Event> = [
      { type: "submit", count: 1 },
      ...repeat(6, { type: "deliver", count: 1 } as const),
      { type: "submit", count: 3 }
    ]
    const first = "MAIL FROM:<from RCPT DATA"
    const chunk = "RSET MAIL FROM:<from RCPT BDAT"
    assert.strictEqual(commands("off", ...three), `${first} MAIL FROM:<from`)
    assert.strictEqual(commands("envelope", ...three), `${first} ${first}`)
    assert.strictEqual(commands("overlap", ...three), `${first} ${first}`)
    // The first message behind the self-test waits for its 354, and the next for the reply to its dot.
    const test = "RSET RCPT BDAT RSET"
    const submitted: PipelineRun.Event = { type: "submit", count: 7 }
    assert.strictEqual(commands("speculative", submitted), `${test} ${first}`)
    assert.strictEqual(commands("speculative", ...firstMessage.slice(0, 2), submitted), `${test} ${first}`)
    // Then one chunk goes ahead, and one more with each that is answered.
    const begun = `${test} ${first} ${chunk}`
    const answered: PipelineRun.Event = { type: "deliver", count: 4 }
    assert.strictEqual(commands("speculative", ...firstMessage, submitted), begun)
    assert.strictEqual(commands("speculative", ...firstMessage, submitted, answered), `${begun} ${chunk} ${chunk}`)
    assert.strictEqual(
      commands("speculative", ...firstMessage, submitted, answered, answered),
      `${begun} ${chunk} ${chunk} ${chunk} ${chunk}`
    )
  })

  it("tests and speculates only with more messages than connections, or in a steady flow", () => {
    const messages = repeat(9, { recipients: 1, lines: 0, isStreamed: false })
    const oneByOne = (pause: ReadonlyArray<PipelineRun.Event>) =>
      new PipelineRun.Run(
        scenarioOf({
          isBusy: false,
          messages,
          events: messages.flatMap(() => [
            ...pause,
            { type: "submit", count: 1 },
            { type: "deliver", count: SpeculationTest.replies + 3 },
            { type: "deliver", count: 1 }
          ])
        })
      ).written
    assert.notInclude(oneByOne([{ type: "pause" }]), "BDAT")
    // The sixth message has the self-test before it, and those after it are sent ahead.
    assert.deepStrictEqual(oneByOne([]).match(/^(DATA|BDAT|RCPT TO:<@@>)/gm), [
      ...repeat(5, "DATA"),
      "RCPT TO:<@@>",
      "BDAT",
      "DATA",
      ...repeat(3, "BDAT")
    ])
  })

  it("sends large content and streams by DATA, with nothing after the dot before its reply", () => {
    const small = { recipients: 1, lines: 1, isStreamed: false }
    for (const large of [
      { recipients: 1, lines: 40, isStreamed: false },
      { recipients: 1, lines: 1, isStreamed: true }
    ]) {
      const run = new PipelineRun.Run(
        scenarioOf({
          messages: [small, large, small],
          events: [
            ...firstMessage,
            { type: "submit", count: 2 },
            { type: "deliver", count: 4 },
            { type: "stream", count: 9 }
          ]
        })
      )
      assert.match(run.written, /RCPT TO:<to-1-0@b>\r\nDATA\r\nthis is 1[^]*\r\n\.\r\nRSET\r\nMAIL FROM:<from-2@a>/)
      assert.deepStrictEqual(run.server.illegal, [])
      assert.lengthOf(run.server.taken, 3)
    }
  })

  it("closes before any content when a refused chunk is run as commands, and steps the relay down", () => {
    for (const recipients of [1, 2, 3, 7]) {
      const run = new PipelineRun.Run(
        scenarioOf({
          runsRefusedChunks: true,
          // Whatever is refused of the envelope, it is not taken for the message's refusal.
          verdicts: [0, 0, 0, 0, 550, 0, 550],
          messages: repeat(4, { recipients, lines: 3, isStreamed: false })
        })
      )
      assert.match(run.record.steppedDown ?? "", /failed the self-test: .* at DATA: "250"/)
      assert.deepStrictEqual(
        run.results.map(({ outcomes }) => outcomes.map(nameOf)),
        [["NotSent, begun"], ["NotSent"], ["NotSent"], ["NotSent"]].slice(0, run.results.length)
      )
      assert.isAbove(run.server.strays, recipients + 3)
      assert.notInclude(run.written, "this is 0")
    }
  })

  it("steps the relay down when an early envelope or a chunk is not answered", () => {
    const steppedDown = (parts: Partial<PipelineRun.Scenario>) =>
      new PipelineRun.Run(scenarioOf(parts)).record.steppedDown ?? ""
    const twice: PipelineRun.Event = { type: "submit", count: 2 }
    const lost: PipelineRun.Event = { type: "end", ending: PipelineRun.lost }
    const silent: PipelineRun.Event = { type: "end", ending: endings[2]! }
    assert.include(steppedDown({ mode: "overlap", dotFault: "refuses", events: [twice] }), "early")
    assert.include(steppedDown({ mode: "overlap", dotFault: "hangsUp", events: [twice] }), "early")
    for (const end of [lost, silent]) {
      assert.include(steppedDown({ events: [...firstMessage, twice, end] }), "BDAT")
      for (const mode of ["off", "envelope"] as const)
        assert.strictEqual(steppedDown({ mode, events: [twice, end] }), "")
    }
    // What the relay announces, and what this side ends, is no trouble.
    assert.strictEqual(steppedDown({ verdicts: [...repeat(8, 0), 421], events: [...firstMessage, twice] }), "")
    assert.strictEqual(steppedDown({ events: [...firstMessage, twice, { type: "end", ending: endings[3]! }] }), "")
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

  it("is exhausted after the allowed refusals and gives back messages that were not started", () => {
    const run = new PipelineRun.Run(
      scenarioOf({
        maxRefusals: 1,
        verdicts: [0, 0, 0, 550],
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

describe("SmtpPipeline: the time of a transaction", () => {
  it("counts from MAIL or from its turn, whichever is later, and ends where its content does", () => {
    let now = 0
    const machine = new SmtpPipeline(
      {
        write: () => {},
        writeBytes: () => {},
        stream: () => {},
        writeSlices: (_, onEnd) => onEnd(),
        isWritable: () => true
      },
      {
        mode: "overlap",
        record: new PipeliningRecord(),
        isBusy: () => true,
        depth: 4,
        maxRefusals: 100,
        maxSpeculativeSize: 1_000,
        pauseMs: 2_000,
        now: () => now,
        onFailure: () => {},
        onExhausted: () => {}
      }
    )
    const submit = (size: number): void => {
      const commands = { mail: "MAIL FROM:<>\r\n", rcpt: ["RCPT TO:<a@b.example>\r\n"] }
      const transaction = new Transaction(commands, Buffer.from("x\r\n"), () => {})
      transaction.size = size
      machine.submit(transaction)
    }
    const answer = (at: number, ...codes: ReadonlyArray<number>): void => {
      now = at
      for (const code of codes) machine.reply({ code, text: "" })
      machine.resume()
    }
    assert.isUndefined(machine.preparing)
    submit(7)
    submit(8)
    assert.deepStrictEqual(machine.preparing, { since: 0, size: 7 })
    answer(100, 250, 250)
    assert.deepStrictEqual(machine.preparing, { since: 0, size: 7 })
    // Its content goes out, and the next envelope with it.
    answer(200, 354)
    assert.isUndefined(machine.preparing)
    answer(5_000, 250)
    assert.deepStrictEqual(machine.preparing, { since: 5_000, size: 8 })
    answer(6_000, 250, 250, 354)
    assert.isUndefined(machine.preparing)
  })
})
