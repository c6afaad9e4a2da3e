/**
 * Which relay a message gets, in a simulation of arrivals and of relays that take their time: no fibers, no clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Relay, RelayGroup, take } from "../../src/internal/relayGroup.ts"
import { RelayHealth, trialMs } from "../../src/internal/relayHealth.ts"

const generator = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 0x7fffffff
  }
}

/** What a relay does with messages from a time on, in milliseconds. */
interface Fault {
  readonly from: number
  readonly afterMs: number
  readonly end: "failed" | "disturbed"
}

interface Simulated {
  readonly weight: number
  readonly room: number
  /** The mean time of a message in milliseconds. */
  readonly serviceMs: number
  readonly fault?: Fault | undefined
}

/** Sends messages that arrive at random, or as fast as they are taken, and counts what each relay accepted. */
const simulate = (relays: ReadonlyArray<Simulated>, options: { seed: number; messages: number; perSecond: number }) => {
  const random = generator(options.seed)
  const exponential = (mean: number): number => -Math.log(1 - random()) * mean
  const states = relays.map(({ room, weight }, index): Relay => ({
    name: `r${index}`,
    weight,
    isBackup: false,
    room,
    health: new RelayHealth(),
    inFlight: 0,
    pass: 0
  }))
  const group = new RelayGroup(states, false)
  const accepted = relays.map(() => 0)
  /** The most messages at once at an ill relay. */
  const peaks = relays.map(() => 0)
  const events: Array<{ readonly at: number; readonly run: () => void }> = []
  let now = 0
  let trials = 0
  let lastAt = 0
  /** The longest way of a message, with its turns at other relays and without the service of the one that took it. */
  let longestMs = 0
  const later = (delay: number, run: () => void): void => {
    const at = now + delay
    let low = 0
    for (let high = events.length; low < high;) {
      const middle = (low + high) >> 1
      if (events[middle]!.at > at) low = middle + 1
      else high = middle
    }
    events.splice(low, 0, { at, run })
  }
  const rest = (relay: Relay): void => {
    const { health } = relay
    later(health.restMs, () => {
      const trial = health.rested(relay.inFlight)
      group.resume()
      later(trialMs, () => {
        health.trialLasted(trial)
        group.resume()
      })
    })
  }
  const begin = (relay: Relay, tried: ReadonlyArray<Relay>, arrivedAt: number): void => {
    const index = states.indexOf(relay)
    const { answers, trials: trialsBefore } = relay.health
    const { fault, serviceMs } = relays[index]!
    const begunAt = now
    if (fault === undefined || now < fault.from) {
      longestMs = Math.max(longestMs, now - arrivedAt)
      later(exponential(serviceMs), () => {
        relay.inFlight--
        accepted[index]!++
        lastAt = now
        relay.health.ended("answered", answers, 0, 0, trialsBefore)
        group.resume()
      })
      return
    }
    trials++
    peaks[index] = Math.max(peaks[index]!, relay.inFlight)
    later(fault.afterMs, () => {
      relay.inFlight--
      if (relay.health.ended(fault.end, answers, 0, now - begunAt, trialsBefore)) rest(relay)
      seek([...tried, relay], arrivedAt)
      group.resume()
    })
  }
  const seek = (tried: ReadonlyArray<Relay>, arrivedAt: number): void => {
    const seeker = { tried, isUrgent: false, key: "" }
    const choice = group.choose(seeker)
    if (typeof choice === "string") {
      group.wait({ ...seeker, resume: (relay) => begin(relay!, tried, arrivedAt) })
    } else {
      take(choice)
      begin(choice, tried, arrivedAt)
    }
  }
  let arrived = 0
  const arrive = (): void => {
    seek([], now)
    if (++arrived < options.messages) later(exponential(1_000 / options.perSecond), arrive)
  }
  arrive()
  while (events.length > 0) {
    const { at, run } = events.pop()!
    now = at
    run()
  }
  return { accepted, longestMs, peaks, seconds: lastAt / 1_000, trials }
}

const faults: ReadonlyArray<readonly [does: string, fault: Omit<Fault, "from">]> = [
  ["refuses", { afterMs: 5, end: "failed" }],
  ["hangs", { afterMs: 10_000, end: "failed" }],
  ["says 421", { afterMs: 50, end: "disturbed" }]
]

const seeds = Array.from({ length: 20 }, (_, index) => 1_000 + 7 * index)

describe("RelayGroup", () => {
  it("gives each relay its share of 10,000 messages while none is full, however slow it is", () => {
    const relays: ReadonlyArray<Simulated> = [
      { weight: 3, room: 40, serviceMs: 20 },
      { weight: 1, room: 40, serviceMs: 200 },
      { weight: 2, room: 40, serviceMs: 80 }
    ]
    for (const seed of seeds) {
      const { accepted } = simulate(relays, { seed, messages: 10_000, perSecond: 300 })
      for (const [index, { weight }] of relays.entries())
        assert.approximately(accepted[index]! / ((10_000 * weight) / 6), 1, 0.05, `seed ${seed}, relay ${index}`)
    }
  })

  for (const [does, fault] of faults)
    for (const hasStarted of [false, true])
      it(`keeps the shares of those that are well beside one that ${does} ${hasStarted ? "in mid-run" : "from the start"}`, () => {
        const from = hasStarted ? 16_667 : 0
        const relays: ReadonlyArray<Simulated> = [
          { weight: 3, room: 40, serviceMs: 20 },
          { weight: 1, room: 40, serviceMs: 200 },
          { weight: 2, room: 40, serviceMs: 80, fault: { ...fault, from } }
        ]
        for (const seed of seeds) {
          const { accepted, longestMs, peaks } = simulate(relays, { seed, messages: 10_000, perSecond: 300 })
          const [first, second, third] = accepted as [number, number, number]
          assert.strictEqual(first + second + third, 10_000)
          // Of the messages that the third did not take, three of four go by the first; before it died, it had its third.
          assert.approximately(first / second, 3, 0.15, `seed ${seed}`)
          assert.approximately(third, hasStarted ? 5_000 / 3 : 0, 100, `seed ${seed}`)
          assert.isAtMost(longestMs, fault.afterMs + 100, `seed ${seed}`)
          if (!hasStarted) assert.isAtMost(peaks[2]!, 2)
        }
      })

  it("sends at the summed rate of the relays that are there when more comes than they take", () => {
    const relays: ReadonlyArray<Simulated> = [
      { weight: 1, room: 10, serviceMs: 10 },
      { weight: 1, room: 10, serviceMs: 300 },
      { weight: 5, room: 10, serviceMs: 10, fault: { from: 0, afterMs: 5, end: "failed" } }
    ]
    for (const seed of seeds.slice(0, 5)) {
      const { accepted, seconds, trials } = simulate(relays, { seed, messages: 20_000, perSecond: 100_000 })
      assert.strictEqual(accepted[0]! + accepted[1]!, 20_000)
      assert.isAtLeast(20_000 / seconds, 0.9 * (1_000 + 33), `seed ${seed}`)
      // Two at first, and one at the end of each rest of 1, 2, 4, 8 and then 15 seconds.
      assert.isAtMost(trials, 2 + Math.ceil(Math.log2(seconds + 1)) + seconds / 15)
    }
  })

  it("spreads keys over 200 sets of relays within 30 %, and moves those of a relay that leaves, until it is back", () => {
    const random = generator(7)
    const letters = "abcdefghijklmnopqrstuvwxyz0123456789-."
    const nameOf = (): string =>
      Array.from({ length: 1 + Math.floor(random() * 16) }, () => letters[Math.floor(random() * letters.length)]).join(
        ""
      )
    const keys = Array.from({ length: 1_200 }, (_, n) => `d${n}.test`)
    const moved = [...keys.entries()].slice(0, 100)
    for (let set = 0; set < 200; set++) {
      const names = new Set<string>()
      while (names.size < 2 + (set % 4)) names.add(nameOf())
      const relays = [...names].map((name): Relay => ({
        name,
        weight: 1,
        isBackup: false,
        room: 1,
        health: new RelayHealth(),
        inFlight: 0,
        pass: 0
      }))
      const group = new RelayGroup(relays, true)
      const home = (key: string) => (group.choose({ tried: [], isUrgent: false, key }) as Relay).name
      const first = keys.map(home)
      for (const name of names) {
        const share = (first.filter((one) => one === name).length * names.size) / keys.length
        assert.approximately(share, 1, 0.3, `${name} of ${[...names].join(", ")}`)
      }
      const [leaver] = relays
      leaver!.health.ended("failed", 0)
      for (const [index, key] of moved) {
        const now = home(key)
        if (first[index] === leaver!.name) assert.notStrictEqual(now, leaver!.name)
        else assert.strictEqual(now, first[index])
      }
      leaver!.health.rested()
      leaver!.health.ended("answered", 0)
      for (const [index, key] of moved) assert.strictEqual(home(key), first[index])
    }
  })
})
