import { assert, describe, it } from "@effect/vitest"
import * as Address from "mailrace/Address"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as RecipientGroups from "../../../src/internal/session/recipientGroups.ts"
import type { SessionOutcome } from "../../../src/SmtpSession.ts"
import * as RawRelay from "../../support/rawRelay.ts"
import * as Relay from "../../support/relay.ts"

const to = (count: number) => Array.from({ length: count }, (_, n) => `to-${n}@test.example`)

/** Takes each group and refuses the recipients that are given. */
const taking =
  (groups: Array<number>): RecipientGroups.SendOne =>
  ({ envelope }, onEnd) =>
    Effect.sync(() => {
      groups.push(envelope.to.length)
      const recipients = envelope.to.map((address) => ({ address, outcome: "accepted" as const }))
      const sent: SessionOutcome = Result.succeed({
        reply: { code: 250, text: "ok" },
        recipients,
        relay: "relay.example:25"
      })
      onEnd(sent)
      return sent
    })

describe("RecipientGroups", () => {
  for (const [count, size] of [
    [16_000, 1],
    [200_000, 199_999],
    [200_000, 1_000]
  ] as const) {
    it.effect(`sends to ${count} recipients in groups of ${size}, and tells of each of them once`, () =>
      Effect.gen(function* () {
        const groups: Array<number> = []
        let known: (() => SessionOutcome) | undefined
        const message = Relay.message(1, { to: to(count) })
        const sent = yield* RecipientGroups.send(message, size, taking(groups), (soFar) => {
          known = soFar
        })
        assert.strictEqual(groups.length, Math.ceil(count / size))
        const receipt = Result.getOrThrow(sent!)
        assert.strictEqual(receipt.recipients.length, count)
        assert.strictEqual(receipt.recipients.at(-1)?.address, Address.fromStringUnsafe(`to-${count - 1}@test.example`))
        assert.deepStrictEqual(known?.(), sent)
      })
    )
  }

  it.effect("reports the recipients not yet asked after each group", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* RecipientGroups.send(Relay.message(1, { to: to(3) }), 1, taking([]), (known) => {
        const { recipients } = Result.getOrThrow(known()!)
        seen.push(recipients.map(({ outcome }) => outcome[0]).join(""))
      })
      assert.deepStrictEqual(seen, ["add", "aad", "aaa"])
    })
  )

  it.effect("asks an address that is given in two groups once, and tells of both places", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const [first = "", second = "", third = ""] = to(3)
      const message = Relay.message(1, { to: [first, second, first, third] })
      const sendOne: RecipientGroups.SendOne = (part, onEnd) => {
        asked.push(...part.envelope.to)
        return taking([])(part, onEnd)
      }
      const sent = yield* RecipientGroups.send(message, 2, sendOne, () => {})
      assert.deepStrictEqual(asked, [first, second, third])
      const { recipients } = Result.getOrThrow(sent!)
      assert.deepStrictEqual(
        recipients.map(({ address, outcome }) => [address, outcome]),
        message.envelope.to.map((address) => [address, "accepted"])
      )
    })
  )

  /** Takes all that it is sent, and says only at the end of a chunk what there is to say. */
  const quickRelay = (limits: string) =>
    RawRelay.make((socket) => {
      let isContent = false
      let rest = ""
      socket.write("220 quick\r\n")
      socket.on("data", (bytes) => {
        const lines = (rest + bytes.toString("latin1")).split("\r\n")
        rest = lines.pop()!
        let answer = ""
        for (const line of lines) {
          if (isContent) {
            if (line !== ".") continue
            isContent = false
            answer += "250 taken\r\n"
          } else if (line.startsWith("EHLO")) answer += `250-quick\r\n250-PIPELINING\r\n250 LIMITS ${limits}\r\n`
          else if (line === "DATA") {
            isContent = true
            answer += "354 go on\r\n"
          } else answer += line === "QUIT" ? "221 bye\r\n" : "250 ok\r\n"
        }
        socket.write(answer)
      })
    })

  for (const [limits, count] of [
    ["RCPTMAX=199999", 200_000],
    ["RCPTMAX=1", 16_000]
  ] as const)
    it.live(
      `reaches ${count} recipients at a relay with ${limits}, over its connection`,
      () =>
        Effect.gen(function* () {
          const { transport } = yield* Relay.open(yield* quickRelay(limits), {
            pipelining: "envelope",
            maxConnections: 1
          })
          const [delivery] = yield* Stream.make(Relay.message(1, { to: to(count) })).pipe(
            Mailer.sendAll(),
            Stream.runCollect,
            Effect.provideService(MailTransport, transport)
          )
          assert.strictEqual(delivery?._tag, "Accepted")
          assert.strictEqual(delivery?.recipients.length, count)
          assert.isTrue(delivery?.recipients.every(({ outcome }) => outcome === "accepted"))
        }),
      30_000
    )
})
