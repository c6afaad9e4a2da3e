/**
 * The picture of `mailrace top`: what it says, and that it fits any terminal.
 */
import { assert, describe, it } from "@effect/vitest"
import { stripVTControlCharacters } from "node:util"
import * as TopView from "../../src/output/TopView.ts"
import type { RunStatus } from "../../src/results/RunStatus.ts"
import { after, observation, type Observation, type OutboxNow } from "../../src/watching/Observation.ts"
import { assertPrintable, hostile } from "../support/hostile.ts"

const now = Date.parse("2026-08-01T12:00:00Z")

const run: RunStatus = {
  durationMs: 10_000,
  outbox: null,
  isStopping: false,
  done: 5000,
  expected: 20_000,
  isExact: false,
  counts: { accepted: 4900, rejected: 60, deferred: 40, unknown: 0, invalid: 0 },
  dropped: 7,
  retries: 12,
  p99Ms: 240,
  inFlight: 40,
  relays: [
    { name: "a.example:25", open: 10, busy: 9, waiting: 30, pipelining: "speculative", health: "proven" },
    { name: "b.example:25", open: 0, busy: 0, waiting: 0, pipelining: null, health: "down" }
  ],
  gates: {
    window: 4,
    perSecond: 12.5,
    phase: "searching",
    circuit: "open",
    lanes: [
      { lane: "slow.example", window: null, perSecond: 0.5, phase: "steady" },
      { lane: "shut.example", window: 0, perSecond: null, phase: "open" }
    ]
  },
  waits: [
    { gate: "rate", key: null, forMs: 3000 },
    { gate: "window", key: null, forMs: 9000 },
    { gate: "lane", key: "slow.example", forMs: 65_000 }
  ],
  errors: [
    { reason: "Throttled", code: 451, enhanced: "4.7.1", count: 40, remedy: "send more slowly, as with --rate 10/s" }
  ]
}

const outbox: OutboxNow = {
  name: "o.db",
  stats: {
    states: { due: 900, claimed: 100, accepted: 4900, rejected: 60, expired: 0, dead: 2, cancelled: 0 },
    pendingBytes: 3_200_000,
    oldestDueAt: new Date(now - 720_000),
    acceptedPerSecond: 0.5,
    lanes: [
      { lane: "big.example", waiting: 800, oldestDueAt: new Date(now - 60_000), paused: false },
      { lane: "slow.example", waiting: 150, oldestDueAt: new Date(now - 720_000), paused: false },
      { lane: "still.example", waiting: 50, oldestDueAt: new Date(now - 30_000), paused: true }
    ],
    dispatchers: [
      { name: "mail-1/4711", since: new Date(now - 10_000), buckets: 1024, inFlight: 100, lastBeatAt: undefined }
    ]
  },
  errors: [{ code: 450, enhanced: "4.2.0", count: 3 }]
}

const url = "http://127.0.0.1:9464"

/** What is seen of runs, of which `undefined` gives no answer, and of an outbox. */
const seen = (
  statuses: ReadonlyArray<RunStatus | undefined>,
  over: Partial<Pick<Observation, "outbox" | "failures">> = {}
): Observation =>
  observation({
    at: now,
    runs: statuses.map((status, index) => ({
      url: `http://mail-${index}.example:9464`,
      status,
      answers: status !== undefined
    })),
    outbox,
    failures: [],
    ...over
  })

const both = seen([run])

const scene = (over: Partial<TopView.Scene> = {}): TopView.Scene => ({
  title: `${url} and o.db`,
  observation: both,
  rates: [950],
  sort: "waiting",
  style: { colors: false, columns: undefined },
  ...over
})

const text = (over?: Partial<TopView.Scene>): string => TopView.render(scene(over)).join("\n")

const screen = (over: Partial<TopView.Screen> = {}): TopView.Screen => ({
  rows: 30,
  selected: "big.example",
  notice: undefined,
  canPause: true,
  ...over
})

describe("the picture", () => {
  it("tells of the run: rate, outcomes, limits, relays and errors with what to do", () => {
    const drawn = text()
    for (const fact of [
      /^run +950\/s {2}5,000 of about 20,000 {2}40 in flight {2}10\.0 s$/m,
      /^outcomes +accepted 4,900 {2}rejected 60 {2}deferred 40 .*dropped 7 {2}p99 240 ms {2}12 retries$/m,
      /^limits +circuit open {2}window 4 {2}pace 13\/s {2}waits for --rate 3\.0 s$/m,
      /^a\.example:25 +10 +9 +30 +proven +speculative$/m,
      /^b\.example:25 +0 +0 +0 +down$/m,
      /^Throttled +451 4\.7\.1 +40 +send more slowly, as with --rate 10\/s$/m
    ])
      assert.match(drawn, fact)
    assert.notInclude(drawn, "9.0 s", "a window that is full is no trouble")
  })

  it("tells of the outbox: what waits, since when, who sends, and each lane", () => {
    const drawn = text()
    for (const fact of [
      /^outbox +1,000 waiting, 3\.2 MB {2}oldest due 12 min ago {2}accepted 30\/min in the last minute$/m,
      /^states +accepted 4,900 {2}rejected 60 {2}dead 2$/m,
      /^sending +1 dispatcher {2}100 in flight$/m,
      /^big\.example +800 +60 s ago$/m,
      /^slow\.example +150 +12 min ago +pace 30\/min, waits 1 min 5 s$/m,
      /^still\.example +50 +30 s ago +paused$/m,
      /^shut\.example +window closed$/m
    ])
      assert.match(drawn, fact)
    assert.match(
      text({ observation: { ...both, outbox: { ...outbox, stats: { ...outbox.stats, dispatchers: [] } } } }),
      /^sending +no dispatcher: nothing is sent until one runs$/m
    )
  })

  it("of an outbox alone counts what the messages that wait were answered", () => {
    const drawn = text({ observation: seen([]), rates: [] })
    assert.match(drawn, /^to be retried +450 4\.2\.0 +3 +mailrace outbox list/m)
    assert.notMatch(drawn, /^(?:run|limits|RELAY)/m)
  })

  it("of a run without limits or an outbox has neither", () => {
    const drawn = text({ observation: seen([{ ...run, gates: null, waits: [] }], { outbox: undefined }) })
    assert.notMatch(drawn, /^(?:limits|outbox|states|sending|LANE)/m)
  })

  it("names a source that gives no answer, and keeps the rest", () => {
    const failures = [{ message: "no run answers at http://127.0.0.1:9464" }] as unknown as Observation["failures"]
    const drawn = text({ observation: { ...both, failures } })
    assert.match(drawn, /^no run answers at http:\/\/127\.0\.0\.1:9464$/m)
    assert.match(drawn, /^run /m)
  })
})

describe("lanes", () => {
  const order = (sort: TopView.Sort) => TopView.laneRows(both, sort).map(({ lane }) => lane.split(".")[0])

  it("are sorted by what waits, by the oldest message, by trouble or by name", () => {
    assert.deepStrictEqual(order("waiting"), ["big", "slow", "still", "shut"])
    assert.deepStrictEqual(order("oldest"), ["slow", "big", "still", "shut"])
    assert.deepStrictEqual(order("trouble"), ["still", "shut", "slow", "big"])
    assert.deepStrictEqual(order("name"), ["big", "shut", "slow", "still"])
  })

  it("around the one that is selected are shown", () => {
    const lanes = Array.from({ length: 100 }, (_, n) => ({
      lane: `lane-${String(n).padStart(2, "0")}`,
      waiting: 100 - n,
      oldestDueAt: undefined,
      paused: false
    }))
    const many = seen([], { outbox: { ...outbox, errors: [], stats: { ...outbox.stats, lanes } } })
    for (const selected of ["lane-00", "lane-57", "lane-99"]) {
      const lines = TopView.render(scene({ observation: many, screen: screen({ rows: 14, selected }) }))
      assert.lengthOf(lines, 14)
      assert.lengthOf(
        lines.filter((line) => line.startsWith(`> ${selected} `)),
        1
      )
    }
  })
})

describe("the rate", () => {
  const at = (durationMs: number, done: number): Observation => seen([{ ...run, durationMs, done }])

  it("is that since the last look, and at first that of the whole run", () => {
    assert.deepStrictEqual(TopView.rates(at(10_000, 5000), undefined), [500])
    assert.deepStrictEqual(TopView.rates(at(12_000, 5100), at(10_000, 5000)), [50])
  })

  it("begins anew with another run at the same address", () => {
    assert.deepStrictEqual(TopView.rates(at(1000, 20), at(10_000, 5000)), [20])
  })

  it("of a run that gives no answer is none, and unknown before its first answer", () => {
    const gone = seen([undefined])
    assert.deepStrictEqual(TopView.rates(after(at(10_000, 5000), gone), at(10_000, 5000)), [0])
    assert.deepStrictEqual(TopView.rates(gone, undefined), [undefined])
  })
})

describe("several runs", () => {
  const other: RunStatus = { ...run, durationMs: 20_000, done: 1000, expected: 1500, p99Ms: 90, gates: null, waits: [] }

  it("are added up and listed, with the limits of each", () => {
    const drawn = text({ observation: seen([run, other]), rates: [950, 50] })
    for (const fact of [
      /^runs +1,000\/s {2}6,000 of about 21,500 {2}80 in flight {2}20\.0 s$/m,
      /^outcomes +accepted 9,800 .* p99 up to 240 ms {2}24 retries$/m,
      /^RUN +RATE +DONE +IN FLIGHT +P99 +STATE$/m,
      /^mail-0\.example:9464 +950\/s +5,000 +40 +240 ms +circuit open, window 4, pace 13\/s$/m,
      /^mail-1\.example:9464 +50\/s +1,000 +40 +90 ms$/m,
      /^a\.example:25 +20 +18 +60 /m
    ])
      assert.match(drawn, fact)
  })

  it("of which one stops answering keep what it said, and say so", () => {
    const before = seen([run, other])
    const failures = [{ message: "no run answers" }] as unknown as Observation["failures"]
    const now = after(before, seen([run, undefined], { failures }))
    const drawn = text({ observation: now, rates: TopView.rates(now, before) })
    assert.match(drawn, /^no run answers$/m)
    assert.match(drawn, /^runs +\S+ {2}6,000 of about 21,500 {2}40 in flight .*1 of 2 runs answer$/m)
    assert.match(drawn, /^mail-1\.example:9464 +0\/s +1,000 .*no answer$/m)
  })

  it("of which one has not answered yet are those that have", () => {
    const drawn = text({ observation: seen([run, undefined]), rates: [950, undefined] })
    assert.match(drawn, /^runs +950\/s {2}5,000 /m)
    assert.match(drawn, /^mail-1\.example:9464 +no answer$/m)
  })
})

describe("a terminal", () => {
  const paused = { ...outbox.stats.lanes[2]!, lane: hostile }
  const evilRun: RunStatus = {
    ...run,
    relays: [{ ...run.relays[0]!, name: hostile, health: hostile, pipelining: hostile }],
    gates: { ...run.gates!, circuit: hostile, lanes: [{ ...run.gates!.lanes[0]!, lane: hostile }] },
    waits: [{ gate: hostile, key: null, forMs: 2000 }],
    errors: [{ ...run.errors[0]!, reason: hostile, enhanced: hostile, remedy: hostile }]
  }
  const evil = seen([evilRun, undefined, run, evilRun], {
    outbox: { ...outbox, stats: { ...outbox.stats, lanes: [...outbox.stats.lanes, paused] } },
    failures: [{ message: hostile }] as unknown as Observation["failures"]
  })

  const colours = /\u001B\[(?:1|2|22|31|32|33|36|39)m/g

  it("of any size is filled and not overrun, with colours and without, whatever things are called", () => {
    for (const observation of [both, evil, seen([run, run], { outbox: undefined }), seen([])])
      for (const colors of [false, true])
        for (const rows of [1, 2, 3, 5, 8, 13, 21, 34, 55])
          for (const columns of [1, 2, 5, 9, 10, 17, 33, 60, 80, 132, 300]) {
            const style = { colors, columns }
            const selected = TopView.laneRows(observation, "name")[0]?.lane
            const rates = TopView.rates(observation, undefined)
            const view = scene({ title: hostile, observation, rates, style, screen: screen({ rows, selected }) })
            const lines = TopView.render(view)
            const what = `${columns} × ${rows}${colors ? " in colours" : ""}`
            assert.lengthOf(lines, rows, what)
            for (const line of lines) {
              assertPrintable(line.replaceAll(colours, ""), what)
              assert.isAtMost([...stripVTControlCharacters(line)].length, Math.max(1, columns - 1), what)
            }
          }
  })

  it("shows the keys that do something, or what the last one did", () => {
    const foot = (over: Partial<TopView.Screen>) => TopView.render(scene({ screen: screen(over) })).at(-1)
    assert.strictEqual(foot({}), "q quit  s sort (waiting)  up/down choose  p pause  r resume")
    assert.strictEqual(foot({ canPause: false }), "q quit  s sort (waiting)")
    assert.strictEqual(foot({ notice: "big.example: paused" }), "big.example: paused")
  })

  it("that is low shows the head, and lanes before relays and errors", () => {
    const lines = TopView.render(scene({ screen: screen({ rows: 12 }) }))
    assert.isTrue(lines.some((line) => line.startsWith("> big.example")))
    assert.isFalse(lines.some((line) => /^(?:RELAY|ERROR)/.test(line)))
  })
})
