/** What a confirmation of ownership allows, and for how long. */
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as Confirmation from "../src/internal/dispatch/confirmation.ts"

const leaseMs = 1000
const exclusiveMs = 100

describe("a confirmation of ownership", () => {
  let monotonic = 0
  let wall = 0
  let asked = 0

  /** One that is granted now. */
  const granted = (exclusiveMs: number) => {
    const confirmation = new Confirmation.Confirmation(leaseMs)
    confirmation.onRenew(() => void asked++)
    confirmation.granted(Confirmation.now(), exclusiveMs)
    return confirmation
  }
  const pass = (ms: number) => {
    monotonic += ms
    wall += ms
  }

  beforeEach(() => {
    monotonic = wall = 1_000_000
    asked = 0
    vi.spyOn(performance, "now").mockImplementation(() => monotonic)
    vi.spyOn(Date, "now").mockImplementation(() => wall)
  })
  afterEach(() => vi.restoreAllMocks())

  it("allows any number of messages while it is exclusive, and asks for no other confirmation", () => {
    const confirmation = granted(exclusiveMs)
    pass(exclusiveMs - 1)
    confirmation.spend(1000, 10)
    assert.strictEqual(confirmation.left(10), Infinity)
    assert.strictEqual(asked, 0)
  })

  it("allows a number of messages after that, and asks for another before they are used up", () => {
    const confirmation = granted(exclusiveMs)
    confirmation.spend(1000, 10)
    pass(exclusiveMs)
    assert.strictEqual(confirmation.left(10), 10)
    confirmation.spend(6, 10)
    assert.strictEqual(asked, 0)
    confirmation.spend(1, 10)
    confirmation.spend(3, 10)
    assert.deepStrictEqual([confirmation.left(10), asked], [0, 1])
    confirmation.granted(Confirmation.now(), exclusiveMs)
    assert.strictEqual(confirmation.left(10), Infinity)
  })

  it("counts from the first message if it is never exclusive", () => {
    const confirmation = granted(0)
    confirmation.spend(4, 10)
    assert.strictEqual(confirmation.left(10), 6)
  })

  it("is not exclusive by the monotonic clock alone, which stands still while a machine is suspended", () => {
    const confirmation = granted(exclusiveMs)
    wall += exclusiveMs
    assert.strictEqual(confirmation.left(10), 10)
    wall += leaseMs
    assert.deepStrictEqual([confirmation.left(10), confirmation.isValid], [0, false])
  })

  it("ends when it is revoked and with the lease", () => {
    const revoked = granted(exclusiveMs)
    revoked.revoke()
    assert.deepStrictEqual([revoked.left(10), revoked.isValid], [0, false])
    const old = granted(exclusiveMs)
    pass(leaseMs)
    assert.deepStrictEqual([old.left(10), old.isValid], [0, false])
  })
})
