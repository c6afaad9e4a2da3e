/**
 * Mails as programs in the field give them: what cannot be written as it was given is written right, or refused with what
 * to do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Mail from "../src/Mail.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import { wireProblem } from "./support/readers.ts"

const basic: Mail.Mail = { from: "a@example.org", to: "b@example.org", subject: "s" }

const compose = (mail: Partial<Mail.Mail>) => MimeComposer.compose({ ...basic, ...mail })

const written = (mail: Partial<Mail.Mail>) =>
  Effect.map(compose(mail), ({ content }) => {
    assert.isUndefined(wireProblem(content as Uint8Array))
    return Buffer.from(content as Uint8Array).toString()
  })

/** The value of a field, unfolded. */
const field = (name: string, mail: Partial<Mail.Mail>) =>
  Effect.map(written(mail), (text) => {
    const head = text.slice(0, text.indexOf("\r\n\r\n")).replace(/\r\n(?=[ \t])/g, "")
    return head
      .split("\r\n")
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim())
  })

const refusal = (mail: Partial<Mail.Mail>) => Effect.map(Effect.flip(compose(mail)), ({ message }) => message)

describe("MimeComposer in the field", () => {
  describe("recipients", () => {
    it.effect("takes a group without members for nobody, so that bcc is all", () =>
      Effect.gen(function* () {
        for (const to of ["undisclosed-recipients:;", '"Undisclosed recipients":;', ["undisclosed-recipients: ;"]]) {
          const { envelope } = yield* compose({ to, bcc: "b@example.org" })
          assert.deepStrictEqual(envelope.to as unknown, ["b@example.org"])
          assert.deepStrictEqual(yield* field("To", { to, bcc: "b@example.org" }), ["undisclosed-recipients:;"])
        }
        assert.include(yield* refusal({ to: "undisclosed-recipients:;" }), "there is no recipient")
        assert.include(yield* refusal({ to: "Board: c@example.org;" }), "a group of addresses cannot be sent to")
      })
    )

    it.effect("sends once to a mailbox whose domain is spelt in several ways", () =>
      Effect.gen(function* () {
        const { envelope } = yield* compose({
          to: ["a@bücher.example", "a@xn--bcher-kva.example"],
          cc: "a@BÜCHER.example"
        })
        assert.deepStrictEqual(envelope.to as unknown, ["a@bücher.example"])
      })
    )
  })
})
