import { assert, describe, it } from "@effect/vitest"
import * as Capabilities from "../src/Capabilities.ts"
import * as Pipelining from "../src/Pipelining.ts"

const offered = (...lines: ReadonlyArray<string>) =>
  Capabilities.fromReply({ code: 250, text: ["relay.example at your service", ...lines].join("\n") })

describe("Capabilities", () => {
  it("reads a relay's offers", () => {
    assert.deepStrictEqual(
      offered(
        "PIPELINING",
        "CHUNKING",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "REQUIRETLS",
        "SIZE 35882577",
        "AUTH PLAIN LOGIN",
        "LIMITS RCPTMAX=100 MAILMAX=20",
        "X-WHATEVER yes"
      ),
      {
        domain: "relay.example",
        pipelining: true,
        chunking: true,
        eightBitMime: true,
        smtpUtf8: true,
        dsn: true,
        enhancedStatusCodes: true,
        startTls: true,
        requireTls: true,
        size: 35_882_577,
        auth: ["PLAIN", "LOGIN"],
        maxRecipients: 100,
        maxMessages: 20
      }
    )
  })

  it("treats a malformed offer as absent", () => {
    assert.deepStrictEqual(offered(), { ...Capabilities.none, domain: "relay.example" })
    assert.deepStrictEqual(offered("PIPELININGS", "XCHUNKING", ""), { ...Capabilities.none, domain: "relay.example" })
  })

  it("does not mind how words are written", () => {
    assert.deepInclude(offered("pipelining ", " Size   10", "auth=plain", "AUTH PLAIN\tcram-md5"), {
      pipelining: true,
      size: 10,
      auth: ["PLAIN", "CRAM-MD5"]
    })
  })

  it("ignores a malformed limit", () => {
    for (const size of ["SIZE", "SIZE 0", "SIZE -1", "SIZE x", "SIZE 1e9", `SIZE ${"9".repeat(30)}`]) {
      assert.isUndefined(offered(size).size, size)
    }
    assert.deepInclude(offered("LIMITS RCPTMAX=0 MAILMAX=x"), { maxRecipients: undefined, maxMessages: undefined })
  })

  it("keeps at most 32 mechanisms, and none that has no name", () => {
    const many = Array.from({ length: 50 }, (_, n) => `M${n}`).join(" ")
    assert.lengthOf(offered(`AUTH ${many}`).auth, 32)
    assert.deepStrictEqual(offered(`AUTH PLAIN ${"X".repeat(21)} a/b SCRAM-SHA-256`).auth, ["PLAIN", "SCRAM-SHA-256"])
  })
})

describe("Pipelining", () => {
  it("uses no more than a relay offers", () => {
    const pipelining = { ...Capabilities.none, pipelining: true }
    const chunking = { ...pipelining, chunking: true }
    const modes = (choice: Pipelining.Choice) =>
      [Capabilities.none, { ...Capabilities.none, chunking: true }, pipelining, chunking].map((capabilities) =>
        Pipelining.offered(choice, capabilities)
      )
    assert.deepStrictEqual(modes("auto"), ["off", "off", "envelope", "speculative"])
    assert.deepStrictEqual(modes("speculative"), ["off", "off", "envelope", "speculative"])
    assert.deepStrictEqual(modes("overlap"), ["off", "off", "overlap", "overlap"])
    assert.deepStrictEqual(modes("envelope"), ["off", "off", "envelope", "envelope"])
    assert.deepStrictEqual(modes("off"), ["off", "off", "off", "off"])
  })
})
