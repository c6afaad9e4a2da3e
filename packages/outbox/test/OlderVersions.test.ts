/**
 * An update finds the outbox of the version before it: nothing in it is lost, sent twice, altered or shown otherwise.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import type * as Inbox from "@mailrace/testing/Inbox"
import * as TestServer from "@mailrace/testing/TestServer"
import { createHash } from "node:crypto"
import * as Composed from "mailrace/Composed"
import type * as Mail from "mailrace/Mail"
import type { Sendable } from "mailrace/Mailer"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Template from "mailrace/Template"
import * as Outbox from "../src/Outbox.ts"
import type { State } from "../src/OutboxEntry.ts"
import * as Kept from "./support/keptMails.ts"
import * as OlderVersion from "./support/olderVersion.ts"
import { shared } from "./support/sharedPostgres.ts"

/** Each version, and some hours after its outboxes were written: what was deferred is due, what was settled is kept. */
const versions = { "8094cdc": "2026-11-28T00:00:00Z", d506a97: "2026-11-28T12:00:00Z" } as const

/** That time, whatever day it is. */
const laterThatDay = (version: keyof typeof versions) =>
  Effect.map(Clock.Clock, (clock): Clock.Clock => {
    const shift = Date.parse(versions[version]) - clock.currentTimeMillisUnsafe()
    const now = () => clock.currentTimeMillisUnsafe() + shift
    return {
      ...clock,
      currentTimeMillisUnsafe: now,
      currentTimeMillis: Effect.sync(now),
      currentTimeNanosUnsafe: () => BigInt(now()) * 1_000_000n,
      currentTimeNanos: Effect.sync(() => BigInt(now()) * 1_000_000n),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    }
  })

/** A mail apart: what makes a template, and the rest under the Message-ID that the row was given. */
const taken = (mail: Mail.Mail, messageId: string) => {
  const { from, html, subject, text, ...recipient } = mail
  return Effect.map(Template.compile({ from, html, subject, text }), (template) => ({
    template,
    recipient: { ...recipient, messageId }
  }))
}

/** The message that a mail makes. */
const composed = (mail: Sendable, render: boolean, messageId: string) => {
  if (Composed.isComposed(mail)) return Effect.succeed(mail)
  if (!render) return MimeComposer.compose({ ...mail, messageId })
  return Effect.flatMap(taken(mail, messageId), ({ recipient, template }) => template.render(recipient))
}

/** The mail that is shown, put together from its template where it has one. */
const filled = (mail: Sendable, render: boolean, messageId: string) =>
  render && !Composed.isComposed(mail)
    ? Effect.flatMap(taken(mail, messageId), ({ recipient, template }) => template.mail(recipient))
    : Effect.succeed(mail)

/** Bytes as text; boundaries are drawn anew each time that a mail is composed. */
const legible = (content: Uint8Array): string => {
  let text = Buffer.from(content).toString("latin1")
  const boundaries = [...text.matchAll(/boundary="([^"]+)"/g)].map(([, boundary]) => boundary!)
  for (const [index, boundary] of boundaries.entries()) text = text.replaceAll(boundary, `boundary-${index}`)
  return text
}

interface Sent {
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly content: string
}

/** Short enough for a list of differences: who, the Message-ID, and a digest of the whole. */
const line = ({ content, from, to }: Sent): string => {
  const digest = createHash("sha256").update(content, "latin1").digest("hex").slice(0, 16)
  return `${from} > ${to.join()} ${/^Message-ID:\s*(\S+)/im.exec(content)?.[1]} ${content.length} ${digest}`
}

const arrived = ({ content, from, to }: Inbox.Message): string =>
  line({ from: from.address, to: to.map(({ address }) => address), content: legible(content) })

const expected = ({ mail, options, owed, recipient }: Kept.KeptMail, shown: ReadonlyArray<OlderVersion.Shown>) =>
  Effect.gen(function* () {
    const { messageId } = shown.find(({ entry }) => entry.recipient === recipient)!.entry
    const { content, envelope } = yield* composed(mail, options.render === true, messageId)
    return line({ from: envelope.from!, to: owed ?? envelope.to, content: legible(content as Uint8Array) })
  })

const allExpected = (mails: ReadonlyArray<Kept.KeptMail>, shown: ReadonlyArray<OlderVersion.Shown>) =>
  Effect.map(
    Effect.forEach(mails, (mail) => expected(mail, shown)),
    (lines) => lines.sort()
  )

/** As it was shown, and perhaps more. */
const asShown = (now: object, then: object): object =>
  JSON.parse(JSON.stringify(Object.fromEntries(Object.keys(then).map((key) => [key, now[key as keyof typeof now]]))))

const count = (state: State): number => Kept.all.filter((kept) => kept.state === state).length

/** Sends what is due; a mail that was in hand at two kills comes back a while later, unless somebody asks for it. */
const drain = (server: TestServer.TestServerService) =>
  Effect.gen(function* () {
    const outbox = yield* Outbox.Outbox
    yield* Outbox.run({
      until: "idle",
      onStart: () => Effect.orDie(Stream.runDrain(outbox.retry({ lane: "hang.test", states: ["due"] })))
    })
  }).pipe(Effect.provide(SmtpTransport.layer({ host: "127.0.0.1", port: server.port })))

type Restored = Effect.Effect<Layer.Layer<Outbox.Outbox, unknown>, unknown, Scope.Scope>

const suite = (version: keyof typeof versions, store: "sqlite" | "postgres", restored: Restored) => {
  const shown = OlderVersion.shown(`${version}.${store}`)
  const test = (what: string, body: Effect.Effect<unknown, unknown, Outbox.Outbox | Scope.Scope>) =>
    it.live(what, () =>
      Effect.gen(function* () {
        const outbox = yield* restored
        yield* Effect.provide(Effect.scoped(body), outbox)
      }).pipe(Effect.provideServiceEffect(Clock.Clock, laterThatDay(version)), Effect.scoped)
    )

  describe(`an outbox of ${version} in ${store}`, () => {
    test(
      "is shown as it was",
      Effect.gen(function* () {
        const entries = yield* Stream.runCollect(Outbox.list())
        const then = shown.map(({ entry }) => entry)
        assert.deepStrictEqual(
          entries.map((entry, index) => asShown(entry, then[index] ?? entry)),
          then
        )
        for (const { attempts, entry } of shown) {
          const details = yield* Outbox.get(entry.id)
          assert.deepStrictEqual(
            details!.attempts.map((attempt, index) => asShown(attempt, attempts[index] ?? attempt)),
            attempts as ReadonlyArray<object>
          )
        }
        const { lanes, states } = yield* Outbox.stats
        for (const state of ["due", "claimed", "accepted", "rejected", "expired", "dead", "cancelled"] as const) {
          assert.strictEqual(states[state], count(state), state)
        }
        assert.deepStrictEqual(
          lanes.filter(({ paused }) => paused).map(({ lane, waiting }) => [lane, waiting]),
          [[Kept.pausedLane, 4]]
        )
      })
    )

    test(
      "has each message whole, as it was enqueued",
      Effect.gen(function* () {
        for (const { mail, options, recipient } of Kept.all) {
          const { messageId, id } = shown.find(({ entry }) => entry.recipient === recipient)!.entry
          const { mail: found } = (yield* Outbox.get(id))!
          const content = (mail: Sendable) =>
            Effect.map(composed(mail, false, messageId), ({ content }) => legible(content as Uint8Array))
          const expected = yield* filled(mail, options.render === true, messageId)
          assert.strictEqual(yield* content(found!), yield* content(expected), recipient)
        }
      })
    )

    test(
      "finds its messages by their keys",
      Effect.gen(function* () {
        const keyed = Kept.all.filter(({ options }) => options.idempotencyKey !== undefined)
        assert.isAbove(keyed.length, 4)
        for (const { mail, options, recipient } of keyed) {
          const { duplicate, id } = yield* Outbox.enqueue(mail, options)
          assert.deepStrictEqual(
            [duplicate, id],
            [true, shown.find(({ entry }) => entry.recipient === recipient)!.entry.id]
          )
        }
      })
    )

    test(
      "is sent: each waiting or started message once, to the recipients that are still owed it, with its bytes",
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        yield* drain(server)
        const isPaused = ({ recipient }: Kept.KeptMail) => recipient.endsWith(`@${Kept.pausedLane}`)
        const isScheduled = ({ recipient }: Kept.KeptMail) => recipient === "never@later.test"
        const open = Kept.all.filter(({ state }) => state === "due" || state === "claimed")
        const due = open.filter((mail) => !isPaused(mail) && !isScheduled(mail))
        assert.deepStrictEqual(server.messages.map(arrived).sort(), yield* allExpected(due, shown))

        yield* server.reset
        yield* Outbox.resume(Kept.pausedLane)
        yield* drain(server)
        assert.deepStrictEqual(server.messages.map(arrived).sort(), yield* allExpected(open.filter(isPaused), shown))

        yield* server.reset
        const [scheduled] = open.filter(isScheduled)
        const [row] = yield* Stream.runCollect(Outbox.list({ recipient: scheduled!.recipient }))
        yield* Stream.runDrain(Outbox.retry({ ids: [row!.id] }))
        yield* drain(server)
        assert.deepStrictEqual(server.messages.map(arrived), yield* allExpected([scheduled!], shown))

        const { pendingBytes, states } = yield* Outbox.stats
        assert.deepStrictEqual(
          [states.due, states.claimed, pendingBytes, states.accepted],
          [0, 0, 0, count("accepted") + count("due") + count("claimed")]
        )
        assert.deepStrictEqual(server.protocolErrors, [])
      })
    )

    test(
      "continues: new messages for its lanes and for new lanes queue with the older ones, and all are sent",
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const old = Array.from({ length: 20 }, (_, i) => `lane${i}.test`)
        const lanes = [...old, ...Array.from({ length: 100 }, (_, i) => `new${i}.test`)]
        for (const lane of lanes) {
          yield* Outbox.enqueue({ from: "a@sender.example", to: `later@${lane}`, subject: "s", text: "t" })
        }
        const waiting = new Map((yield* Outbox.stats).lanes.map(({ lane, waiting }) => [lane, waiting]))
        assert.deepStrictEqual(
          lanes.map((lane) => waiting.get(lane)),
          lanes.map((lane) => (old.includes(lane) ? 2 : 1))
        )
        yield* drain(server)
        const recipients = server.messages.map(({ to }) => to[0]!.address)
        const missing = lanes.filter((lane) => !recipients.includes(`later@${lane}`))
        assert.deepStrictEqual(missing, [])
        const { states } = yield* Outbox.stats
        assert.strictEqual(states.due, 4 + 1)
      })
    )

    test(
      "retries settled messages: rejected, dead and cancelled ones are sent on request",
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const states = ["rejected", "dead", "cancelled"] as const
        const again = Kept.all.filter(({ state }) => states.includes(state as (typeof states)[number]))
        yield* drain(server)
        yield* server.reset
        yield* Stream.runDrain(Outbox.retry({ states }, { scheduled: true }))
        yield* drain(server)
        assert.deepStrictEqual(server.messages.map(arrived).sort(), yield* allExpected(again, shown))
      })
    )
  })
}

suite("8094cdc", "sqlite", OlderVersion.sqlite("8094cdc"))
suite("d506a97", "sqlite", OlderVersion.sqlite("d506a97"))

const server = shared()
suite(
  "8094cdc",
  "postgres",
  Effect.flatMap(server, (server) => OlderVersion.postgres(server, "8094cdc"))
)
