/**
 * The dispatcher under limits: what they hold back is not claimed, and they hold no other lane or tenant up.
 */
import { assert, describe, it } from "@effect/vitest"
import { FlowControl } from "@mailrace/flow/FlowControl"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Result from "effect/Result"
import { LaneScheduler } from "../src/internal/dispatch/laneScheduler.ts"
import type { ClaimedRow, HeldTenant, LaneQuota, TenantQuota } from "../src/OutboxStore.ts"

const everything = () => Infinity

/**
 * A dispatcher over lanes without end, in virtual time: each message takes `serviceMs`. A lane may have messages of several
 * tenants, which are claimed in their order unless tenants have quotas. Gives when each lane and tenant sent.
 */
const dispatch = (
  options: FlowOptions.Options,
  lanes: ReadonlyArray<readonly [lane: string, tenant: string, messages: number]>,
  { concurrency = 10, serviceMs = 10, untilMs = 5000 } = {}
) => {
  const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve(options, 0)), concurrency)
  const scheduler = new LaneScheduler(concurrency, 500, flow)
  const left = lanes.map(([lane, tenant, messages]) => ({ lane, tenant, messages }))
  const claim = (quotas: ReadonlyArray<LaneQuota>, tenants: ReadonlyArray<TenantQuota> | undefined) => {
    const rests = new Map(tenants?.map(({ limit, tenant }) => [tenant, limit]))
    const held: Array<HeldTenant> = []
    const rows = quotas.flatMap(({ lane, limit }) => {
      const waiting = left.filter((one) => one.lane === lane && one.messages > 0)
      const weightOf = (tenant: string) => tenants?.find((one) => one.tenant === tenant)?.weight ?? 1
      const weights = waiting.reduce((sum, { tenant }) => sum + weightOf(tenant), 0)
      let rest = limit
      return waiting.flatMap((one) => {
        const cap = rests.get(one.tenant) ?? Infinity
        const share = tenants === undefined ? limit : Math.ceil((limit * weightOf(one.tenant)) / weights)
        const count = Math.min(share, rest, one.messages, cap)
        rest -= count
        one.messages -= count
        rests.set(one.tenant, cap - count)
        if (one.messages > 0 && cap - count === 0) held.push({ lane, tenant: one.tenant })
        return Array.from({ length: count }, () => ({ lane, tenant: one.tenant }) as ClaimedRow)
      })
    })
    return { rows, held }
  }
  for (const [lane] of lanes) scheduler.addDue({ bucket: 0, lane })
  const sent: Array<{ readonly lane: string; readonly tenant: string; readonly at: number }> = []
  const claimedOf = new Map<string, number>()
  let ending: Array<{ readonly at: number; readonly end: (now: number) => void }> = []
  let claimed = 0
  let mostClaimed = 0
  for (let now = 0; now < untilMs; now++) {
    for (const { at, end } of ending) if (at === now) end(now)
    ending = ending.filter(({ at }) => at > now)
    if (now % 50 === 0 && scheduler.isLow) {
      const quotas = scheduler.quotas(250, now, everything)
      const { held, rows } = claim(quotas, scheduler.tenantQuotas(quotas, now))
      claimed += rows.length
      for (const { tenant } of rows) claimedOf.set(tenant, (claimedOf.get(tenant) ?? 0) + 1)
      scheduler.add(quotas, rows, [], held)
      mostClaimed = Math.max(mostClaimed, scheduler.queued)
    }
    for (const begun of scheduler.take(concurrency - scheduler.sending, now)) {
      sent.push({ lane: begun.row.lane, tenant: begun.row.tenant, at: now })
      ending.push({
        at: now + serviceMs,
        end: (at) => void scheduler.end(begun, { _tag: "Success" }, at, { _tag: "Success" })
      })
    }
  }
  return {
    claimed,
    claimedOf,
    flow,
    mostClaimed,
    of: (name: string) => sent.filter(({ lane, tenant }) => lane === name || tenant === name),
    scheduler,
    sent
  }
}

describe("limits of the dispatcher", () => {
  it("claim about as much as the relay's limit lets through, and keep to it", () => {
    const run = dispatch({ rate: ["14/s", "50/h"] }, [["a.test", "", 1_000_000]], { untilMs: 5000 })
    assert.isAtMost(run.sent.length, 50 * (61 / 60))
    assert.isAtLeast(run.sent.length, 50)
    assert.isAtMost(run.mostClaimed, 16)
    assert.isAtMost(run.claimed, run.sent.length + 16)
    assert.deepInclude(run.flow.waiting(5000)[0], { gate: "rate" })
  })

  it("send a lane without limits at its full rate beside one with a million held back", () => {
    const lanes = [
      ["held.test", "", 1_000_000],
      ["free.test", "", 3000]
    ] as const
    const alone = dispatch({}, lanes.slice(1), { untilMs: 3100 })
    const beside = dispatch({ lanes: { "held.test": { rate: ["20/s"] } } }, lanes, { untilMs: 3100 })
    assert.isAtLeast(beside.of("free.test").length, 0.9 * alone.of("free.test").length)
    assert.approximately(beside.of("held.test").length, 62, 3)
  })

  it("send ten messages of a tenant at once beside a million of another", () => {
    const run = dispatch({ tenants: { big: { rate: ["100/s"] }, small: {} } }, [
      ["big.test", "big", 1_000_000],
      ["small.test", "small", 10]
    ])
    assert.isAtMost(run.of("small.test")[9]!.at, 1000)
    assert.isAtMost(run.of("big.test").length, 505)
  })

  it("send ten messages of a tenant at once in the lane of a million of another, and claim no more than that may send", () => {
    const run = dispatch({ tenants: { big: { rate: ["100/s"] } } }, [
      ["a.test", "big", 1_000_000],
      ["a.test", "small", 10]
    ])
    assert.isAtMost(run.of("small")[9]!.at, 1000)
    assert.approximately(run.of("big").length, 500, 10)
    assert.isAtMost(run.claimedOf.get("big")!, run.of("big").length + 110)
    assert.deepInclude(run.flow.waiting(5000), { ...run.flow.waiting(5000)[0]!, gate: "tenant", key: "big" })
  })

  it("claim nothing of a tenant whose daily limit is used up, and report until when", () => {
    const run = dispatch({ tenants: { big: { rate: ["20/d"] }, idle: { rate: ["5/d"] } } }, [
      ["a.test", "big", 1_000_000],
      ["b.test", "big", 1_000_000],
      ["b.test", "", 30]
    ])
    assert.lengthOf(run.of("big"), 20)
    assert.lengthOf(run.of(""), 30)
    assert.strictEqual(run.claimedOf.get("big"), 20)
    assert.strictEqual(run.scheduler.dueLanes, 2)
    const [wait] = run.flow.waiting(5000)
    assert.deepInclude(wait, { gate: "tenant", key: "big" })
    assert.isAbove(wait!.until, 86_400_000)
    assert.lengthOf(run.flow.waiting(5000), 1)
  })

  it("claim about as many messages as a tenant's limit on bytes lets through", () => {
    const flow = new FlowControl(
      Result.getOrThrow(FlowOptions.resolve({ tenants: { t: { rate: ["10000 bytes/h"] } } }, 0)),
      10
    )
    const scheduler = new LaneScheduler(10, 500, flow)
    const dueLane = { bucket: 0, lane: "a.test" }
    const row = { lane: "a.test", tenant: "t", content: "x".repeat(500), envelope: "{}", shared: [] as const }
    scheduler.addDue(dueLane)
    let claimed = 0
    let sent = 0
    for (let now = 0; now < 20_000; now += 100) {
      const quotas = scheduler.quotas(250, now, everything)
      const count = scheduler.tenantQuotas(quotas, now)?.[0]?.limit ?? 0
      claimed += count
      const rows = Array.from({ length: count }, () => ({ ...row }) as unknown as ClaimedRow)
      scheduler.add(quotas, rows, [], quotas.length === 0 ? [] : [{ lane: "a.test", tenant: "t" }])
      for (const begun of scheduler.take(10, now)) {
        sent++
        scheduler.end(begun, { _tag: "Success" }, now, { _tag: "Success" })
      }
    }
    assert.approximately(sent, 20, 1)
    assert.isAtMost(claimed, 25)
  })

  it("give the tenants of a lane turns by their weights", () => {
    const run = dispatch({ tenants: { big: { weight: 3 }, small: {} } }, [
      ["a.test", "big", 1_000_000],
      ["a.test", "small", 1_000_000]
    ])
    const half = run.sent.slice(500)
    const big = half.filter(({ tenant }) => tenant === "big").length
    assert.approximately(big / half.length, 0.75, 0.05)
  })

  it("let a lane rest only while its tenants are at their limits and its bucket is owned", () => {
    const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve({ tenants: { t: { rate: ["1/m"] } } }, 0)), 10)
    const scheduler = new LaneScheduler(10, 500, flow)
    const dueLane = { bucket: 7, lane: "a.test" }
    scheduler.addDue(dueLane)
    const claim = (now: number, held: boolean) => {
      const quotas = scheduler.quotas(250, now, everything)
      const tenants = scheduler.tenantQuotas(quotas, now)
      const rows = tenants?.[0]?.limit === 1 ? [{ lane: "a.test", tenant: "t" } as ClaimedRow] : []
      if (quotas.length > 0) scheduler.add(quotas, rows, [], held ? [{ lane: "a.test", tenant: "t" }] : [])
      for (const begun of scheduler.take(10, now)) scheduler.end(begun, { _tag: "Success" }, now, { _tag: "Success" })
      return quotas.length
    }
    assert.strictEqual(claim(0, true), 1)
    assert.strictEqual(claim(0, true), 1)
    assert.strictEqual(claim(100, true), 0)
    assert.strictEqual(scheduler.dueLanes, 1)
    // Its messages may be gone.
    assert.strictEqual(scheduler.claimsOpenAt, 5000)
    assert.strictEqual(claim(5000, true), 1)
    assert.strictEqual(claim(5001, true), 0)
    scheduler.leave(new Set([7]))
    assert.strictEqual(scheduler.dueLanes, 0)
  })

  it("count the recipients of each message, and claim no more messages than they leave room for", () => {
    const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve({ rate: ["100 recipients/s"] }, 0)), 10)
    const scheduler = new LaneScheduler(10, 500, flow, { recipientsOf: () => 20 })
    const dueLane = { bucket: 0, lane: "a.test" }
    scheduler.addDue(dueLane)
    let sent = 0
    let claimed = 0
    for (let now = 0; now < 10_000; now += 10) {
      if (now % 100 === 0) {
        const quotas = scheduler.quotas(250, now, everything)
        const count = quotas.reduce((sum, { limit }) => sum + limit, 0)
        scheduler.add(
          quotas,
          Array.from({ length: count }, () => ({ lane: "a.test", tenant: "" }) as ClaimedRow),
          []
        )
        claimed += count
      }
      for (const begun of scheduler.take(10, now)) {
        sent++
        scheduler.end(begun, { _tag: "Success" }, now, { _tag: "Success" })
      }
    }
    // Twenty recipients each: five messages a second.
    assert.approximately(sent, 50, 3)
    // The first claim does not know yet how many recipients messages have.
    assert.isAtMost(claimed - sent, 110)
  })

  it("leave due messages in the store while the circuit is open", () => {
    const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve({ circuit: true }, 0)), 10)
    const scheduler = new LaneScheduler(10, 500, flow)
    scheduler.addDue({ bucket: 0, lane: "a.test" })
    const quotas = scheduler.quotas(250, 0, everything)
    scheduler.add(
      quotas,
      Array.from({ length: 20 }, () => ({ lane: "a.test", tenant: "" }) as ClaimedRow),
      []
    )
    for (const begun of scheduler.take(5, 0))
      scheduler.end(begun, { _tag: "Neutral" }, 0, { _tag: "RelayFailure", askedMs: 0 })
    assert.deepStrictEqual(scheduler.take(5, 1), [])
    assert.strictEqual(scheduler.limitsOpenAt(1), 1000)
    scheduler.addDue({ bucket: 0, lane: "b.test" })
    assert.deepStrictEqual(scheduler.quotas(250, 1, everything), [])
    assert.strictEqual(scheduler.quotas(250, 1000, everything)[0]?.lane, "b.test")
    const trial = scheduler.take(5, 1000)
    assert.strictEqual(trial.length, 1)
    scheduler.end(trial[0]!, { _tag: "Success" }, 1001, { _tag: "Success" })
    assert.strictEqual(scheduler.take(5, 1001).length, 5)
  })

  it("claim no more than about a second's worth for a relay that has asked to slow down", () => {
    const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve({ adaptive: true }, 0)), 10)
    const scheduler = new LaneScheduler(10, 500, flow)
    scheduler.addDue({ bucket: 0, lane: "a.test" })
    const facts = { tenant: "", lane: "a.test", cost: { recipients: 1, bytes: 0 } }
    flow.end(flow.admit(facts, 0), { _tag: "Complaint", about: "rate", askedMs: 0 }, 1)
    const claimed = scheduler.quotas(250, 10, everything).reduce((sum, { limit }) => sum + limit, 0)
    assert.isAtMost(claimed, 3)
    assert.isAtLeast(claimed, 1)
  })

  it("keep a lane to as many messages at once as a reply asks for, and start the next as one ends", () => {
    const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve({ asked: "lanes" }, 0)), 10)
    const scheduler = new LaneScheduler(10, 500, flow)
    const dueLane = { bucket: 0, lane: "a.test" }
    scheduler.addDue(dueLane)
    const rows = Array.from({ length: 8 }, () => ({ lane: "a.test", tenant: "" }) as ClaimedRow)
    scheduler.add([{ ...dueLane, limit: 8 }], rows, [])
    const [first] = scheduler.take(1, 0)
    const asked = { about: "lane", isOfRelay: false, connections: 2, forMs: 60_000 } as const
    scheduler.end(first!, { _tag: "Neutral" }, 0, { _tag: "Neutral", asked: [asked] })
    const two = scheduler.take(10, 1)
    assert.lengthOf(two, 2)
    assert.strictEqual(scheduler.limitsOpenAt(1), 60_000)
    scheduler.addDue(dueLane)
    assert.deepStrictEqual(scheduler.quotas(100, 1, everything), [])
    scheduler.end(two[0]!, { _tag: "Success" }, 2, { _tag: "Success" })
    assert.lengthOf(scheduler.take(10, 2), 1)
    assert.lengthOf(scheduler.take(10, 60_000), 4)
  })

  for (const about of ["lane", "relay"] as const)
    it(`show the pause of a ${about} to its end, although a message that was on its way is still taken`, () => {
      const scheduler = new LaneScheduler(10, 500)
      const changes: Array<string> = []
      scheduler.onChange = ({ _tag }) => void changes.push(_tag)
      const dueLane = { bucket: 0, lane: "a.test" }
      const add = (count: number) => {
        const rows = Array.from({ length: count }, () => ({ lane: "a.test", tenant: "" }) as ClaimedRow)
        scheduler.add([{ ...dueLane, limit: count }], rows, [])
      }
      add(3)
      const [first, second, third] = scheduler.take(3, 0)
      scheduler.end(first!, { _tag: "Pause", about, ms: 3_600_000 }, 1, undefined, "421 later")
      scheduler.end(second!, { _tag: "Success" }, 2)
      scheduler.end(third!, { _tag: "Complaint", about, askedMs: 0 }, 3)
      assert.deepStrictEqual(changes, ["LeftAlone"])
      const key = about === "lane" ? "a.test" : undefined
      assert.deepInclude(scheduler.waits(4), {
        gate: about === "lane" ? "lane" : "pace",
        key,
        since: 1,
        until: 3_600_001,
        reply: "421 later"
      })
      add(1)
      const [probe] = scheduler.take(1, 3_600_001)
      scheduler.end(probe!, { _tag: "Success" }, 3_600_002)
      assert.deepStrictEqual(changes, ["LeftAlone", "TakesAgain"])
      assert.deepStrictEqual(scheduler.waits(3_600_003), [])
    })
})
