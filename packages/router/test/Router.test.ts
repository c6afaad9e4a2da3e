/** Several relays behind one transport, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as Router from "../src/Router.ts"
import * as Scripted from "./support/scriptedRelay.ts"

/** Runs an effect while time goes by, and gives its result. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>, step = 10) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(step)
    return yield* Fiber.join(fiber)
  })

const sendAll = (transport: MailTransport["Service"], count: number, options: Mailer.Options = {}) =>
  Stream.range(1, count).pipe(
    Stream.map((n) => Scripted.message(n)),
    Mailer.sendAll(options),
    Stream.runCollect,
    Effect.provideService(MailTransport, transport)
  )

const routed = (relays: Router.Options["relays"], options: Partial<Router.Options> = {}) =>
  Router.make({ relays, ...options })

const total = (relays: ReadonlyArray<Scripted.ScriptedRelay>) =>
  relays.reduce((sum, { accepted }) => sum + accepted.length, 0)

describe("Router: weights", () => {
  it.effect("give each relay its share while none is full", () =>
    Effect.gen(function* () {
      for (const weights of [
        [1, 1, 1],
        [3, 1, 2],
        [9, 1, 5],
        [0.5, 2.5, 7],
        [100, 1, 1]
      ]) {
        const relays = weights.map((_, index) => Scripted.make(`r${index}`, Scripted.accepting()))
        const { transport } = yield* routed(relays.map((relay, index) => ({ ...relay, weight: weights[index]! })))
        for (let n = 0; n < 2_000; n++) yield* transport.send(Scripted.message(n))
        const sum = weights.reduce((left, right) => left + right, 0)
        for (const [index, { begun }] of relays.entries())
          assert.approximately(begun.length, (2_000 * weights[index]!) / sum, 2, weights.join(":"))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("do not hold back a relay that has room while another is full", () =>
    Effect.gen(function* () {
      const quick = Scripted.make("quick", Scripted.accepting(10))
      const slow = Scripted.make("slow", Scripted.accepting(500))
      const { transport } = yield* routed([
        quick,
        { ...slow, weight: 3 },
        Scripted.make("gone", Scripted.failing(Scripted.refused))
      ])
      const begun = yield* Clock.currentTimeMillis
      yield* inTime(sendAll(transport, 2_000))
      const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
      // Ten at once: 1,000 a second by the quick one and 20 by the slow one.
      assert.isAtLeast(2_000 / seconds, 0.9 * 1_020)
      assert.isAtLeast(slow.accepted.length, 20)
    }).pipe(Effect.scoped)
  )

  it.effect("of 0 give a relay nothing", () =>
    Effect.gen(function* () {
      const relays = [Scripted.make("a", Scripted.accepting()), Scripted.make("b", Scripted.accepting())]
      const { transport } = yield* routed([{ ...relays[0]!, weight: 0 }, relays[1]!])
      yield* sendAll(transport, 20)
      assert.deepStrictEqual(
        relays.map(({ begun }) => begun.length),
        [0, 20]
      )
    }).pipe(Effect.scoped)
  )
})

describe("Router: failover", () => {
  const faults: ReadonlyArray<readonly [string, MailError.MailError, number]> = [
    ["refuses connections", Scripted.refused, 0],
    ["hangs", Scripted.hung, 30_000],
    ["refuses the login", Scripted.wrongLogin, 50],
    ["says 421", Scripted.shutDown, 50],
    ["loses each connection", Scripted.lost, 50]
  ]

  for (const [does, error, after] of faults)
    it.effect(`goes round a relay that ${does} from the start`, () =>
      Effect.gen(function* () {
        const dead = Scripted.make("dead", Scripted.failing(error, after))
        const alive = Scripted.make("alive", Scripted.accepting(20))
        const { transport } = yield* routed([dead, alive])
        const deliveries = yield* inTime(sendAll(transport, 500, { concurrency: 12 }))
        assert.isTrue(deliveries.every(Delivery.isAccepted))
        assert.isTrue(deliveries.every(({ attempts }) => attempts === 1))
        assert.isAtMost(dead.peak(), 2)
        assert.isAtMost(Math.max(...deliveries.map(({ durationMs }) => durationMs)), after + 1_000)
      }).pipe(Effect.scoped)
    )

  for (const [does, error, after] of faults)
    it.effect(`leaves a relay that ${does} in mid-run, and comes back to it`, () =>
      Effect.gen(function* () {
        const outage = { from: 1_000, to: 20_000 }
        const ill = Scripted.make("ill", (message, now) =>
          now < outage.from || now >= outage.to
            ? Scripted.accepting(20)(message, now)
            : Scripted.failing(error, after)(message, now)
        )
        const alive = Scripted.make("alive", Scripted.accepting(20))
        const { router, transport } = yield* routed([ill, alive])
        const half = { during: 0, after: 0 }
        let backAt = Number.POSITIVE_INFINITY
        const deliveries = yield* inTime(
          Stream.range(1, 900).pipe(
            Stream.tap(() => Effect.sleep(100)),
            Stream.map((n) => Scripted.message(n)),
            Mailer.sendAll({ concurrency: 20 }),
            Stream.tap((delivery) =>
              Effect.map(Clock.currentTimeMillis, (now) => {
                if (delivery.relay === "ill:25" && now > outage.to) backAt = Math.min(backAt, now)
                if (delivery.relay === "ill:25" && now > 81_000) half.after++
                if (delivery.relay === "ill:25" && now > outage.from + 500 && now < outage.to) half.during++
              })
            ),
            Stream.runCollect,
            Effect.provideService(MailTransport, transport)
          ),
          100
        )
        assert.lengthOf(deliveries, 900)
        assert.isTrue(deliveries.every(Delivery.isAccepted))
        assert.isTrue(deliveries.every(({ attempts }) => attempts === 1))
        assert.isAtMost(Math.max(...deliveries.map(({ durationMs }) => durationMs)), after + 1_000)
        assert.strictEqual(half.during, 0)
        // Only a fault that somebody must correct is left alone for longer.
        assert.isAtMost(backAt - outage.to, error.isRetryable ? 30_000 : 60_000)
        // Of the last 90 messages, well after its return, it had its half.
        assert.approximately(half.after, 45, 5)
        const [status] = yield* router.status
        assert.deepStrictEqual([status!.name, status!.health, status!.lastFailure], ["ill", "proven", error.message])
      }).pipe(Effect.scoped)
    )

  for (const hasStarted of [false, true])
    it.effect(
      `is back at a relay that hung ${hasStarted ? "in mid-run" : "from the start"} within 30 s, whenever that is well`,
      () =>
        Effect.gen(function* () {
          const from = hasStarted ? 3_000 : 0
          for (let until = from + 1_000; until < from + 100_000; until += 9_500) {
            const begunAt = yield* Clock.currentTimeMillis
            const ill = Scripted.make("ill", (message, now) =>
              now - begunAt < from || now - begunAt >= until
                ? Scripted.accepting(20)(message, now)
                : Scripted.failing(Scripted.hung, 30_000)(message, now)
            )
            const { transport } = yield* routed([ill, Scripted.make("alive", Scripted.accepting(20))])
            let backAt = Number.POSITIVE_INFINITY
            yield* inTime(
              Stream.range(1, 300).pipe(
                Stream.tap(() => Effect.sleep(500)),
                Stream.map((n) => Scripted.message(n)),
                Stream.takeWhile(() => backAt === Number.POSITIVE_INFINITY),
                Mailer.sendAll({ concurrency: 20 }),
                Stream.tap(({ relay }) =>
                  Effect.map(Clock.currentTimeMillis, (now) => {
                    if (relay === "ill:25" && now - begunAt > until) backAt = Math.min(backAt, now - begunAt)
                  })
                ),
                Stream.runDrain,
                Effect.provideService(MailTransport, transport)
              ),
              500
            )
            // Messages come every half second.
            assert.isAtMost(backAt - until, 30_000 + 1_000, `well after ${until} ms`)
          }
        }).pipe(Effect.scoped)
    )

  for (const from of [0, 2_000])
    for (const [does, error, after] of faults.filter(([, { isRetryable }]) => isRetryable).slice(0, 3))
      it.effect(
        `sends at nine tenths of what two can beside a third that ${does} ${from === 0 ? "from the start" : "in mid-run"}`,
        () =>
          Effect.gen(function* () {
            const until = from + 5_000
            let failedAt = Number.POSITIVE_INFINITY
            const late = { now: 0, most: 0 }
            const dead = Scripted.make("dead", (message, now) => {
              if (now < from) return Scripted.accepting(100)(message, now)
              const isLate = now > failedAt
              if (isLate) late.most = Math.max(late.most, ++late.now)
              return Effect.tap(Scripted.failing(error, after)(message, now), () =>
                Effect.map(Clock.currentTimeMillis, (end) => {
                  failedAt = Math.min(failedAt, end)
                  if (isLate) late.now--
                })
              )
            })
            const fast = Scripted.make("fast", Scripted.accepting(50))
            const slow = Scripted.make("slow", Scripted.accepting(500))
            const { transport } = yield* routed([dead, { ...fast, weight: 2 }, { ...slow, weight: 3 }])
            let ended = 0
            const deliveries = yield* inTime(
              Stream.range(1, 3_000).pipe(
                Stream.takeWhileEffect(() => Effect.map(Clock.currentTimeMillis, (now) => now < until)),
                Stream.map((n) => Scripted.message(n)),
                Mailer.sendAll({}),
                Stream.tap(({ relay }) =>
                  Effect.map(Clock.currentTimeMillis, (now) => {
                    if (relay !== "dead:25" && now >= from && now < until) ended++
                  })
                ),
                Stream.runCollect,
                Effect.provideService(MailTransport, transport)
              ),
              50
            )
            // Ten at once: 200 a second by the fast one, 20 by the slow one.
            assert.isAtLeast(ended / 5, 0.9 * 220)
            assert.isTrue(deliveries.every(Delivery.isAccepted))
            assert.isTrue(deliveries.every(({ attempts }) => attempts === 1))
            assert.isAtMost(Math.max(...deliveries.map(({ durationMs }) => durationMs)), after + 1_500)
            if (from === 0) assert.isAtMost(dead.peak(), 2)
            assert.isAtMost(late.most, 2)
          }).pipe(Effect.scoped)
      )

  it.effect("offers a message that was refused, or whose outcome is unknown, to no other relay", () =>
    Effect.gen(function* () {
      let seed = 1
      const random = () => ((seed = (seed * 16_807) % 2_147_483_647) - 1) / 2_147_483_646
      const ends = [
        undefined,
        Scripted.rejected,
        Scripted.putOff,
        Scripted.throttled,
        Scripted.unknown,
        Scripted.lost,
        Scripted.refused
      ]
      const said = new Map<string, Array<MailError.MailError | undefined>>()
      const relays = ["a", "b", "c"].map((name) =>
        Scripted.make(name, ({ id }) =>
          Effect.sync(() => {
            const end = ends[Math.floor(random() * ends.length)]
            said.set(id!, [...(said.get(id!) ?? []), end])
            return end
          })
        )
      )
      const { transport } = yield* routed(relays)
      const deliveries = yield* inTime(sendAll(transport, 2_000, { retry: Scripted.noRetry, ordered: true }), 500)
      assert.lengthOf(deliveries, 2_000)
      const elsewhere = new Set<unknown>([Scripted.lost, Scripted.refused])
      for (const [id, answers] of said) {
        assert.isTrue(
          answers.slice(0, -1).every((answer) => elsewhere.has(answer)),
          id
        )
        const delivery = deliveries.find((one) => one.id === id)!
        if (answers.at(-1) === undefined) assert.strictEqual(delivery._tag, "Accepted")
      }
      assert.isTrue([...said.values()].some((answers) => answers.length === 3))
    }).pipe(Effect.scoped)
  )

  it.effect(
    "tells apart what a relay says of a message and of itself: an ill one among well ones costs no message",
    () =>
      Effect.gen(function* () {
        // Each tenth connection breaks; the relay takes the others.
        const rough = Scripted.make("rough", ({ id }) =>
          Number(id) % 10 === 0 ? Effect.succeed(Scripted.lost) : Effect.undefined
        )
        const { router, transport } = yield* routed([rough, Scripted.make("calm", Scripted.accepting())])
        yield* inTime(sendAll(transport, 1_000, { concurrency: 1 }))
        assert.isAtLeast(rough.accepted.length, 400)
        assert.isTrue((yield* router.status).every(({ health }) => health !== "down"))
      }).pipe(Effect.scoped)
  )
})

describe("Router: no relay is usable", () => {
  it.effect("holds messages back for its waitLimit, and then fails them with CircuitOpen", () =>
    Effect.gen(function* () {
      const relays = ["a", "b"].map((name) => Scripted.make(name, Scripted.failing(Scripted.refused)))
      const { transport } = yield* routed(relays, { waitLimit: "5 seconds" })
      yield* Effect.flip(transport.send(Scripted.message("first")))
      const begun = yield* Clock.currentTimeMillis
      const error = yield* inTime(Effect.flip(transport.send(Scripted.message("second"))))
      assert.include(["CircuitOpen", "ConnectFailed"], error.reason._tag)
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 5_010)
      const next = yield* Effect.flip(
        Effect.andThen(TestClock.adjust("6 seconds"), transport.send(Scripted.message(3)))
      )
      assert.isTrue(next.isRetryable)
    }).pipe(Effect.scoped)
  )

  it.effect("fails them at once with a fault that does not mend itself", () =>
    Effect.gen(function* () {
      const relay = Scripted.make("only", Scripted.failing(Scripted.wrongLogin, 100))
      const { transport } = yield* routed([relay])
      const begun = yield* Clock.currentTimeMillis
      const deliveries = yield* inTime(sendAll(transport, 100))
      assert.isTrue(deliveries.every((one) => !Delivery.isAccepted(one) && one.error === Scripted.wrongLogin))
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 1_000)
      assert.isAtMost(relay.begun.length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("sends them when one comes back in time, charging no attempt", () =>
    Effect.gen(function* () {
      const relay = Scripted.make("only", (message, now) =>
        now < 3_000 ? Effect.succeed(Scripted.refused) : Scripted.accepting(10)(message, now)
      )
      const spare = Scripted.make("spare", Scripted.failing(Scripted.refused))
      const { transport } = yield* routed([relay, spare])
      const first = yield* Effect.exit(transport.send(Scripted.message("first")))
      assert.strictEqual(first._tag, "Failure")
      const deliveries = yield* inTime(sendAll(transport, 100, { retry: Scripted.noRetry }))
      // The trials at rest's end fail a message each; all others waited.
      assert.isAtLeast(deliveries.filter(Delivery.isAccepted).length, 94)
    }).pipe(Effect.scoped)
  )

  it.effect("gives back the place of a message that is interrupted while it waits", () =>
    Effect.gen(function* () {
      const relay = Scripted.make("r", Scripted.accepting(1_000), 1)
      const { router, transport } = yield* routed([relay])
      const fibers = yield* Effect.forEach([1, 2, 3], (n) => Effect.forkChild(transport.send(Scripted.message(n))))
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* router.waiting, 2)
      yield* Fiber.interrupt(fibers[1]!)
      assert.strictEqual(yield* router.waiting, 1)
      yield* inTime(Fiber.join(fibers[2]!))
      assert.deepStrictEqual(relay.accepted, ["1", "3"])
      assert.strictEqual((yield* router.status)[0]!.inFlight, 0)
    }).pipe(Effect.scoped)
  )
})

describe("Router: classes, routes and capabilities", () => {
  it.effect("keeps backup relays for the time when no primary one is usable", () =>
    Effect.gen(function* () {
      const primary = Scripted.make("primary", (message, now) =>
        now >= 1_000 && now < 5_000 ? Effect.succeed(Scripted.refused) : Scripted.accepting(10)(message, now)
      )
      const backup = Scripted.make("backup", Scripted.accepting(10))
      const { transport } = yield* routed([{ ...backup, class: "backup" }, primary])
      const send = (n: number) => transport.send(Scripted.message(n))
      yield* inTime(send(1))
      yield* TestClock.adjust("1 second")
      yield* inTime(Effect.forEach([2, 3, 4], send))
      assert.deepStrictEqual(backup.accepted, ["2", "3", "4"])
      yield* TestClock.adjust("10 seconds")
      yield* inTime(Effect.forEach([5, 6], send))
      assert.deepStrictEqual(primary.accepted, ["1", "5", "6"])
    }).pipe(Effect.scoped)
  )

  it.effect("sends a message by the first route that matches it", () =>
    Effect.gen(function* () {
      const relays = ["a", "b", "c", "d"].map((name) => Scripted.make(name, Scripted.accepting()))
      const { transport } = yield* routed(relays, {
        routes: [
          { tenant: ["acme", "umbrella"], recipientDomain: "gmail.com", relays: ["a"] },
          { tenant: "acme", relays: ["b"] },
          { senderDomain: "*.shop.test", relays: ["c"] },
          { when: ({ size }) => size > 1_000, relays: ["c"] },
          { relays: ["d"] }
        ]
      })
      const by = (to: ReadonlyArray<string>, from: string, more: object = {}) =>
        Effect.map(
          transport.send(Scripted.message("m", { envelope: Scripted.envelope(from, to), ...more })),
          ({ relay }) => relay[0]
        )
      assert.strictEqual(yield* by(["x@GMAIL.com"], "a@b.test", { tenant: "acme" }), "a")
      assert.strictEqual(yield* by(["x@gmail.com", "y@y.test"], "a@b.test", { tenant: "acme" }), "b")
      assert.strictEqual(yield* by(["x@gmail.com"], "a@b.test"), "d")
      assert.strictEqual(yield* by(["x@y.test"], "a@eu.shop.test"), "c")
      assert.strictEqual(yield* by(["x@y.test"], "a@shop.test"), "d")
      assert.strictEqual(yield* by(["x@y.test"], "a@b.test", { content: new Uint8Array(2_000) }), "c")
    }).pipe(Effect.scoped)
  )

  it.effect("sends a message by a relay that offers what it needs, told or found out", () =>
    Effect.gen(function* () {
      const small = Scripted.make("small", Scripted.accepting())
      const plain = Scripted.make("plain", ({ utf8Headers }) =>
        Effect.succeed(utf8Headers ? Scripted.lacking : undefined)
      )
      const able = Scripted.make("able", Scripted.accepting())
      const { router, transport } = yield* routed([
        { ...small, weight: 100, capabilities: { size: 100, requireTls: false, dsn: false, smtpUtf8: false } },
        { ...plain, weight: 10 },
        { ...able, weight: 1 }
      ])
      const relayOf = (more: object) => Effect.map(transport.send(Scripted.message("m", more)), ({ relay }) => relay)
      assert.strictEqual(yield* relayOf({}), "small:25")
      for (const more of [
        { content: new Uint8Array(101) },
        { envelope: Scripted.envelope("a@b.test", ["b@to.test"], { requireTls: true }) },
        { envelope: Scripted.envelope("a@b.test", ["b@to.test"], { dsn: { notify: "never" } }) },
        { envelope: Scripted.envelope("a@b.test", ["bü@to.test"]) }
      ])
        assert.notStrictEqual(yield* relayOf(more), "small:25")
      assert.strictEqual(yield* relayOf({ envelope: Scripted.envelope("a@b.test", ["b@bü.test"]) }), "small:25")
      assert.strictEqual(yield* relayOf({ utf8Headers: true }), "able:25")
      assert.isTrue((yield* router.status).every(({ health }) => health === "proven"))
    }).pipe(Effect.scoped)
  )

  it.effect("sends urgent messages past those that wait", () =>
    Effect.gen(function* () {
      const relay = Scripted.make("r", Scripted.accepting(100), 2)
      const { transport } = yield* routed([relay])
      const campaign = yield* Effect.forkChild(sendAll(transport, 50, { concurrency: 50 }))
      yield* TestClock.adjust(500)
      yield* inTime(transport.send(Scripted.message("urgent"), { priority: "urgent" }))
      assert.isAtMost(relay.accepted.length, 15)
      yield* inTime(Fiber.join(campaign))
      assert.strictEqual(total([relay]), 51)
    }).pipe(Effect.scoped)
  )
})

describe("Router: sticky lanes", () => {
  it.effect("keep the messages to one domain on one relay; only those of a relay that leaves move, and come back", () =>
    Effect.gen(function* () {
      let isDown = false
      const relays = ["a", "b", "c"].map((name) =>
        Scripted.make(name, () => Effect.succeed(name === "b" && isDown ? Scripted.refused : undefined))
      )
      const { transport } = yield* routed(relays, { stickyLanes: true })
      const domains = Array.from({ length: 300 }, (_, n) => `domain${n}.test`)
      const homes = Effect.map(
        Effect.forEach(domains, (domain) =>
          transport.send(Scripted.message("m", { envelope: Scripted.envelope("a@b.test", [`x@${domain}`]) }))
        ),
        (receipts) => receipts.map(({ relay }) => relay)
      )
      const first = yield* homes
      assert.deepStrictEqual(yield* homes, first)
      isDown = true
      const meanwhile = yield* homes
      for (const [index, home] of first.entries())
        if (home === "b:25") assert.notStrictEqual(meanwhile[index], "b:25")
        else assert.strictEqual(meanwhile[index], home)
      isDown = false
      yield* TestClock.adjust("20 seconds")
      yield* homes
      assert.deepStrictEqual(yield* homes, first)
    }).pipe(Effect.scoped)
  )
})

describe("Router: bad options", () => {
  const { transport } = Scripted.make("x", Scripted.accepting())
  const a = { name: "a", transport }
  const b = { name: "b", transport }
  const bad: ReadonlyArray<readonly [Router.Options, string, string]> = [
    [{ relays: [] }, "relays: there is none", "name at least one relay"],
    [{ relays: [{ name: "", transport }] }, "relays[0].name: it is empty", "give the relay a name"],
    [{ relays: [a, b, a] }, 'relays[2].name: relays[0] has the name "a" too', "give each relay a name of its own"],
    [{ relays: [{ ...a, weight: -1 }] }, "relays[0].weight: -1 is no weight", "give a number from 0, as 1 or 2.5"],
    [
      { relays: [{ ...a, weight: Number.NaN }] },
      "relays[0].weight: NaN is no weight",
      "give a number from 0, as 1 or 2.5"
    ],
    [
      { relays: [{ ...a, concurrency: 0 }] },
      "relays[0].concurrency: 0 is no number of messages",
      "give a whole number from 1"
    ],
    [
      {
        relays: [
          { ...a, weight: 0 },
          { ...b, weight: 0 }
        ]
      },
      "relays: their weights sum to 0, so none gets messages",
      "give one of them a weight above 0"
    ],
    [
      { relays: [a, b], routes: [{ relays: [] }] },
      "routes[0].relays: the route leads to no relay",
      "name one or more of a, b"
    ],
    [
      { relays: [a, b], routes: [{ tenant: "t", relays: ["a", "c"] }] },
      'routes[0].relays[1]: there is no relay "c"',
      "name one of a, b, or add this relay"
    ],
    ...(["tenant", "senderDomain", "recipientDomain"] as const).map(
      (name): readonly [Router.Options, string, string] => [
        { relays: [a], routes: [{ relays: ["a"] }, { [name]: [], relays: ["a"] }] },
        `routes[1].${name}: it names none, so that the route never matches`,
        "name at least one, or leave it out to match them all"
      ]
    ),
    [
      { relays: [a, { ...b, weight: 0 }], routes: [{ relays: ["b"] }] },
      "routes[0].relays: the weights of its relays sum to 0",
      "give one of them a weight above 0"
    ],
    [
      {
        relays: [a, b],
        routes: [
          { senderDomain: "*.x.test", relays: ["a"] },
          { senderDomain: "mail.X.test", tenant: "t", relays: ["b"] }
        ]
      },
      "routes[1]: routes[0] matches every message of this route, so this one never does",
      "put it before routes[0], or take it out"
    ]
  ]
  for (const [options, message, remedy] of bad)
    it.effect(`are refused: ${message}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Router.make(options))
        assert.deepStrictEqual([error.message, error.remedy], [message, remedy])
      }).pipe(Effect.scoped)
    )
})
