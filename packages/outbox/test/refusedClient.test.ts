/**
 * A relay that refuses the client (its name, its address, or that it relays) says nothing about the message: the message waits.
 */
import { assert, describe, it } from "@effect/vitest"
import * as MailError from "mailrace/MailError"
import * as Backoff from "../src/Backoff.ts"
import { feedback } from "../src/internal/dispatch/settlement.ts"

const error = (kind: MailError.ConnectFailed["kind"]) =>
  MailError.make(
    new MailError.ConnectFailed({
      kind,
      host: "relay.example",
      port: 25,
      problem: "the relay refuses this client",
      reply: { code: 550, enhanced: "5.7.1", text: "relaying denied" }
    })
  )

const rejected = (kind: MailError.ConnectFailed["kind"]) => ({
  _tag: "Rejected" as const,
  id: "1",
  index: 0,
  messageId: "<1@x.example>",
  recipients: [],
  relay: undefined,
  attempts: 1,
  size: 10,
  durationMs: 1,
  error: error(kind)
})

describe("a relay that refuses this client", () => {
  it("is why a message waits, and no reason to reject it", () => {
    assert.isTrue(Backoff.isAboutRelay(error("client")))
  })

  it("does not slow the lanes of other recipients", () => {
    assert.deepStrictEqual(feedback(rejected("client")), { _tag: "Deferral" })
    assert.deepInclude(feedback(rejected("greeting")), { _tag: "Complaint", about: "relay" })
    const silent = (phase: MailError.Phase) => ({
      ...rejected("client"),
      error: MailError.make(new MailError.Timeout({ phase, limitMs: 1 }))
    })
    assert.deepInclude(feedback(silent("connect")), { _tag: "Complaint", about: "relay" })
    assert.deepInclude(feedback(silent("content")), { _tag: "Complaint", about: "lane" })
  })
})
