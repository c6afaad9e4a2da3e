import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { stripVTControlCharacters } from "node:util"
import type { Report } from "../../src/results/Report.ts"
import * as Summary from "../../src/output/Summary.ts"
import type { ErrorGroup } from "../../src/results/Tally.ts"

const report: Report = {
  total: 10_000,
  accepted: 9_950,
  rejected: 50,
  deferred: 0,
  unknown: 0,
  invalid: 0,
  expired: 0,
  unrecorded: 0,
  recipients: { accepted: 9_950, rejected: 50, deferred: 0, unknown: 0 },
  dropped: 0,
  suppressed: 0,
  duplicates: 0,
  roles: 0,
  roleWarnings: 0,
  durationMs: 3200,
  ratePerSecond: 3125,
  bytes: 10_200_000,
  retries: 210,
  latencyMs: { p50: 0.8, p90: 20.4, p99: 1240, max: 65_000 },
  connections: { opened: 10, reused: 9990, peak: 10, failed: 0 },
  pipelining: "envelope",
  steppedDown: null,
  tlsFailure: null,
  waits: [],
  cpuMicrosPerMessage: 84.6,
  rssPeakBytes: 96_000_000,
  errors: []
}

const group: ErrorGroup = {
  reason: "RecipientsRejected",
  code: 550,
  enhanced: "5.1.1",
  count: 50,
  example: 'the recipient was refused: "550 5.1.1 no such user" (line 3)',
  remedy: "take the address off the list, or correct it"
}

describe("Summary", () => {
  it("leaves out the CPU a message of a few, which is the start's", () => {
    const few = Summary.render({ ...report, total: 3, accepted: 3, rejected: 0 }, [], { colors: false })
    assert.match(few, /\n {2}cost {9}96 MB peak memory\n/)
  })

  it("tells a run without messages from one that was stopped before its first", () => {
    const none = { ...report, total: 0, accepted: 0, rejected: 0, dropped: 2, suppressed: 2 }
    const render = (isStopped: boolean) => Summary.render(none, [], { colors: false, isStopped })
    assert.match(render(false), /^No messages\n {2}dropped/)
    assert.match(render(true), /^Stopped before the first message\n {2}dropped/)
  })

  it("aligns its figures", () => {
    assert.strictEqual(
      Summary.render(report, [group], { colors: false }),
      `9,950 of 10,000 messages accepted in 3.2 s, 3,125/s

  accepted   9,950   99.5 %  the relay took responsibility
  rejected      50    0.5 %  refused for good
  deferred       0
  unknown        0
  invalid        0

  latency      p50 800 µs   p90 20 ms   p99 1.2 s   max 1 min 5 s
  retries      210
  content      10 MB, 3.2 MB/s
  connections  10 opened, 10 at once, 9,990 times reused
  pipelining   envelope
  cost         85 µs CPU a message, 96 MB peak memory

What went wrong
  count  reason              code
     50  RecipientsRejected  550 5.1.1
         e.g. the recipient was refused: "550 5.1.1 no such user" (line 3)
         try: take the address off the list, or correct it
`
    )
  })

  it("reports accepted messages that are not recorded", () => {
    assert.include(
      Summary.render({ ...report, unrecorded: 1243 }, [], { colors: false }),
      `
  unrecorded 1,243  accepted, but not recorded: the next run sends them again

  latency `
    )
  })

  it("counts the recipients that were dropped on request", () => {
    const left = { ...report, dropped: 1, suppressed: 1200, duplicates: 1, roleWarnings: 2 }
    assert.include(
      Summary.render(left, [], { colors: false }),
      `
  dropped      1 message
  recipients   1,200 suppressed, 1 duplicate, 2 role addresses sent to
  latency `
    )
  })

  it.prop("keeps the errors within the terminal's width", [Schema.Int], ([columns]) => {
    const width = 20 + (Math.abs(columns) % 100)
    const drawn = Summary.render(report, [group], { colors: true, columns: width })
    const errors = stripVTControlCharacters(drawn).split("What went wrong\n")[1]!
    for (const line of errors.split("\n")) assert.isTrue(line.length < width, line)
  })

  it("wraps a remedy in a narrow terminal without cutting words", () => {
    const remedy = "send more slowly (--rate, --connections), or let the retries wait for longer than they do now"
    const example = `refused: "550 ${"no such user ".repeat(30)}"`
    const drawn = Summary.render(report, [{ ...group, example, remedy }], { colors: false, columns: 60 })
    const [, tried] = drawn.split("try: ")
    assert.strictEqual(tried!.trim().split(/\s+/).join(" "), remedy)
    const [examples] = drawn.split("e.g. ")[1]!.split("try: ")
    assert.strictEqual(examples!.trimEnd().split("\n").length, 3)
    assert.match(examples!.trimEnd(), /…$/)
  })

  it("lets no reply of a relay move the cursor", () => {
    const evil = { ...group, example: 'refused: "550 \u001B[2J\u0007gone"' }
    assert.notMatch(Summary.render(report, [evil], { colors: false }), /[\u001B\u0007]/)
  })

  it("counts recipients apart where their ends are not those of the messages", () => {
    const head = (more: Partial<Report>): string =>
      Summary.render({ ...report, ...more }, [], { colors: false }).split("\n\n")[0]!
    const several = { accepted: 9, rejected: 1, deferred: 1, unknown: 1_000 }
    assert.strictEqual(
      head({ recipients: several }),
      "9,950 of 10,000 messages accepted in 3.2 s, 3,125/s\n9 of 1,011 recipients accepted, 1 rejected, 1 deferred, 1,000 unknown"
    )
    assert.strictEqual(
      head({ total: 1, accepted: 1, rejected: 0, recipients: { accepted: 0, rejected: 1, deferred: 0, unknown: 0 } }),
      "1 of 1 messages accepted in 3.2 s, 3,125/s\n0 of 1 recipient accepted, 1 rejected"
    )
  })
})
