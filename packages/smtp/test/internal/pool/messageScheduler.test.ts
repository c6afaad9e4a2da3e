import { assert, describe, it } from "@effect/vitest"
import { MessageScheduler, Place, type Session, type Wish } from "../../../src/internal/pool/messageScheduler.ts"
import { burst, type Options, simulate } from "../../support/simulatedRelay.ts"

const constant =
  (ms: number): Options["service"] =>
  () =>
    ms
const exponential =
  (mean: number): Options["service"] =>
  (random) =>
    -mean * Math.log(1 - random())

/** The share of ten connections' time that served messages. */
const share = (options: Options, sessions = 10): number => {
  const { busyMs, endedAt } = simulate(options)
  return busyMs / (sessions * endedAt)
}

const waits = (options: Options): ReadonlyArray<number> =>
  simulate(options).ended.map(({ arrivedAt, endedAt }) => endedAt - arrivedAt)

describe("MessageScheduler: breadth before depth", () => {
  for (const [count, service] of [
    [20, 500],
    [40, 300],
    [200, 100]
  ] as const) {
    it(`spreads a burst of ${count} over all connections where a message takes ${service} ms`, () => {
      const { ended, endedAt, opened } = simulate({ service: constant(service), arrivals: burst(count) })
      assert.strictEqual(opened, 10)
      assert.isAtMost(endedAt, 1.05 * (count / 10) * service + 10)
      const loads = Map.groupBy(ended, ({ connection }) => connection)
      for (const { length } of loads.values()) assert.isAtMost(Math.abs(length - count / 10), 1)
    })
  }

  it("is late by no more than two openings and the silence that tells a relay that thinks from one that is far", () => {
    const { endedAt, opened } = simulate({ service: constant(500), roundTrip: 20, arrivals: burst(20) })
    assert.strictEqual(opened, 10)
    // Opening takes four round trips; the replies to the first and the last message one each, and the first depth is one.
    assert.isAtMost(endedAt, 2 * 500 + 3 * 80 + 3 * 20)
  })

  it("takes a relay for one that thinks as soon as a prompt one would have answered, a round trip at least", () => {
    const { endedAt, opened } = simulate({ service: constant(300), roundTrip: 20, arrivals: burst(40) })
    assert.strictEqual(opened, 10)
    assert.isAtMost(endedAt, 1.15 * (4 * 300 + 80))
  })

  it("opens few connections for a burst that one carries about as soon as another opens", () => {
    const { opened } = simulate({ service: constant(0.1), roundTrip: 20, arrivals: burst(20) })
    assert.isAtMost(opened, 3)
  })

  it("opens one connection for messages that come one at a time", () => {
    const arrivals = Array.from({ length: 50 }, (_, n) => ({ at: n * 400 }))
    const { deepest, opened } = simulate({ service: constant(300), arrivals })
    assert.deepEqual([opened, deepest], [1, 1])
  })

  it("places no second message on a connection while another could be opened", () => {
    const { deepest, opened } = simulate({ service: constant(400), arrivals: burst(10) })
    assert.deepEqual([opened, deepest], [10, 1])
  })

  it("opens no more connections than there are messages", () => {
    assert.strictEqual(simulate({ service: constant(1000), arrivals: burst(4) }).opened, 4)
  })

  it("opens further connections for a queue that does not get empty", () => {
    const options = { service: constant(5), roundTrip: 20, arrivals: burst(5000), concurrency: 20 }
    assert.isAtLeast(simulate(options).opened, 2)
  })

  it("adapts to a relay that gets slower while it works", () => {
    const rising: Options["service"] = (_, __, at) => (at < 2000 ? 1 : 200)
    const { opened } = simulate({ service: rising, arrivals: burst(2100), concurrency: 30 })
    assert.strictEqual(opened, 10)
  })
})

describe("MessageScheduler: the share of the bound", () => {
  for (const roundTrip of [0.2, 20, 80]) {
    for (const service of [10, 50, 300]) {
      it(`is reached where a message takes ${service} ms and a round trip ${roundTrip} ms`, () => {
        // Ninety seconds of work, of which the first connections take some to open.
        const arrivals = burst(Math.ceil(90_000 / service) * 10)
        assert.isAtLeast(share({ service: constant(service), roundTrip, arrivals, concurrency: 320 }), 0.95)
      })
    }

    it(`is reached where service times vary and a round trip takes ${roundTrip} ms`, () => {
      const options = { service: exponential(50), roundTrip, arrivals: burst(12_000), concurrency: 320 }
      assert.isAtLeast(share(options), 0.9)
    })
  }

  it("goes deep where the relay is quick and far", () => {
    const { deepest, endedAt } = simulate({
      service: constant(0.05),
      roundTrip: 20,
      arrivals: burst(20_000),
      concurrency: 320
    })
    assert.strictEqual(deepest, 32)
    assert.isAtMost(endedAt, 1.3 * (20_000 / 320) * 20)
  })

  it("is reached with few messages handed over: two beyond what is served", () => {
    const { deepest } = simulate({ service: constant(100), roundTrip: 20, arrivals: burst(2000), concurrency: 320 })
    assert.isAtMost(deepest, 3)
  })
})

describe("MessageScheduler: uneven sessions", () => {
  it("gives a slow back end fewer messages, and none at the end that holds up the rest", () => {
    const slowThird: Options["service"] = (_, connection) => (connection % 3 === 0 ? 1000 : 50)
    const { ended, endedAt } = simulate({ service: slowThird, arrivals: burst(600), concurrency: 320 })
    const slow = ended.filter(({ connection }) => connection % 3 === 0).length
    // Seven connections at 50 ms take 600 messages in 4.3 s; the three slow ones take 12 of them meanwhile.
    assert.isAtMost(slow, 20)
    assert.isAtMost(endedAt, 5500)
  })

  it("leaves a connection alone that does not answer", () => {
    const stalling: Options["service"] = (_, connection) => (connection === 2 ? 60_000 : 50)
    const ended = waits({ service: stalling, arrivals: burst(500), concurrency: 320 }).toSorted((a, b) => a - b)
    // The one that was on the connection when it fell silent waits; no other does.
    assert.isAtMost(ended.filter((ms) => ms > 10_000).length, 1)
  })
})

describe("MessageScheduler: connections that a relay limits", () => {
  it("uses the allowed sessions and rarely tries for more", () => {
    const options = { service: constant(50), allowed: 3, arrivals: burst(600), concurrency: 320 }
    const { opened, refused } = simulate(options)
    assert.strictEqual(opened, 3)
    assert.isAtMost(refused, 7)
    assert.isAtLeast(share(options, 3), 0.9)
  })

  it("remembers the limit over bursts: 20 of them, one a minute, meet at most 27 refusals", () => {
    const arrivals = Array.from({ length: 20 }, (_, n) => burst(40, n * 60_000)).flat()
    const { ended, refused } = simulate({ service: constant(300), allowed: 3, arrivals, idleTimeToLiveMs: 10_000 })
    assert.lengthOf(ended, 800)
    assert.isAtMost(refused, 27)
  })
})

describe("MessageScheduler: urgent messages", () => {
  const campaign = burst(4000).map((arrival) => ({ ...arrival, isUrgent: false }))
  const lone = Array.from({ length: 60 }, (_, n) => ({ at: 500 + n * 100, isUrgent: true }))
  const service = constant(20)

  it("do not wait behind a campaign", () => {
    const arrivals = [...campaign, ...lone].toSorted((a, b) => a.at - b.at)
    const { ended } = simulate({ service, arrivals })
    const urgent = ended.filter(({ isUrgent }) => isUrgent).map(({ arrivedAt, endedAt }) => endedAt - arrivedAt)
    assert.isAtMost(Math.max(...urgent), 3 * 20.4)
  })

  it("do not keep the others from being sent", () => {
    const arrivals = [...burst(400).map((arrival) => ({ ...arrival, isUrgent: true })), ...burst(100)]
    const { ended } = simulate({ service, arrivals })
    const half = ended.slice(0, 250)
    assert.isAtLeast(half.filter(({ isUrgent }) => !isUrgent).length, 50)
  })
})

describe("MessageScheduler: placed messages", () => {
  const options = { maxSessions: 2, minSessions: 0, maxDepth: 32, idleTimeToLiveMs: 1000, maxWaitMs: 5000 }
  const wish: Wish = { units: 1, isUrgent: false, isAlone: false }
  const session = (depth: number, pace?: number): Session => ({ depth, pace })

  class Noted extends Place<Session> {
    readonly placed: Array<Session> = []

    override onPlaced(session: Session): void {
      this.placed.push(session)
    }
  }

  const open = (...sessions: ReadonlyArray<Session>) => {
    const scheduler = new MessageScheduler<Session>(options)
    for (const each of sessions) {
      scheduler.openingBegan()
      scheduler.opened(each, 10, 0)
    }
    const add = (wanted: Partial<Wish> = {}) => {
      const place = new Noted({ ...wish, ...wanted })
      scheduler.add(place, 0)
      scheduler.placeAll(0)
      return { place, placed: place.placed }
    }
    return { scheduler, add }
  }

  it("shares no session with a message that goes alone", () => {
    const only = session(8, 1)
    const { add, scheduler } = open(only)
    const alone = add({ isAlone: true })
    const other = add()
    assert.deepEqual([alone.placed, other.placed], [[only], []])
    scheduler.remove(alone.place, 1)
    scheduler.placeAll(1)
    assert.deepEqual(other.placed, [only])
    assert.isEmpty(add({ isAlone: true }).placed)
  })

  it("counts large messages by their size", () => {
    const only = session(4, 1)
    const { add } = open(only)
    assert.lengthOf(add({ units: 5 }).placed, 1)
    assert.isEmpty(add().placed)
  })

  it("lets idle sessions go after their time, down to those that are kept", () => {
    const [a, b] = [session(1, 1), session(1, 1)]
    const { scheduler } = open(a, b)
    assert.isEmpty(scheduler.expired(999))
    assert.lengthOf(scheduler.expired(1000), 2)
    assert.strictEqual(scheduler.changesIn(0), 1000)
  })

  it("names a session that has stalled while another could take what it has not begun", () => {
    const [a, b] = [session(2, 10), session(2, 10)]
    const { add, scheduler } = open(a, b)
    for (let n = 0; n < 4; n++) add()
    assert.isEmpty(scheduler.stalled(500))
    const [first] = [add()]
    assert.isEmpty(first.placed)
    // Both are silent, so that moving would not help.
    assert.isEmpty(scheduler.stalled(2000))
  })

  it("gives up a line that stands still, and none that moves, however long", () => {
    const { add, scheduler } = open(session(1, 4000))
    const places = Array.from({ length: 6 }, () => add().place)
    for (const [n, place] of places.slice(0, 4).entries()) {
      const now = (n + 1) * 4000
      scheduler.remove(place, now)
      scheduler.placeAll(now)
      assert.isFalse(scheduler.isStuck(now + 4999))
    }
    assert.strictEqual(scheduler.waiting, 1)
    assert.isAtMost(scheduler.changesIn(20_999), 1)
    assert.isTrue(scheduler.isStuck(21_000))
    scheduler.takeWaiting()
    assert.isFalse(scheduler.isStuck(60_000))
  })

  it("withdraws a waiting message that is no longer to be sent", () => {
    const { add, scheduler } = open(session(1, 1))
    add()
    const { place } = add()
    assert.strictEqual(scheduler.waiting, 1)
    scheduler.remove(place, 0)
    assert.deepEqual([scheduler.waiting, scheduler.backlog], [0, 1])
  })
})
