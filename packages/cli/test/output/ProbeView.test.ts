/**
 * A probe's report fits the terminal.
 */
import type * as Probe from "@mailrace/smtp/Probe"
import { assert, describe, it } from "@effect/vitest"
import * as ProbeView from "../../src/output/ProbeView.ts"

const report: Probe.Report = {
  target: "smtp://relay.example:25",
  ok: true,
  phases: [
    { name: "dns", ms: 10, ok: true, detail: "192.0.2.1 (TTL 300 s)" },
    { name: "tcp", ms: 20, ok: true, detail: "connected to 192.0.2.1" },
    { name: "greeting", ms: 970, ok: true, detail: `relay.example ${"x".repeat(200)}` }
  ],
  addresses: [
    { address: "192.0.2.1", ttl: 300, connectMs: 20, problem: null },
    { address: "2001:db8::1", ttl: 300, connectMs: null, problem: "TIMEOUT" }
  ],
  exchangers: [{ exchange: "mx.relay.example", priority: 10 }],
  greeting: "relay.example",
  extensions: [],
  auth: { offered: [], mechanism: null, loggedIn: false },
  tls: null,
  pipelining: { selfTest: "skipped", mode: "off", why: "the probe did not come that far" },
  limits: { size: null, maxRecipients: null, maxMessages: null },
  roundTripMs: 20,
  messages: [],
  diagnosis: {
    phase: "greeting",
    cause: "the relay takes its time before it greets (970 ms)",
    advice: ["give this machine's address a PTR record", "wait it out"]
  }
}

describe("ProbeView", () => {
  it("begins each bar where the one before it ended, in proportion to its time", () => {
    const lines = ProbeView.render(report, { colors: false, columns: undefined }).split("\n")
    const bars = lines.filter((line) => line.includes("█")).map((line) => [line.indexOf("█"), line.lastIndexOf("█")])
    assert.lengthOf(bars, 3)
    assert.isAtLeast(bars[2]![0]!, bars[1]![0]!)
    assert.strictEqual(bars[2]![1]! - bars[2]![0]! + 1, 27)
  })

  it.each([60, 80, 120])("has no line wider than %i columns", (columns) => {
    for (const line of ProbeView.render(report, { colors: false, columns }).split("\n"))
      assert.isAtMost(line.length, columns, line)
    assert.isAtMost(ProbeView.line({ ...report, ok: false }, { colors: false, columns }).length, columns - 20)
  })

  it("says what to try first, and then", () => {
    assert.match(
      ProbeView.render(report, { colors: false, columns: 100 }),
      /look at greeting: the relay takes its time before it greets \(970 ms\)\n {2}try: {2}give .*\n {2}then: wait it out\n$/
    )
  })

  it("shows an address that takes no connection", () => {
    assert.match(
      ProbeView.render(report, { colors: false, columns: 100 }),
      /^addresses +192\.0\.2\.1: connected in 20 ms, TTL 300 s\n +2001:db8::1: no connection \(TIMEOUT\), TTL 300 s$/m
    )
  })
})
