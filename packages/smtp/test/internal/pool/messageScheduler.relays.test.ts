/** The scheduler at relays of all kinds, each with several seeds: waits, sessions opened and refused, share of the bound. */
import { assert, describe, it } from "@effect/vitest"
import { burst, type Options, type Outcome, simulate } from "../../support/simulatedRelay.ts"

const seeds = [1, 2, 3, 4, 5]

interface Relay {
  readonly service: Options["service"]
  /** Connections that it allows. */
  readonly allowed?: number
  /** The least share of the time of `busy` connections that serves messages. */
  readonly share: number
  readonly busy: number
  /** The longest wait of 99 of 100 messages, in milliseconds. */
  readonly p99: number
}

const exponential = (random: () => number, mean: number): number => -mean * Math.log(1 - random())

/** Of a load of 1,500 messages, 320 at once. */
const relays: Readonly<Record<string, Relay>> = {
  "takes always as long": { service: () => 50, share: 0.98, busy: 10, p99: 1_650 },
  "takes sometimes longer": { service: (random) => exponential(random, 50), share: 0.93, busy: 10, p99: 2_150 },
  // 20 ms at first, and after 4 s five times as much.
  "gets slower": { service: (_, __, at) => Math.min(100, 20 + at / 50), share: 0.98, busy: 10, p99: 3_300 },
  "has one slow back end of three": {
    service: (random, connection) => (connection % 3 === 0 ? 400 : 40) * (0.8 + 0.4 * random()),
    share: 0.93,
    busy: 10,
    p99: 2_200
  },
  // One message in 500 takes as long as a connection that is dead for a while.
  "stalls now and then": { service: (random) => (random() < 0.002 ? 3_000 : 50), share: 0.72, busy: 10, p99: 2_150 },
  "takes three connections": { service: () => 50, allowed: 3, share: 0.98, busy: 3, p99: 5_450 },
  "takes one connection": { service: () => 20, allowed: 1, share: 0.98, busy: 1, p99: 6_500 }
}

const waitOf = ({ ended }: Outcome, share: number): number =>
  ended.map(({ endedAt, takenAt }) => endedAt - takenAt).toSorted((a, b) => a - b)[
    Math.floor(share * (ended.length - 1))
  ]!

describe("MessageScheduler: relays of all kinds", () => {
  for (const [kind, { allowed, busy, p99, service, share }] of Object.entries(relays)) {
    it(`serves a relay that ${kind}`, () => {
      for (const seed of seeds) {
        const limit = allowed === undefined ? {} : { allowed }
        const outcome = simulate({ service, arrivals: burst(1_500), concurrency: 320, roundTrip: 5, seed, ...limit })
        assert.lengthOf(outcome.ended, 1_500)
        assert.isAtLeast(outcome.busyMs / (busy * outcome.endedAt), share, `share of the bound, seed ${seed}`)
        assert.isAtMost(waitOf(outcome, 0.99), p99, `wait of 99 %, seed ${seed}`)
        assert.strictEqual(outcome.opened, allowed ?? 10)
        // The others are asked for once, together.
        assert.isAtMost(outcome.refused, allowed === undefined ? 0 : 10 - allowed)
      }
    })
  }
})
