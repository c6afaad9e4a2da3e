import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Fault from "../src/Fault.ts"
import { FaultScript } from "../src/internal/faultScript.ts"

const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))
const Word = Schema.String.check(Schema.isPattern(/^[a-z0-9@.*-]{1,12}$/))
const AnyFault = Schema.Struct({
  phase: Schema.Literals(Fault.phases),
  action: Schema.Union([
    Schema.Struct({
      type: Schema.Literal("reply"),
      code: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
      text: Schema.String.check(Schema.isPattern(/^[245]\.[0-9]\.[0-9] [a-z :%=]{0,20}[a-z]$/))
    }),
    Schema.Struct({ type: Schema.Literals(["delay", "drip"]), ms: Millis }),
    Schema.Struct({ type: Schema.Literals(["drop", "reset", "hang", "garbage"]) }),
    Schema.Struct({ type: Schema.Literal("partial"), end: Schema.Literals(["hang", "close"]) }),
    Schema.Struct({ type: Schema.Literal("lie"), keyword: Schema.Literals(["CHUNKING", "8BITMIME"]) })
  ]),
  probability: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))),
  nth: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 99 }))),
  count: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 99 }))),
  match: Schema.optionalKey(
    Schema.Union([Schema.Struct({ from: Word }), Schema.Struct({ to: Word }), Schema.Struct({ from: Word, to: Word })])
  )
})

describe("Fault.parse", () => {
  it.prop("reads back what format writes, or says that the two do not go together", [AnyFault], ([drawn]) => {
    const fault: Fault.Fault = {
      ...drawn,
      ...(drawn.probability === undefined ? {} : { probability: drawn.probability / 1000 })
    }
    const parsed = Fault.parse(Fault.format(fault))
    if (Fault.isApplicable(fault.phase, fault.action.type)) assert.deepStrictEqual(Result.getOrThrow(parsed), fault)
    else assert.isTrue(Result.isFailure(parsed))
  })

  const good: ReadonlyArray<readonly [string, Fault.Fault]> = [
    ["rcpt:450:10%", { phase: "rcpt", action: Fault.reply(450), probability: 0.1 }],
    ["final:drop:1%", { phase: "final", action: { type: "drop" }, probability: 0.01 }],
    ["connect:delay=1.5s", { phase: "connect", action: { type: "delay", ms: 1500 } }],
    ["data:drip=5", { phase: "data", action: { type: "drip", ms: 5 } }],
    [
      "mail:451 4.7.1 slow down:5%",
      { phase: "mail", action: { type: "reply", code: 451, text: "4.7.1 slow down" }, probability: 0.05 }
    ],
    [
      "mail:451 see http://a.example:first=2:10%",
      { phase: "mail", action: { type: "reply", code: 451, text: "see http://a.example" }, probability: 0.1, count: 2 }
    ],
    ["rcpt:550:to=bounce@*", { phase: "rcpt", action: Fault.reply(550), match: { to: "bounce@*" } }],
    ["RCPT:reset:nth=3:from=a@b", { phase: "rcpt", action: { type: "reset" }, nth: 3, match: { from: "a@b" } }],
    ["greeting:partial=close", { phase: "greeting", action: { type: "partial", end: "close" } }],
    ["ehlo:lie=chunking", { phase: "ehlo", action: { type: "lie", keyword: "CHUNKING" } }]
  ]
  for (const [text, fault] of good) {
    it(`reads ${text}`, () => assert.deepStrictEqual(Fault.parseUnsafe(text), fault))
  }

  const bad: ReadonlyArray<readonly [string, string]> = [
    ["", '"" is no phase'],
    ["lunch:450", '"lunch" is no phase'],
    ["rcpt", "an action is missing"],
    ["rcpt:explode", '"explode" is no action'],
    ["rcpt:99", "99 is no reply code"],
    ["rcpt:450:200%", "200% is more than 100%"],
    ["rcpt:450:nth=0", "nth takes a whole number from 1"],
    ["rcpt:delay", "delay takes a time"],
    ["rcpt:drop=now", "drop takes no value"],
    ["rcpt:lie=SIZE", "lie cannot happen at rcpt"],
    ["tls:450", "reply cannot happen at tls"]
  ]
  for (const [text, problem] of bad) {
    it(`refuses "${text}" with the reason and the grammar`, () => {
      const error = Result.getOrThrow(Result.flip(Fault.parse(text)))
      assert.include(error.message, problem)
      assert.include(error.message, Fault.grammar)
    })
  }
})

describe("the odds", () => {
  const event = { phase: "rcpt", connection: 1, from: "ann@a.example", to: ["Bob@b.example"] } as const
  const fired = (text: ReadonlyArray<string>, seed: number, events = 10_000) => {
    const script = new FaultScript(text.map(Fault.parseUnsafe), seed, undefined)
    return Array.from({ length: events }, () => script.pick(event) !== undefined)
  }
  const count = (results: ReadonlyArray<boolean>) => results.filter(Boolean).length

  it("repeat for a seed, and differ between seeds and between faults", () => {
    assert.deepStrictEqual(fired(["rcpt:450:10%"], 7), fired(["rcpt:450:10%"], 7))
    assert.notDeepEqual(fired(["rcpt:450:10%"], 7), fired(["rcpt:450:10%"], 8))
    assert.notDeepEqual(fired(["rcpt:450:10%"], 7), fired(["mail:450:10%", "rcpt:450:10%"], 7))
  })

  it("are as asked for", () => {
    for (let seed = 0; seed < 20; seed++) {
      // Five standard deviations: the seeds are fixed, so this either holds for ever or never did.
      assert.approximately(count(fired(["rcpt:450:10%"], seed)), 1000, 150)
    }
    assert.strictEqual(count(fired(["rcpt:450:0%"], 1)), 0)
    assert.strictEqual(count(fired(["rcpt:450:100%"], 1)), 10_000)
  })

  it("count events: the n-th, the first few", () => {
    assert.deepStrictEqual(fired(["rcpt:450:nth=3"], 1, 5), [false, false, true, false, false])
    assert.deepStrictEqual(fired(["rcpt:450:first=2"], 1, 4), [true, true, false, false])
  })

  it("look at addresses without regard to letter case", () => {
    for (const [odds, expected] of [
      ["to=bob@*", true],
      ["to=*.EXAMPLE", true],
      ["to=bo?@*", false],
      ["from=ann@a.example:to=bob@b.example", true],
      ["from=ann", false]
    ] as const) {
      assert.strictEqual(fired([`rcpt:550:${odds}`], 1, 1)[0], expected, odds)
    }
  })

  it("leave the next fault its chance", () => {
    const script = new FaultScript(["rcpt:450:to=x@*", "rcpt:550"].map(Fault.parseUnsafe), 1, undefined)
    assert.deepStrictEqual(script.pick(event), Fault.reply(550))
  })
})
