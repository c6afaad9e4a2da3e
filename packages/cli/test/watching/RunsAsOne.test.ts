/**
 * Runs as one: counts add up, the worst state counts, and what waits in an outbox counts once.
 */
import { assert, describe, it } from "@effect/vitest"
import type { RunStatus } from "../../src/results/RunStatus.ts"
import * as RunsAsOne from "../../src/watching/RunsAsOne.ts"

const run = (over: Partial<RunStatus> = {}): RunStatus => ({
  durationMs: 1000,
  outbox: null,
  isStopping: false,
  done: 10,
  expected: 30,
  isExact: true,
  counts: { accepted: 5, rejected: 2, deferred: 1, unknown: 1, invalid: 1 },
  dropped: 1,
  retries: 3,
  p99Ms: 50,
  inFlight: 4,
  relays: [{ name: "a:25", open: 2, busy: 1, waiting: 5, pipelining: "speculative", health: null }],
  gates: null,
  waits: [],
  errors: [],
  ...over
})

const limited = (over: Partial<NonNullable<RunStatus["gates"]>> = {}): RunStatus["gates"] => ({
  window: 4,
  perSecond: 10,
  phase: "steady",
  circuit: "closed",
  lanes: [],
  ...over
})

const combine = (...runs: ReadonlyArray<RunStatus>): RunStatus => RunsAsOne.combine(runs)!

describe("runs as one", () => {
  it("are none without a run, and one run is itself", () => {
    assert.isUndefined(RunsAsOne.combine([]))
    const one = run()
    assert.strictEqual(combine(one), one)
  })

  it("add up what is counted; the longest time and the worst percentile count", () => {
    const sum = combine(run(), run({ durationMs: 9000, p99Ms: 20, isExact: false, isStopping: true }))
    assert.deepInclude(sum, {
      durationMs: 9000,
      isStopping: false,
      done: 20,
      expected: 60,
      isExact: false,
      counts: { accepted: 10, rejected: 4, deferred: 2, unknown: 2, invalid: 2 },
      dropped: 2,
      retries: 6,
      p99Ms: 50,
      inFlight: 8
    })
    assert.isTrue(combine(run({ isStopping: true }), run({ isStopping: true })).isStopping)
    assert.isNull(combine(run(), run({ expected: null })).expected)
  })

  it("of one outbox count what waits in it once, as it was last seen by the one that saw most", () => {
    const dispatcher = (done: number, expected: number) => run({ outbox: "db/mail", done, expected })
    assert.strictEqual(combine(dispatcher(10, 110), dispatcher(20, 125)).expected, 30 + 105)
    assert.strictEqual(combine(dispatcher(10, 110), dispatcher(20, 125), run()).expected, 40 + 105 + 20)
    assert.strictEqual(combine(dispatcher(10, 110), run({ outbox: "other", done: 1, expected: 6 })).expected, 11 + 105)
  })

  it("join relays by their name", () => {
    const relay = run().relays[0]!
    const { relays } = combine(
      run(),
      run({
        relays: [
          { ...relay, pipelining: "envelope", health: "proven" },
          { ...relay, name: "b:25" }
        ]
      }),
      run({ relays: [{ ...relay, pipelining: null, health: "down" }] })
    )
    assert.deepStrictEqual(relays, [
      { name: "a:25", open: 6, busy: 3, waiting: 15, pipelining: "speculative, envelope", health: "down" },
      { ...relay, name: "b:25" }
    ])
  })

  it("are limited by the sum of their limits, if each has one; the worst circuit counts", () => {
    const slow = { lane: "slow.example", window: null, perSecond: 0.5, phase: "steady" }
    const open = limited({ circuit: "open", phase: "stopped", lanes: [slow] })
    const both = combine(run({ gates: limited({ lanes: [slow] }) }), run({ gates: open })).gates!
    assert.deepStrictEqual(both, {
      window: 8,
      perSecond: 20,
      phase: "steady",
      circuit: "open",
      lanes: [{ ...slow, perSecond: 1 }]
    })
    assert.strictEqual(combine(run({ gates: open }), run({ gates: open })).gates!.phase, "stopped")
    assert.strictEqual(
      combine(run({ gates: limited() }), run({ gates: limited({ circuit: "halfOpen" }) })).gates!.circuit,
      "halfOpen"
    )
    assert.deepInclude(combine(run({ gates: limited() }), run()).gates, { window: null, perSecond: null })
    assert.isNull(combine(run(), run()).gates)
  })

  it("wait since the one that waits longest, and have each error once, the most frequent first", () => {
    const wait = { gate: "rate", key: null, forMs: 100 }
    const error = { reason: "Throttled", code: 451, enhanced: "4.7.1", count: 2, remedy: "send more slowly" }
    const sum = combine(
      run({ waits: [wait], errors: [error] }),
      run({ waits: [{ ...wait, forMs: 900 }], errors: [{ ...error, code: 550, count: 3 }, error] })
    )
    assert.deepStrictEqual(sum.waits, [{ ...wait, forMs: 900 }])
    assert.deepStrictEqual(sum.errors, [
      { ...error, count: 4 },
      { ...error, code: 550, count: 3 }
    ])
  })
})
