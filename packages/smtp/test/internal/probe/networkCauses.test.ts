/**
 * Causes of the network that no test on loopback can bring about.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Causes from "../../../src/internal/probe/networkCauses.ts"
import * as SmtpOptions from "../../../src/SmtpOptions.ts"

const settings = SmtpOptions.resolve({ host: "relay.test", port: 25 })
const nobody: Causes.OtherPorts = { open: [], isHostUp: false }
const attempt = (code: string, address = "192.0.2.1", family = 4): Causes.Unreached => ({ address, family, code })

describe("networkCauses", () => {
  it("finds a blocked port by the ports that answer", () => {
    const { advice, cause } = Causes.unreachable(settings, [attempt(Causes.timedOut)], { open: [587], isHostUp: true })
    assert.match(cause, /although the host answers on port 587: port 25 is blocked on the way/)
    assert.strictEqual(advice[0], "use port 587, which answers: `mailrace probe smtp://relay.test:587`")
  })

  it("suspects a firewall when nothing answers at all", () => {
    const { advice, cause } = Causes.unreachable(settings, [attempt(Causes.timedOut)], nobody)
    assert.match(cause, /: a firewall drops the packets, or the host is down$/)
    assert.match(advice.join(), /try 587 or 465.*traceroute/)
  })

  it("sees a machine without IPv6", () => {
    const { advice, cause } = Causes.unreachable(settings, [attempt("ENETUNREACH", "2001:db8::25", 6)], nobody)
    assert.match(cause, /no route to relay\.test:25 .*; relay\.test has only IPv6 addresses$/)
    assert.match(advice[0]!, /^check that this machine has IPv6/)
  })

  it("names the addresses that do not answer beside one that does", () => {
    const { advice, cause } = Causes.partlyUnreachable([attempt(Causes.timedOut, "2001:db8::25", 6)], 2)
    assert.strictEqual(cause, "1 of the relay's 2 addresses takes no connection: 2001:db8::25 (no answer)")
    assert.match(advice[0]!, /no IPv6/)
  })
})
