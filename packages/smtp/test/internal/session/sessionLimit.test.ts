import { assert, describe, it } from "@effect/vitest"
import { sessionLimit } from "../../../src/internal/session/sessionLimit.ts"

describe("sessionLimit", () => {
  for (const [code, enhanced, text, limit] of [
    [432, "4.3.2", "4.3.2 Concurrent connections limit exceeded", "connections"],
    [451, "4.7.0", "4.7.0 Too many concurrent sessions for this account", "connections"],
    [421, "4.7.0", "4.7.0 too many connections from your host", "connections"],
    [452, "4.4.5", "4.4.5 Maximum number of messages per session exceeded", "messages"],
    [421, "4.4.5", "4.4.5 closing, too many messages", "messages"],
    [452, "4.4.5", "4.4.5 Insufficient resources", "messages"],
    [452, "4.5.3", "4.5.3 Too many recipients", undefined],
    [432, "4.7.12", "4.7.12 A password transition is needed", undefined],
    [450, "4.2.1", "4.2.1 The user receives too many messages", undefined],
    [451, "4.7.1", "4.7.1 Greylisted, try again later", undefined],
    [550, "5.7.1", "5.7.1 Too many concurrent connections", "connections"],
    [554, "5.7.0", "5.7.0 Too many messages in this session", "messages"],
    [550, "5.7.1", "5.7.1 Relay access denied", undefined],
    [451, undefined, `try later, ${"x".repeat(80)} too many connections`, undefined]
  ] as const) {
    it(`takes ${code} ${text} for ${limit === undefined ? "no limit of a session" : `a limit of ${limit}`}`, () => {
      assert.strictEqual(sessionLimit(enhanced === undefined ? { code, text } : { code, enhanced, text }, true), limit)
    })
  }

  it("reads a congestion reply on an unused session as congestion", () => {
    assert.isUndefined(sessionLimit({ code: 452, enhanced: "4.4.5", text: "4.4.5 Insufficient resources" }, false))
  })
})
