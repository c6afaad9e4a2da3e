import { assert, describe, it } from "@effect/vitest"
import { EnvelopeGrouping } from "../../../src/internal/session/envelopeGrouping.ts"
import { SmtpPipeline } from "../../../src/internal/session/pipeline.ts"
import { PipeliningRecord } from "../../../src/internal/session/pipeliningRecord.ts"
import { Transaction } from "../../../src/internal/session/transaction.ts"
import { lost } from "../../support/pipelineRun.ts"

/** The milliseconds that a relay takes until each reply to one write. */
interface Relay {
  readonly roundTrip: number
  /** How long each reply but the first of a write waits for the acknowledgement of the one before. */
  readonly heldUp: number
  /** How long it takes for RCPT. */
  readonly lookup?: number
}

/** Sends messages one after the other over a new connection, and tells how many writes each envelope took. */
const writesOf = (relay: Relay, messages: number, record = new PipeliningRecord(), recipients = 1) => {
  let now = 0
  let written = ""
  const writes: Array<number> = []
  const pipeline = new SmtpPipeline(
    {
      write: (text) => (written += text),
      writeBytes: () => {},
      stream: (_, onEnd) => onEnd(),
      writeSlices: (_, onEnd) => onEnd(),
      isWritable: () => true
    },
    {
      mode: "envelope",
      record,
      isBusy: () => true,
      depth: 32,
      maxRefusals: 100,
      maxSpeculativeSize: 262_144,
      pauseMs: 1000,
      now: () => now,
      onFailure: (ending) => assert.fail(JSON.stringify(ending)),
      onExhausted: () => {}
    }
  )
  for (let n = 0; n < messages; n++) {
    const outcomes: Array<string> = []
    let count = 0
    const rcpt = Array.from({ length: recipients }, (_, i) => `RCPT TO:<r${i}@b>\r\n`)
    pipeline.submit(
      new Transaction({ mail: "MAIL FROM:<a@b>\r\n", rcpt }, Buffer.from("x\r\n"), ({ _tag }) => outcomes.push(_tag))
    )
    while (outcomes.length === 0) {
      const commands = written.match(/^(RSET|MAIL|RCPT|DATA|\.)/gm) ?? []
      written = ""
      assert.isNotEmpty(commands, "it stands still")
      if (commands[0] !== ".") count++
      now += relay.roundTrip
      for (const [i, command] of commands.entries()) {
        if (i > 0) now += relay.heldUp
        if (command === "RCPT") now += relay.lookup ?? 0
        pipeline.reply({ code: command === "DATA" ? 354 : 250, text: "" })
        pipeline.resume()
      }
    }
    assert.deepStrictEqual(outcomes, ["Accepted"])
    writes.push(count)
  }
  pipeline.end(lost)
  return writes
}

describe("EnvelopeGrouping", () => {
  it("sends the commands one by one where the relay holds back replies that come together, on each connection", () => {
    const record = new PipeliningRecord()
    assert.deepStrictEqual(writesOf({ roundTrip: 0.2, heldUp: 40 }, 7, record), [1, 1, 1, 3, 3, 3, 3])
    assert.deepStrictEqual(writesOf({ roundTrip: 0.2, heldUp: 40 }, 3, record), [3, 3, 3])
  })

  it("sends them together where that takes the round trips' time, however long those are", () => {
    for (const roundTrip of [0, 0.2, 20, 200]) {
      assert.deepStrictEqual(writesOf({ roundTrip, heldUp: 0 }, 8), [1, 1, 1, 1, 1, 1, 1, 1], `${roundTrip} ms`)
    }
    // Here one by one would take as long.
    assert.deepStrictEqual(writesOf({ roundTrip: 40, heldUp: 20 }, 6), [1, 1, 1, 1, 1, 1])
  })

  it("goes back for good where one by one is no quicker, because the relay looks the recipients up", () => {
    assert.deepStrictEqual(writesOf({ roundTrip: 0.2, heldUp: 0, lookup: 90 }, 8), [1, 1, 1, 3, 3, 1, 1, 1])
  })

  it("goes back where many recipients outweigh what is held up", () => {
    assert.deepStrictEqual(writesOf({ roundTrip: 5, heldUp: 1 }, 6, new PipeliningRecord(), 20), [1, 1, 1, 1, 1, 1])
  })

  it("needs three held-up envelopes in a row", () => {
    const grouping = new EnvelopeGrouping(new PipeliningRecord())
    for (let i = 0; i < 20; i++) {
      grouping.took(45, 3, 0.2, false)
      grouping.took(45, 3, 0.2, false)
      assert.isFalse(grouping.isOneByOne)
      grouping.took(1, 3, 0.2, false)
    }
  })
})
