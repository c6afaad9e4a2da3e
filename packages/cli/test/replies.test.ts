/**
 * What the command makes of a relay's replies: its exit status, the reason in the report, and a remedy in its own words.
 */
import type * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const send = Effect.fnUntraced(function* (
  options: TestServer.Options,
  args: ReadonlyArray<string> = [],
  query = "",
  to: ReadonlyArray<string> = ["ann@x.example", "bob@x.example", "cid@x.example"]
) {
  const server = yield* TestServer.make(options)
  const dir = yield* folder
  const input = dir.write("in.ndjson", to.map((address) => mail(address)).join(""))
  const list = dir.path("gone.txt")
  const ended = yield* mailrace([
    "send",
    "--relay",
    `smtp://${query.includes("auth") ? "joe:secret@" : ""}127.0.0.1:${server.port}${query}`,
    "--progress",
    "none",
    "-i",
    input,
    "--suppress-add",
    list,
    ...args
  ])
  return { server, ended, added: existsSync(list) ? dir.read("gone.txt") : "" }
})

/** Rows: what the relay does, and how the run ends. */
const rows: ReadonlyArray<readonly [fault: string, retries: string, status: number, reason: string, remedy: RegExp]> = [
  [
    "rcpt:504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
    "2",
    1,
    "ConnectFailed",
    /name in the relay's URL/
  ],
  ["rcpt:554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", "0", 1, "ConnectFailed", /listed/],
  ["rcpt:550 5.7.1 Unable to relay", "0", 1, "ConnectFailed", /the user in --relay, and MAILRACE_PASSWORD/],
  [
    "rcpt:553 5.7.1 <me@x.example>: Sender address rejected: not owned by user joe",
    "0",
    1,
    "SenderRejected",
    /use a sender/
  ],
  ["final:550 5.4.5 Daily user sending limit exceeded", "3", 1, "Throttled", /quota/],
  ["final:451 4.3.2 try later", "0", 1, "Throttled", /--rate or --connections/],
  ["mail:421 4.7.0 try again later, closing connection", "0", 1, "Throttled", /--rate or --connections/],
  ["mail:432 4.3.2 Concurrent connections limit exceeded", "0", 1, "Throttled", /--rate or --connections/],
  ["final:432 4.3.2 sender thread limit exceeded", "0", 1, "Throttled", /--rate or --connections/],
  [
    "mail:452 4.4.5 Maximum number of messages per session exceeded",
    "0",
    1,
    "Throttled",
    /maxMessages in the relay's URL/
  ],
  ["rcpt:452 4.5.3 Too many recipients", "0", 1, "Throttled", /fewer recipients/],
  ["rcpt:552 5.2.2 Mailbox full", "0", 1, "RecipientsRejected", /full/],
  ["final:552 5.3.4 Message size exceeds fixed limit", "0", 1, "SizeExceeded", /attachments/],
  ["rcpt:550 shop.example has exceeded the max emails per hour", "0", 1, "Throttled", /--rate or --connections/],
  ["rcpt:550 Delivery is not allowed to this address.", "0", 1, "ConnectFailed", /MAILRACE_PASSWORD/]
]

describe("mailrace send and the relay's replies", () => {
  for (const [fault, retries, status, reason, remedy] of rows) {
    it.live(`${fault} ends with ${status}`, () =>
      Effect.gen(function* () {
        const { added, ended } = yield* send(
          { faults: [fault.replace(/(?<=: ).*/, (words) => words.replaceAll(":", ""))] },
          ["--retries", retries]
        )
        assert.strictEqual(ended.status, status, ended.stderr)
        assert.match(ended.stdout, new RegExp(`\\n +3 +${reason} `))
        assert.match(ended.stdout, new RegExp(`try: .*${remedy.source}`))
        assert.notMatch(ended.stdout, /take the address/)
        assert.strictEqual(added, "")
      })
    )
  }

  for (const fault of ["mail:502 5.7.0 Please authenticate first", "rcpt:503 this relay requires authentication"]) {
    it.live(`${fault} ends the run with 2`, () =>
      Effect.gen(function* () {
        const { ended } = yield* send({ faults: [fault] })
        assert.strictEqual(ended.status, 2)
        assert.match(ended.stderr, /the relay demands a login: "50/)
        assert.match(ended.stderr, /try: name the user in --relay, as in smtp:\/\/user@host, and set MAILRACE_PASSWORD/)
      })
    )
  }

  for (const [fault, words] of [
    ["greeting:554 5.7.1 too many connections", /lower --connections/],
    ["greeting:554 5.7.1 Client host blocked using zen.example", /listed/],
    ["auth:432 4.7.12 A password transition is needed", /log in once by PLAIN \(auth in the relay's URL/],
    ["auth:454 4.7.0 Temporary authentication failure", /send again later/],
    ["auth:534 5.7.9 Application-specific password required", /application password/],
    ["auth:538 5.7.11 Encryption required", /tls=required/],
    ["auth:554 5.7.0 Too many concurrent sessions", /send again later/]
  ] as const) {
    it.live(`${fault} ends the run before its first message, with 2`, () =>
      Effect.gen(function* () {
        const { ended } = yield* send(
          { faults: [fault], users: { joe: "secret" } },
          ["--retries", "0"],
          "?tls=off&allowInsecureAuth=true&auth=plain"
        )
        assert.strictEqual(ended.status, 2, ended.stderr)
        assert.match(ended.stderr, words)
        assert.notMatch(ended.stderr, /take the address|`/)
      })
    )
  }

  it.live("552 for one recipient too many costs nobody the message", () =>
    Effect.gen(function* () {
      let taken = 0
      const { ended, server } = yield* send(
        {
          decide: ({ phase }): Fault.Action | undefined => {
            if (phase === "mail") taken = 0
            return phase === "rcpt" && ++taken > 2
              ? { type: "reply", code: 552, text: "too many recipients" }
              : undefined
          }
        },
        ["--retries", "0", "--connections", "1"],
        "",
        ["a@x.example, b@x.example, c@x.example, d@x.example, e@x.example"]
      )
      assert.strictEqual(ended.status, 0, ended.stderr)
      assert.lengthOf(
        server.messages.flatMap(({ to }) => to),
        5
      )
    })
  )

  it.live("a login that fails for now beside sessions that work does not end the run", () =>
    Effect.gen(function* () {
      let logins = 0
      const { ended } = yield* send(
        {
          users: { joe: "secret" },
          faults: ["content:delay=30ms"],
          decide: ({ phase }): Fault.Action | undefined =>
            phase === "auth" && ++logins > 1
              ? { type: "reply", code: 454, text: "4.7.0 Temporary authentication failure" }
              : undefined
        },
        ["--retries", "0", "--connections", "3"],
        "?tls=off&allowInsecureAuth=true",
        Array.from({ length: 30 }, (_, n) => `to-${n}@x.example`)
      )
      assert.strictEqual(ended.status, 0, ended.stderr)
    })
  )
})
