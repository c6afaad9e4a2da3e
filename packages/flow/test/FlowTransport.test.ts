/**
 * Flow control before a transport, with a test clock: who waits, for what, and who goes meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport, type SendOptions } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Feedback from "../src/Feedback.ts"
import * as FlowChange from "../src/FlowChange.ts"
import { FlowControl } from "../src/FlowControl.ts"
import * as FlowOptions from "../src/FlowOptions.ts"
import * as FlowTransport from "../src/FlowTransport.ts"
import type { Ledgers } from "../src/Ledgers.ts"
import { MemoryLedger } from "./support/memoryLedger.ts"

let number = 0

const message = (to: string, tenant?: string, size = 100): Composed.Composed => ({
  ...Composed.make({
    messageId: `<${++number}@test>`,
    id: `${number}`,
    envelope: { from: "a@example.org" as never, to: [to as never] },
    content: new Uint8Array(0),
    tenant
  }),
  size
})

interface Sent {
  readonly to: string
  readonly at: number
}

/** A relay that takes each message after `serviceMs`, and the times at which messages were begun. */
const makeRelay = (serviceMs: number, fail?: (sent: Sent) => MailError.MailError | undefined, concurrency = 10) => {
  const sent: Array<Sent> = []
  const transport = MailTransport.of({
    concurrency,
    send: ({ envelope }: Composed.Composed, options?: SendOptions) =>
      Effect.gen(function* () {
        const one = { to: String(envelope.to[0]), at: yield* Clock.currentTimeMillis }
        if (options?.gate?.isOpen === false) yield* options.gate.opened
        options?.gate?.begun?.()
        sent.push(one)
        if (serviceMs > 0) yield* options?.restore?.(Effect.sleep(serviceMs)) ?? Effect.sleep(serviceMs)
        const error = fail?.(one)
        if (error !== undefined) return yield* Effect.fail(error)
        return {
          reply: { code: 250, text: "ok" },
          recipients: envelope.to.map((address) => ({ address, outcome: "accepted" as const })),
          relay: "test:25"
        }
      })
  })
  return { sent, transport }
}

const flowOver = (relay: ReturnType<typeof makeRelay>, options: FlowOptions.Options) =>
  Effect.map(FlowTransport.make(relay.transport, options, "test:25"), (context) => ({
    transport: Context.get(context, MailTransport),
    flow: Context.get(context, FlowTransport.Flow)
  }))

const sendAll = (transport: MailTransport["Service"], messages: ReadonlyArray<Composed.Composed>) =>
  Stream.fromIterable(messages).pipe(
    Mailer.sendAll({ retry: RetryPolicy.none }),
    Stream.runCollect,
    Effect.provideService(MailTransport, transport)
  )

const within = (sent: ReadonlyArray<Sent>, ms: number, suffix = ""): number =>
  sent.filter(({ at, to }) => at < ms && to.endsWith(suffix)).length

const connectFailed = MailError.make(
  new MailError.ConnectFailed({ kind: "refused", host: "test", port: 25, problem: "refused" })
)

describe("a limit", () => {
  it.effect("of the relay holds over all lanes, and loses nothing", () =>
    Effect.gen(function* () {
      const relay = makeRelay(5)
      const { transport } = yield* flowOver(relay, { rate: ["20/s", "30/m"] })
      const messages = Array.from({ length: 60 }, (_, i) => message(`n@lane${i % 7}.test`))
      const running = yield* Effect.forkChild(sendAll(transport, messages))
      yield* TestClock.adjust("1 second")
      assert.isAtMost(relay.sent.length, 21)
      yield* TestClock.adjust("180 seconds")
      assert.strictEqual((yield* Fiber.join(running)).filter(({ _tag }) => _tag === "Accepted").length, 60)
      assert.isAtMost(within(relay.sent, 60_000), 31)
    })
  )

  it.effect("of a lane does not hold up the others, within the look-ahead", () =>
    Effect.gen(function* () {
      const relay = makeRelay(10)
      const { flow, transport } = yield* flowOver(relay, { lanes: { "SLOW.test": { rate: ["10/s"] } } })
      assert.strictEqual(transport.concurrency, 10_000)
      const messages = Array.from({ length: 6000 }, (_, i) => message(i % 6 === 5 ? "n@quick.test" : "n@slow.test"))
      const running = yield* Effect.forkChild(sendAll(transport, messages))
      yield* TestClock.adjust("1 second")
      // Alone they would take a second: 10 at once for 10 ms each.
      assert.isAtLeast(within(relay.sent, 1000, "quick.test"), 900)
      assert.isAtMost(within(relay.sent, 1000, "slow.test"), 11)
      const status = yield* flow.status
      assert.deepInclude(status.waits[0], { gate: "lane", key: "slow.test" })
      assert.isAtMost(status.waits[0]!.since, 10)
      yield* Fiber.interrupt(running)
      assert.strictEqual((yield* flow.status).waiting, 0)
    })
  )

  it.effect("of a tenant holds, and tenants with weights share what the relay takes", () =>
    Effect.gen(function* () {
      const relay = makeRelay(10, undefined, 10)
      const { transport } = yield* flowOver(relay, {
        tenants: { big: { weight: 3 }, small: {}, held: { rate: ["5/s"] } }
      })
      const messages = Array.from({ length: 9000 }, (_, i) => {
        const tenant = ["big", "small", "held"][i % 3]!
        return message(`n@${tenant}.test`, tenant)
      })
      const running = yield* Effect.forkChild(sendAll(transport, messages))
      yield* TestClock.adjust("1 second")
      const [big, small] = [within(relay.sent, 1000, "big.test"), within(relay.sent, 1000, "small.test")]
      assert.isAtMost(within(relay.sent, 1000, "held.test"), 6)
      assert.isAtLeast(big / small, 2.8)
      assert.isAtLeast(big + small, 900)
      yield* Fiber.interrupt(running)
    })
  )

  it.effect("lets urgent messages pass those that wait", () =>
    Effect.gen(function* () {
      const relay = makeRelay(1)
      const { transport } = yield* flowOver(relay, { rate: ["10/s"] })
      const running = yield* Effect.forkChild(
        sendAll(
          transport,
          Array.from({ length: 100 }, () => message("n@bulk.test"))
        )
      )
      yield* TestClock.adjust("1 second")
      const urgent = yield* Effect.forkChild(
        Effect.provideService(Mailer.send(message("n@urgent.test")), MailTransport, transport)
      )
      yield* TestClock.adjust("300 millis")
      assert.strictEqual((yield* Fiber.join(urgent))._tag, "Accepted")
      yield* Fiber.interrupt(running)
    })
  )

  it.effect("reads ahead no more content than it may", () =>
    Effect.gen(function* () {
      const relay = makeRelay(1)
      const { flow, transport } = yield* flowOver(relay, {
        lanes: { "slow.test": { rate: ["1/s"] } },
        lookAhead: { bytes: 5_000 }
      })
      let composed = 0
      const mails = Stream.range(1, 1000).pipe(
        Stream.map(() =>
          Effect.sync(() => {
            composed++
            return message("n@slow.test", undefined, 1000)
          })
        )
      )
      const running = yield* mails.pipe(
        Mailer.sendAll(),
        Stream.runDrain,
        Effect.provideService(MailTransport, transport),
        Effect.forkChild
      )
      yield* TestClock.adjust("5 seconds")
      assert.isAtMost((yield* flow.status).waitingBytes, 6_000)
      assert.isAtMost(composed, 13)
      assert.isAtLeast(relay.sent.length, 5)
      yield* Fiber.interrupt(running)
    })
  )
})

describe("a message that waits", () => {
  it.effect("leaves when its caller's gate fails, once it is asked again", () =>
    Effect.gen(function* () {
      const relay = makeRelay(1)
      const { flow, transport } = yield* flowOver(relay, { rate: ["1/m"] })
      const stopped = MailError.invalid("mail", "stopped")
      let isOpen = true
      const gate = {
        get isOpen() {
          return isOpen
        },
        opened: Effect.suspend(() => (isOpen ? Effect.void : Effect.fail(stopped)))
      }
      yield* Effect.forkChild(transport.send(message("a@b.test")))
      yield* TestClock.adjust("10 millis")
      const held = yield* Effect.forkChild(transport.send(message("a@b.test"), { gate }))
      yield* TestClock.adjust("10 millis")
      isOpen = false
      yield* flow.reconsider
      const exit = yield* Fiber.await(held)
      assert.deepStrictEqual(exit, Exit.fail(stopped))
      assert.strictEqual(relay.sent.length, 1)
    })
  )

  it.effect("leaves when it is interrupted, and takes nothing of the limit with it", () =>
    Effect.gen(function* () {
      const relay = makeRelay(1)
      const { flow, transport } = yield* flowOver(relay, { rate: ["60/m"] })
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(transport.send(message("a@b.test"))))
      yield* TestClock.adjust("10 millis")
      yield* Fiber.interrupt(fibers[1]!)
      yield* TestClock.adjust("1100 millis")
      assert.strictEqual((yield* Fiber.await(fibers[2]!))._tag, "Success")
      const status = yield* flow.status
      assert.deepInclude(status, { waiting: 0, waitingBytes: 0, inFlight: 0, waits: [] })
      // Two waited for the second and third slots, one after the other.
      assert.deepInclude(status.held, { gate: "rate", key: undefined, ms: status.held[0]!.ms })
      assert.approximately(status.held[0]!.ms, 1010, 60)
    })
  )
})

describe("the circuit", () => {
  it.effect("opens after five failures of the relay, fails what waits, and closes with a trial", () =>
    Effect.gen(function* () {
      let isDead = true
      const relay = makeRelay(1, () => (isDead ? connectFailed : undefined), 2)
      const { flow, transport } = yield* flowOver(relay, { circuit: true })
      assert.strictEqual((yield* flow.status).gates.circuit, "closed")
      const messages = Array.from({ length: 40 }, () => message("a@b.test"))
      const running = yield* Effect.forkChild(sendAll(transport, messages))
      yield* TestClock.adjust("100 millis")
      const deliveries = yield* Fiber.join(running)
      const reasons = deliveries.map((delivery) => (delivery._tag === "Accepted" ? "" : delivery.error.reason._tag))
      assert.isAtMost(reasons.filter((reason) => reason === "ConnectFailed").length, 6)
      assert.isAtLeast(reasons.filter((reason) => reason === "CircuitOpen").length, 34)
      const open = deliveries.flatMap((delivery) =>
        delivery._tag === "Deferred" && delivery.error.reason._tag === "CircuitOpen" ? [delivery.error.reason] : []
      )[0]!
      assert.strictEqual(open.message, "the relay test:25 failed too often and is left alone for 1000 ms")
      assert.strictEqual((yield* flow.status).gates.circuit, "open")
      isDead = false
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* flow.status).gates.circuit, "halfOpen")
      const before = relay.sent.length
      const trials = yield* Effect.forkChild(sendAll(transport, messages.slice(0, 5)))
      yield* TestClock.adjust("100 millis")
      assert.isTrue((yield* Fiber.join(trials)).every(({ _tag }) => _tag === "Accepted"))
      assert.strictEqual(relay.sent.length - before, 5)
    })
  )

  it.effect("is in the log when it opens and closes, and for no message else", () =>
    Effect.gen(function* () {
      const events: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ fiber }) => {
        events.push(fiber.getRef(References.CurrentLogAnnotations)["event"])
      })
      let isDead = true
      const relay = makeRelay(1, () => (isDead ? connectFailed : undefined), 2)
      const { transport } = yield* flowOver(relay, { circuit: true })
      const send = (count: number) =>
        Effect.gen(function* () {
          const messages = Array.from({ length: count }, () => message("a@b.test"))
          const running = yield* Effect.forkChild(sendAll(transport, messages))
          yield* TestClock.adjust("100 millis")
          yield* Fiber.join(running)
        }).pipe(Effect.provide(Logger.layer([logger])))
      yield* send(40)
      isDead = false
      yield* TestClock.adjust("1 second")
      yield* send(5)
      assert.deepStrictEqual(events, ["relay.circuit_open", "relay.circuit_closed"])
    })
  )
})

describe("a change", () => {
  it.effect("of the circuit or of a pace is logged once, as a sentence", () =>
    Effect.gen(function* () {
      const settings = Result.getOrThrow(FlowOptions.resolve({ adaptive: true, circuit: true }, 0))
      const control = new FlowControl(settings, 10)
      const changes: Array<FlowChange.Change> = []
      control.onChange = (change) => changes.push(change)
      const facts = { tenant: "", lane: "a.test", cost: { recipients: 1, bytes: 0 } }
      const attempt = (now: number, feedback: Feedback.Feedback) =>
        control.end(control.admit(facts, now), feedback, now + 1)
      for (let i = 0; i < 30; i++) attempt(i, Feedback.success)
      for (let i = 0; i < 8; i++) attempt(40, { _tag: "Complaint", about: "rate", askedMs: 0 })
      for (let i = 0; i < 8; i++) attempt(50, { _tag: "RelayFailure", askedMs: 0 })
      attempt(2000, Feedback.success)
      const lines: Array<unknown> = []
      const logger = Logger.make<unknown, void>(
        ({ message }) => void lines.push(...(message as ReadonlyArray<unknown>))
      )
      yield* Effect.provide(
        Effect.forEach(changes, (change) => FlowChange.log(change, "mx.test:25")),
        Logger.layer([logger])
      )
      assert.deepStrictEqual(lines, [
        "mx.test:25 asks to slow down; sending at 30/s while looking for the rate that it takes",
        "mx.test:25 failed too often and is left alone for 1000 ms; look for the cause in its errors",
        "mx.test:25 works again, and messages go to it"
      ])
    })
  )
})

describe("following the relay", () => {
  const throttled = MailError.make(
    new MailError.Throttled({ reply: { code: 421, text: "slow down", enhanced: "4.7.0" } })
  )

  it.effect("keeps to a lane's hidden limit, and sends the others at full rate", () =>
    Effect.gen(function* () {
      const second = new Map<number, number>()
      const relay = makeRelay(20, ({ at, to }) => {
        if (!to.endsWith("limited.test")) return undefined
        const key = Math.floor(at / 1000)
        second.set(key, (second.get(key) ?? 0) + 1)
        return second.get(key)! > 10 ? throttled : undefined
      })
      const { transport } = yield* flowOver(relay, {
        adaptive: true,
        lanes: { "limited.test": { rate: ["1000/s"] } }
      })
      const messages = Array.from({ length: 8000 }, (_, i) => message(i % 4 === 0 ? "n@limited.test" : "n@free.test"))
      const running = yield* Effect.forkChild(sendAll(transport, messages))
      yield* TestClock.adjust("12 seconds")
      // Ten at once for 20 ms each are 500 a second.
      assert.isAtLeast(within(relay.sent, 12_000, "free.test"), 0.9 * 12 * 490)
      yield* Fiber.interrupt(running)
    })
  )

  it.effect(
    "that complains of one lane at once slows down that lane, and the others no longer than until they are taken",
    () =>
      Effect.gen(function* () {
        const relay = makeRelay(20, ({ to }) => (to.endsWith("refused.test") ? throttled : undefined))
        const { flow, transport } = yield* flowOver(relay, { lanes: { "refused.test": { rate: ["1000/s"] } } })
        const messages = Array.from({ length: 2000 }, (_, i) => message(i % 2 === 0 ? "n@refused.test" : "n@free.test"))
        const running = yield* Effect.forkChild(sendAll(transport, messages))
        yield* TestClock.adjust("2 seconds")
        // Ten at once for 20 ms each are 500 a second.
        assert.isAtLeast(within(relay.sent, 2_000, "free.test"), 0.9 * 2 * 490)
        assert.isAtMost(within(relay.sent, 2_000, "refused.test"), 30)
        const { gates } = yield* flow.status
        assert.strictEqual(gates.phase, "open")
        assert.strictEqual(gates.lanes[0]?.lane, "refused.test")
        yield* Fiber.interrupt(running)
      })
  )

  it.effect("finds the rate of all lanes, although the lane that was first to hear of it was suspected", () =>
    Effect.gen(function* () {
      const second = new Map<number, number>()
      let deferred = 0
      const relay = makeRelay(20, ({ at }) => {
        const key = Math.floor(at / 1000)
        second.set(key, (second.get(key) ?? 0) + 1)
        if (second.get(key)! <= 50) return undefined
        if (at >= 10_000) deferred++
        return throttled
      })
      const { transport } = yield* flowOver(relay, {})
      const messages = Array.from({ length: 3000 }, (_, i) => message(`n@lane${i % 5}.test`))
      const running = yield* Effect.forkChild(sendAll(transport, messages))
      yield* TestClock.adjust("20 seconds")
      const sent = relay.sent.filter(({ at }) => at >= 10_000).length
      assert.isAtLeast(sent - deferred, 0.85 * 500)
      assert.isAtMost(deferred, 0.1 * sent)
      yield* Fiber.interrupt(running)
    })
  )
})

describe("the trace of a message", () => {
  const gatesOf = (options: FlowOptions.Options, messages: ReadonlyArray<Composed.Composed>) =>
    Effect.gen(function* () {
      const { transport } = yield* flowOver(makeRelay(0), options)
      const gates: Array<string | undefined> = []
      const moments = { admitted: (gate: string | undefined) => void gates.push(gate), leased: () => {} }
      const sending = Effect.forEach(messages, (message) => transport.send(message, { moments }), {
        concurrency: "unbounded"
      })
      const fiber = yield* Effect.forkChild(sending)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      return gates
    })

  it.effect("names the limit that held it back, and none where none did", () =>
    Effect.gen(function* () {
      const [first, second] = [message("ann@a.test", "acme"), message("bob@b.test", "acme")]
      const names = (options: FlowOptions.Options) => gatesOf(options, [first, second])
      assert.deepStrictEqual(yield* names({ rate: ["1/s"] }), [undefined, "rate"])
      assert.deepStrictEqual(yield* names({ tenants: { acme: { rate: ["1/s"] } } }), [undefined, "tenant"])
      assert.deepStrictEqual(yield* names({ lanes: { "b.test": { rate: ["1/s"] } } }), [undefined, undefined])
      const lane = { lanes: { "a.test": { rate: ["1/s"] } } }
      assert.deepStrictEqual(yield* gatesOf(lane, [first, message("cy@a.test")]), [undefined, "lane"])
    })
  )
})

describe("a relay that a rule leaves alone", () => {
  it.effect("refuses messages until then where others may take them", () =>
    Effect.gen(function* () {
      const throttled = Feedback.pauseRelay(
        MailError.make(new MailError.Throttled({ reply: { code: 451, text: "busy" }, retryAfter: 60_000 })),
        60_000
      )
      let asked = 0
      const relay = makeRelay(5, () => (asked++ === 0 ? throttled : undefined))
      const { transport } = yield* flowOver(relay, { adaptive: false, refusesPaused: true })
      const send = () => Effect.exit(transport.send(message("n@a.test")))
      const first = yield* Effect.forkChild(send())
      yield* TestClock.adjust("10 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(first)))
      const refused = yield* Effect.flip(transport.send(message("n@b.test")))
      assert.deepInclude(refused.reason, { _tag: "CircuitOpen", retryAfter: 59_995 })
      yield* TestClock.adjust("1 minute")
      const last = yield* Effect.forkChild(send())
      yield* TestClock.adjust("10 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(last)))
      assert.lengthOf(relay.sent, 2)
    })
  )
})

describe("limits that streams share", () => {
  for (const [what, options] of [
    ["the relay's", { rate: ["6/d"] }],
    ["a lane's", { lanes: { "a.test": { rate: ["6/d"] } } }],
    ["a tenant's", { tenants: { acme: { rate: ["6/d"] } } }]
  ] as const)
    it.effect(`${what} holds for two together, and messages that it does not concern go`, () =>
      Effect.gen(function* () {
        const ledgers = new MemoryLedger()
        const relay = makeRelay(5)
        const flows = yield* Effect.all([1, 2].map(() => flowOver(relay, { ...options, adaptive: false, ledgers })))
        const messages = () => Array.from({ length: 10 }, () => message("n@a.test", "acme"))
        yield* Effect.forEach(flows, ({ transport }) => Effect.forkChild(sendAll(transport, messages())))
        for (let beats = 0; beats < 20; beats++) yield* TestClock.adjust("100 millis")
        assert.lengthOf(relay.sent, 6)
        if (what === "the relay's") return
        yield* Effect.forkChild(sendAll(flows[0]!.transport, [message("n@other.test", "other")]))
        yield* TestClock.adjust("100 millis")
        assert.lengthOf(relay.sent, 7)
      })
    )

  it.effect("are leased again after a ledger that cannot be read, and messages go on", () =>
    Effect.gen(function* () {
      const memory = new MemoryLedger()
      const stored = { ledger: "not JSON", version: 0, now: 0 }
      let isBroken = true
      const ledgers = {
        read: (name: string) => (isBroken ? Effect.succeed(stored) : memory.read(name)),
        write: (name: string, version: number, ledger: string) => memory.write(name, version, ledger)
      }
      const relay = makeRelay(5)
      const { transport } = yield* flowOver(relay, { rate: ["6/d"], adaptive: false, ledgers })
      yield* Effect.forkChild(sendAll(transport, [message("n@a.test")]))
      yield* TestClock.adjust("1 second")
      assert.lengthOf(relay.sent, 0)
      isBroken = false
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(relay.sent, 1)
    })
  )

  it.effect("hold and are used where it is a rate, and nothing is sent while the ledgers are away", () =>
    Effect.gen(function* () {
      const memory = new MemoryLedger()
      let isAway = true
      const ledgers: Ledgers = {
        read: (name) =>
          Effect.suspend(() => (isAway ? Effect.fail({ message: "away", isRetryable: false }) : memory.read(name))),
        write: memory.write
      }
      const relay = makeRelay(5)
      const flows = yield* Effect.all(
        [1, 2, 3].map(() => flowOver(relay, { rate: ["100/s"], adaptive: false, ledgers }))
      )
      yield* Effect.forEach(flows, ({ transport }) =>
        Effect.forkChild(
          sendAll(
            transport,
            Array.from({ length: 400 }, () => message("n@a.test"))
          )
        )
      )
      const pass = (seconds: number) =>
        Effect.gen(function* () {
          for (let beats = 0; beats < 100 * seconds; beats++) yield* TestClock.adjust("10 millis")
        })
      yield* pass(1)
      assert.lengthOf(relay.sent, 0)
      isAway = false
      yield* pass(4)
      const before = relay.sent.length
      yield* pass(3)
      assert.isAtLeast((relay.sent.length - before) / 3, 90)
      for (const { at } of relay.sent) {
        assert.isAtMost(relay.sent.filter((one) => one.at >= at && one.at < at + 1000).length, 105)
      }
    })
  )
})
