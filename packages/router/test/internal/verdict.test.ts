import { assert, describe, it } from "@effect/vitest"
import * as MailError from "mailrace/MailError"
import { ofError } from "../../src/internal/verdict.ts"

const reply = { code: 550, enhanced: "5.7.1", text: "relaying denied" }
const at = { host: "relay.example", port: 25, problem: "the relay refuses this client", reply }

describe("verdict", () => {
  it("lets another relay try what this one does not relay, and keeps this one for the rest", () => {
    const refused = ofError(MailError.make(new MailError.ConnectFailed({ ...at, kind: "client" })))
    assert.deepInclude(refused, { end: "answered", mayGoElsewhere: true })
    const turnedAway = ofError(MailError.make(new MailError.ConnectFailed({ ...at, kind: "greeting" })))
    assert.deepInclude(turnedAway, { end: "failed", mayGoElsewhere: true })
    const lost = (phase: MailError.Phase) =>
      ofError(MailError.make(new MailError.ConnectionLost({ phase, problem: "it was closed" }))).end
    assert.deepStrictEqual((["tls", "auth", "envelope", "session"] as const).map(lost), [
      "failed",
      "failed",
      "disturbed",
      "disturbed"
    ])
  })
})
