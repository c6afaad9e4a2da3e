/**
 * How many recipients a stored message counts for, however they were named.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Mail from "mailrace/Mail"
import * as RecipientCount from "../src/internal/dispatch/recipientCount.ts"
import type { ClaimedRow } from "../src/OutboxStore.ts"
import * as Payload from "../src/Payload.ts"
import { mail } from "./support/fixtures.ts"

const codec = Payload.make()

const count = (message: Mail.Mail, row: Partial<ClaimedRow> = {}) =>
  Effect.map(codec.encode(message, "id"), (payload) =>
    RecipientCount.make(codec)({ ...payload, ...row } as unknown as ClaimedRow)
  )

describe("the recipients of a message", () => {
  for (const [what, message, expected] of [
    ["of one address", mail("a@a.test"), 1],
    ["in a list", mail("Ann <a@a.test>, b@a.test"), 2],
    ["in every field, each once", mail("a@a.test", { cc: ["b@a.test", "A@a.test"], bcc: { address: "c@a.test" } }), 3],
    ["of an envelope", mail("a@a.test", { cc: "b@a.test", envelope: { to: ["x@x.test", "y@x.test"] } }), 2]
  ] as const)
    it.effect(what, () =>
      Effect.map(count(message), (counted) => {
        assert.strictEqual(counted, expected)
      })
    )

  it.effect("are those that are still owed it", () =>
    Effect.gen(function* () {
      const recipients = JSON.stringify([
        { address: "a@a.test", outcome: "accepted" },
        { address: "b@a.test", outcome: "deferred" },
        { address: "c@a.test", outcome: "rejected" },
        { address: "d@a.test", outcome: "deferred" }
      ])
      assert.strictEqual(yield* count(mail("a@a.test, b@a.test, c@a.test, d@a.test"), { recipients }), 2)
    })
  )

  it("count as one if the message cannot be read", () => {
    assert.strictEqual(RecipientCount.make(codec)({ content: "{", shared: [] } as unknown as ClaimedRow), 1)
  })
})
