import { assert, describe, it } from "@effect/vitest"
import * as MailError from "mailrace/MailError"
import * as Feedback from "../src/Feedback.ts"

const throttled = (code: number, text: string) =>
  Feedback.fromError(MailError.make(new MailError.Throttled({ reply: { code, text } })))

const connectFailed = (kind: MailError.ConnectFailed["kind"], code: number, text: string) =>
  Feedback.fromError(
    MailError.make(
      new MailError.ConnectFailed({
        kind,
        host: "relay.example",
        port: 25,
        problem: "refused",
        reply: { code, text }
      })
    )
  )

describe("Feedback", () => {
  it("is a complaint where the relay asks to slow down, and none where it greylists", () => {
    assert.deepInclude(throttled(421, "4.7.0 too many"), { _tag: "Complaint", about: "rate" })
    assert.deepInclude(throttled(450, "4.2.0 Greylisted, come back later"), { _tag: "Neutral" })
  })

  it("is a failure of the relay where no session opens, and not where it refuses one recipient's client", () => {
    assert.strictEqual(connectFailed("greeting", 554, "no service")._tag, "RelayFailure")
    assert.strictEqual(connectFailed("client", 550, "relaying denied")._tag, "Deferral")
    const silent = (phase: MailError.Phase) =>
      Feedback.fromError(MailError.make(new MailError.Timeout({ phase, limitMs: 1 })))
    for (const phase of ["dns", "connect", "tls", "greeting", "ehlo", "starttls", "auth"] as const)
      assert.strictEqual(silent(phase)._tag, "RelayFailure", phase)
    for (const phase of ["envelope", "content", "session"] as const)
      assert.deepInclude(silent(phase), { _tag: "Complaint", about: "load" }, phase)
  })
})
