/**
 * Mails that are not of their type, as from a program without a compiler, or say what no header may.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Mail from "../src/Mail.ts"
import * as MimeComposer from "../src/MimeComposer.ts"

const mail: Mail.Mail = { from: "ann@example.org", to: "bob@example.org", subject: "s", text: "t" }

describe("MimeComposer, given a value of another type", () => {
  it.effect.each<readonly [field: string, says: string, given: { readonly [name: string]: unknown }]>([
    ["priority", "high, normal or low", { priority: "urgent" }],
    ["priority", "high, normal or low", { priority: "constructor" }],
    ["priority", "high, normal or low", { priority: null }],
    ["headers.X-A", "string", { headers: { "X-A": 5 } }],
    ["headers.X-A", "string", { headers: { "X-A": null } }],
    ["headers", "object", { headers: null }],
    ["headers.Sender", "leave the header out", { headers: { Sender: "" } }],
    ["headers.resent-sender", "more than one", { headers: { "resent-sender": "a@b.c, d@e.f" } }],
    ["headers.Resent-Bcc", "show everyone", { headers: { "Resent-Bcc": "a@b.c" } }],
    ["messageId", "string", { messageId: 5 }],
    ["inReplyTo", "string", { inReplyTo: null }],
    ["references", "list", { references: 5 }],
    ["references[1]", "string", { references: ["<a@b>", null] }],
    ["listUnsubscribe", "object", { listUnsubscribe: null }],
    ["attachments", "list", { attachments: "a.txt" }],
    ["attachments[0]", "object", { attachments: [null] }],
    ["attachments[0].filename", "string", { attachments: [{ content: "", filename: 5 }] }],
    ["attachments[0].cid", "string", { attachments: [{ content: "", cid: 5 }] }],
    ["attachments[1].path", "string", { attachments: [{ content: Stream.empty }, { path: 5 }] }],
    ["attachments[0].contentType", "string", { attachments: [{ content: Stream.empty, contentType: 5 }] }],
    ["date", "Date", { date: "2026-01-01" }],
    ["calendar", "object", { calendar: null }],
    ["calendar.content", "string", { calendar: {} }],
    ["from.name", "string", { from: { name: 5, address: "a@b.c" } }],
    ["to[1].name", "string", { to: ["a@b.c", { name: {}, address: "a@b.c" }] }],
    ["to[0]", "list", { to: [["a@b.c", "d@e.f"]] }],
    ["to[0][1].name", "string", { to: [["a@b.c", { name: {}, address: "a@b.c" }]] }],
    ["envelope.from", "string", { envelope: { from: null } }],
    ["envelope.to", "list", { envelope: { to: "a@b.c" } }],
    ["envelope.to[0]", "string", { envelope: { to: [5] } }]
  ])("names %s (%s)", ([field, says, given]) =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(MimeComposer.compose({ ...mail, ...given }))
      assert.deepInclude(reason, { _tag: "InvalidMessage", field })
      assert.include(reason.message, says)
    })
  )

  it.effect("refuses a stream of strings", () =>
    Effect.gen(function* () {
      const content = Stream.make("hello") as Stream.Stream<never>
      const composed = yield* MimeComposer.compose({ ...mail, attachments: [{ filename: "a", content }] })
      if (composed.content instanceof Uint8Array) return assert.fail("it is not streamed")
      const { reason } = yield* Effect.flip(Stream.runDrain(composed.content.stream))
      assert.deepInclude(reason, { field: "attachments[0].content" })
    })
  )

  it.effect("does not blame the mail for a fault elsewhere", () =>
    Effect.gen(function* () {
      const broken = {
        ...mail,
        get html(): string {
          throw new RangeError("mine")
        }
      }
      const exit = yield* Effect.exit(MimeComposer.compose(broken))
      assert.include(String(exit), "RangeError")
    })
  )
})
