import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { stripVTControlCharacters } from "node:util"
import * as FlowFlags from "../../src/sending/FlowFlags.ts"
import * as FlowWaits from "../../src/sending/FlowWaits.ts"

const one = { isOneRelay: true }

/** All flags of flow control, read together. */
const resolve = (options: FlowFlags.Options, relays: { readonly isOneRelay: boolean }) =>
  Effect.flatMap(FlowFlags.readRates(options), (rates) => FlowFlags.resolve(options, rates, relays))

describe("FlowFlags", () => {
  it.effect("reads limits of the relay, of lanes and of tenants", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* resolve(
          {
            rate: ["14/s", "50000/d"],
            laneRate: ["Gmail.com=20/s,5000/h", "gmx.net = 5"],
            tenantRate: ["Acme=100/s"],
            warmup: "from=50/d,factor=1.5,to=100000/d",
            adaptive: false
          },
          one
        ),
        {
          adaptive: false,
          rate: ["14/s", "50000/d"],
          warmUp: "from=50/d,factor=1.5,to=100000/d",
          lanes: { "gmail.com": { rate: ["20/s", "5000/h"] }, "gmx.net": { rate: [" 5"] } },
          tenants: { Acme: { rate: ["100/s"] } }
        }
      )
      const none = { rate: [], laneRate: [], tenantRate: [] }
      assert.deepInclude(yield* resolve(none, one), { adaptive: true, circuit: true })
      assert.strictEqual(yield* resolve({ ...none, adaptive: false }, one), undefined)
      // Each of several relays is followed by itself.
      assert.strictEqual(yield* resolve(none, { isOneRelay: false }), undefined)
    })
  )

  it.effect("keeps limits on new connections apart, which the relay's transport holds", () =>
    Effect.gen(function* () {
      const rate = ["14/s", "5 connections/s", "1000 connections/h"]
      assert.deepInclude(yield* resolve({ rate }, one), { rate: ["14/s"] })
      assert.strictEqual(yield* resolve({ rate: ["5 connections/s"], adaptive: false }, one), undefined)
      assert.strictEqual((yield* FlowFlags.readRates({ rate: ["14/s"] })).connections, undefined)
      const { connections: limit } = yield* FlowFlags.readRates({ rate })
      limit!.opened(0)
      assert.closeTo(limit!.availableAt(0), 200, 5)
    })
  )

  it.effect("keeps a lane whose name objects have of their own", () =>
    Effect.gen(function* () {
      const flow = yield* resolve({ laneRate: ["__proto__=1/s", "constructor=1/s"] }, one)
      assert.deepStrictEqual(Object.keys(flow!.lanes!), ["__proto__", "constructor"])
    })
  )

  it.effect.each<readonly [FlowFlags.Options, string]>([
    [{ rate: ["0/s"] }, '--rate: "0/s" would send nothing; the number must be more than 0'],
    [{ rate: ["14/x"] }, '--rate: "14/x" is not a rate; write it as 100/s, 6000/m, 5000/h or 50000/d'],
    [
      { rate: ["14/s", "20/s"] },
      "--rate 20/s: there is another --rate for the same time\nleave one of them out; several hold together, such as --rate 14/s --rate 50000/d"
    ],
    [
      { rate: ["5 connections/s", "6 connections/s"] },
      "--rate 6 connections/s: there is another --rate for the same time\nleave one of them out; several hold together, such as --rate 14/s --rate 50000/d"
    ],
    [
      { laneRate: ["gmail.com=20/s, 5 connections/s"] },
      "--lane-rate gmail.com=20/s, 5 connections/s: connections are opened to a relay, and not for a lane\nlimit them with --rate '5 connections/s'"
    ],
    [
      { laneRate: ["gmail.com"] },
      "--lane-rate gmail.com: it does not name what the rate is for\nwrite it as --lane-rate gmail.com=20/s"
    ],
    [
      { laneRate: ["gmail.com=20/s", "GMAIL.com=30/s"] },
      '--lane-rate GMAIL.com=30/s: "gmail.com" has a --lane-rate already\ngive all its rates at once, as in --lane-rate gmail.com=20/s,50000/d'
    ],
    [
      { tenantRate: ["acme=5/s,no"] },
      '--tenant-rate acme=5/s,no: "no" is not a rate; write it as 100/s, 6000/m, 5000/h or 50000/d'
    ],
    [
      { warmup: "from=500/d,factor=1.5,to=100/d" },
      `--warmup from=500/d,factor=1.5,to=100/d: it shrinks, from 500 to 100 a day; give a "to" that is not below "from"\nwrite it as --warmup 'from=50/d,factor=1.5,to=100000/d'`
    ],
    [
      { warmup: "from=50/d,factor=0.5,to=100/d" },
      `--warmup from=50/d,factor=0.5,to=100/d: factor=0.5 does not grow; give a number above 1, such as factor=1.5\nwrite it as --warmup 'from=50/d,factor=1.5,to=100000/d'`
    ]
  ])("refuses %j with the flag, its value and what to do", ([options, message]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(resolve(options, one))
      const text = error.remedy === undefined ? error.problem : `${error.problem}\n${error.remedy}`
      assert.strictEqual(stripVTControlCharacters(text), message)
    })
  )
})

describe("FlowWaits", () => {
  it("names what messages wait for, the longest first, and for how long", () => {
    const waits = [
      { gate: "lane", key: "gmail.com", since: 0, until: 99_999 },
      { gate: "rate", key: undefined, since: 50_000, until: 60_100 },
      { gate: "pace", key: undefined, since: 59_500, until: 60_100 },
      { gate: "window", key: undefined, since: 0, until: Infinity },
      { gate: "connections", key: undefined, since: 20_000, until: 61_000 }
    ] as const
    assert.strictEqual(
      FlowWaits.describe(waits, 60_000),
      "gmail.com (1 min 0 s), a new connection (40.0 s), --rate (10.0 s)"
    )
    assert.strictEqual(FlowWaits.describe([], 60_000), undefined)
  })
})
