/**
 * Each kind of reply against a relay that gives it, in each mode, with and without retries: the reason, what it costs in attempts
 * and sessions, and what the user is told.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as SmtpOptions from "../src/SmtpOptions.ts"
import * as RawRelay from "./support/rawRelay.ts"
import * as Relay from "./support/relay.ts"

const modes = ["auto", "speculative", "overlap", "envelope", "off"] as const
const quick = RetryPolicy.make({ base: 1, times: 2 })

interface Case {
  /** The fault, as the test server writes it. */
  readonly fault: string
  readonly end: Delivery.Delivery["_tag"]
  readonly reason: string
  /** Attempts at each message with retries; without them it is one. */
  readonly attempts: number
  readonly remedy: RegExp
}

const never = /take the address off/

const cases: ReadonlyArray<Case> = [
  {
    fault: "rcpt:504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
    end: "Rejected",
    reason: "ConnectFailed",
    attempts: 1,
    remedy: /`name`/
  },
  {
    fault: "rcpt:554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
    end: "Rejected",
    reason: "ConnectFailed",
    attempts: 1,
    remedy: /listed/
  },
  {
    fault: "rcpt:550 5.7.1 Unable to relay",
    end: "Rejected",
    reason: "ConnectFailed",
    attempts: 1,
    remedy: /log in/
  },
  {
    fault: "rcpt:454 4.7.1 <a@b>: Relay access denied",
    end: "Deferred",
    reason: "ConnectFailed",
    attempts: 3,
    remedy: /log in/
  },
  {
    fault: "mail:502 5.7.0 Please authenticate first",
    end: "Rejected",
    reason: "AuthenticationFailed",
    attempts: 1,
    remedy: /a user and a password/
  },
  {
    fault: "mail:503 5.5.1 Authentication required",
    end: "Rejected",
    reason: "AuthenticationFailed",
    attempts: 1,
    remedy: /a user and a password/
  },
  {
    fault: "rcpt:503 This mail server requires authentication when attempting to send to a non-local address.",
    end: "Rejected",
    reason: "AuthenticationFailed",
    attempts: 1,
    remedy: /a user and a password/
  },
  {
    fault: "rcpt:530 5.7.0 Authentication required",
    end: "Rejected",
    reason: "AuthenticationFailed",
    attempts: 1,
    remedy: /a user and a password/
  },
  {
    fault: "mail:530 5.7.0 Must issue a STARTTLS command first",
    end: "Rejected",
    reason: "TlsFailed",
    attempts: 1,
    remedy: /tls=required/
  },
  {
    fault: "rcpt:553 5.7.1 <me@here>: Sender address rejected: not owned by user ann",
    end: "Rejected",
    reason: "SenderRejected",
    attempts: 1,
    remedy: /use a sender/
  },
  {
    fault: "final:550 5.4.5 Daily user sending limit exceeded.",
    end: "Deferred",
    reason: "Throttled",
    attempts: 1,
    remedy: /quota/
  },
  {
    fault: "final:454 Throttling failure: Maximum sending rate exceeded.",
    end: "Deferred",
    reason: "Throttled",
    attempts: 3,
    remedy: /send more slowly/
  },
  {
    fault: "final:554 Message rejected: Email address is not verified.",
    end: "Rejected",
    reason: "SenderRejected",
    attempts: 1,
    remedy: /use a sender/
  },
  {
    fault: "rcpt:552 5.2.2 Mailbox full",
    end: "Rejected",
    reason: "RecipientsRejected",
    attempts: 1,
    remedy: /full/
  },
  {
    fault: "rcpt:552 5.5.3 Maximum limit of recipients reached",
    end: "Deferred",
    reason: "Throttled",
    attempts: 3,
    remedy: /fewer recipients/
  },
  {
    fault: "rcpt:550 Domain shop.example has exceeded the max emails per hour (100/100 (100%)) allowed.",
    end: "Deferred",
    reason: "Throttled",
    attempts: 3,
    remedy: /send more slowly/
  },
  {
    fault: "rcpt:550 Delivery is not allowed to this address.",
    end: "Rejected",
    reason: "ConnectFailed",
    attempts: 1,
    remedy: /log in/
  },
  {
    fault: "mail:502 5.7.0 Your SMTP account is not yet activated.",
    end: "Rejected",
    reason: "SenderRejected",
    attempts: 1,
    remedy: /account is limited or closed/
  },
  {
    fault: "rcpt:450 4.7.1 Session encryption is required",
    end: "Rejected",
    reason: "TlsFailed",
    attempts: 1,
    remedy: /tls=required/
  },
  {
    fault: "final:552 5.3.4 Message size exceeds fixed limit",
    end: "Rejected",
    reason: "SizeExceeded",
    attempts: 1,
    remedy: /attachments/
  }
]

const sendThree = (
  server: TestServer.TestServerService,
  retry: RetryPolicy.RetryPolicy,
  options: Partial<SmtpOptions.Options>
) =>
  Effect.gen(function* () {
    const relay = yield* Relay.open(server, { maxConnections: 2, ...options })
    return yield* Stream.range(0, 2).pipe(
      Stream.map((n) => Relay.message(n)),
      Mailer.sendAll({ retry }),
      Stream.runCollect,
      Effect.provideService(MailTransport, relay.transport)
    )
  })

describe("replies that refuse every message", () => {
  for (const { attempts, end, fault, reason, remedy } of cases) {
    it.live(`${fault} is ${reason}`, () =>
      Effect.gen(function* () {
        for (const pipelining of modes) {
          for (const [retry, expected] of [
            [RetryPolicy.none, 1],
            [quick, attempts]
          ] as const) {
            const server = yield* TestServer.make({ faults: [fault] })
            const deliveries = yield* sendThree(server, retry, { pipelining })
            assert.lengthOf(deliveries, 3)
            for (const delivery of deliveries) {
              const where = `${pipelining} ${expected}`
              assert.strictEqual(delivery._tag, end, where)
              if (Delivery.isAccepted(delivery)) continue
              assert.strictEqual(delivery.error.reason._tag, reason, where)
              assert.strictEqual(delivery.attempts, expected, where)
              assert.match(delivery.error.remedy, remedy, where)
              assert.notMatch(delivery.error.remedy, never, where)
            }
            // No session is given up for such a reply, but the one that fails its self-test.
            assert.isAtMost(server.stats.connections, 4, pipelining)
            assert.lengthOf(server.messages, 0)
          }
        }
      })
    )
  }
})

describe("a relay that knows nothing before the login, as go-smtp", () => {
  const replies: Readonly<Record<string, string>> = {
    EHLO: "250-relay.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN",
    MAIL: "502 5.7.0 Please authenticate first",
    RCPT: "502 5.5.1 Missing MAIL FROM command.",
    BDAT: "502 5.5.1 Missing RCPT TO command.",
    DATA: "502 5.5.1 Missing RCPT TO command.",
    RSET: "250 2.0.0 Session reset"
  }
  for (const pipelining of modes) {
    it.live(`demands it of the first message (${pipelining})`, () =>
      Effect.gen(function* () {
        let connections = 0
        const relay = yield* RawRelay.make((socket, n) => {
          connections = n
          let chunk = 0
          socket.write("220 relay.example\r\n")
          socket.on("data", (bytes) => {
            let text = bytes.toString("latin1")
            while (text !== "") {
              const skipped = Math.min(chunk, text.length)
              chunk -= skipped
              text = text.slice(skipped)
              const end = text.indexOf("\r\n")
              if (end === -1) return
              const [verb = "", length] = text.slice(0, end).split(" ")
              text = text.slice(end + 2)
              if (verb === "BDAT") chunk = Number(length)
              socket.write(`${replies[verb] ?? "250 2.0.0 yes"}\r\n`)
            }
          })
        })
        const { send } = yield* Relay.open(relay, { pipelining, maxConnections: 1 })
        for (let n = 0; n < 3; n++) {
          const error = yield* Effect.flip(send(Relay.message(n)))
          assert.strictEqual(error.reason._tag, "AuthenticationFailed")
          assert.match(error.message, /502 5\.7\.0 Please authenticate first/)
        }
        assert.isAtMost(connections, 2)
      })
    )
  }
})

describe("replies that refuse every session", () => {
  const login = { auth: Relay.password("ann", "secret"), allowInsecureAuth: true }
  for (const [fault, end, reason, attempts, remedy] of [
    ["greeting:554 5.7.1 Client host [192.0.2.1] blocked using zen.example", "Rejected", "ConnectFailed", 1, /listed/],
    ["greeting:554 5.7.1 too many connections", "Deferred", "ConnectFailed", 3, /`maxConnections`/],
    ["greeting:421 4.7.0 too many connections", "Deferred", "ConnectFailed", 3, /`maxConnections`/],
    ["greeting:450 4.7.1 cannot find your reverse hostname", "Deferred", "ConnectFailed", 3, /PTR/],
    ["auth:432 4.7.12 A password transition is needed", "Rejected", "AuthenticationFailed", 1, /PLAIN/],
    ["auth:454 4.7.0 Temporary authentication failure", "Deferred", "AuthenticationFailed", 3, /later/],
    [
      "auth:534 5.7.9 Application-specific password required",
      "Rejected",
      "AuthenticationFailed",
      1,
      /application password/
    ],
    ["auth:535 5.7.8 Username and Password not accepted", "Rejected", "AuthenticationFailed", 1, /the password/],
    ["auth:535 5.7.139 SmtpClientAuthentication is disabled", "Rejected", "AuthenticationFailed", 1, /SMTP AUTH/],
    ["auth:538 5.7.11 Encryption required", "Rejected", "AuthenticationFailed", 1, /tls=required/],
    ["auth:525 5.7.1 Unauthorized IP address", "Rejected", "AuthenticationFailed", 1, /allowed with the provider/],
    ["auth:451 Authentication failed, Maximum credits exceeded", "Deferred", "AuthenticationFailed", 1, /quota/],
    ["auth:554 5.7.0 Too many concurrent sessions", "Deferred", "AuthenticationFailed", 3, /later/]
  ] as const) {
    it.live(`${fault} is ${reason}`, () =>
      Effect.gen(function* () {
        for (const [retry, expected] of [
          [RetryPolicy.none, 1],
          [quick, attempts]
        ] as const) {
          const server = yield* TestServer.make({ faults: [fault], users: { ann: "secret" } })
          const deliveries = yield* sendThree(server, retry, fault.startsWith("auth") ? login : {})
          for (const delivery of deliveries) {
            assert.strictEqual(delivery._tag, end)
            if (Delivery.isAccepted(delivery)) continue
            assert.strictEqual(delivery.error.reason._tag, reason)
            assert.strictEqual(delivery.attempts, expected)
            assert.match(delivery.error.remedy, remedy)
          }
          // Messages that wait for the same session share its refusal; each retry may ask again.
          assert.isAtMost(server.stats.connections, 3 * expected)
        }
      })
    )
  }
})

describe("replies that refuse one recipient too many", () => {
  const tooMany = (code: number, text: string, most: number) => {
    const taken = new Map<number, number>()
    return TestServer.make({
      decide: ({ connection, phase }): Fault.Action | undefined => {
        if (phase === "mail" || phase === "rset") taken.set(connection, 0)
        if (phase !== "rcpt") return undefined
        const count = taken.get(connection) ?? 0
        taken.set(connection, count + 1)
        return count < most ? undefined : { type: "reply", code, text }
      }
    })
  }
  for (const [code, text] of [
    [452, "4.5.3 Too many recipients"],
    [552, "5.5.3 Maximum limit of 2 recipients reached"],
    [552, "too many recipients"],
    [552, "Limit of 2 recipients exceeded"],
    [552, "no"],
    [550, "too many recipients"],
    [451, "4.5.3 too many recipients in this transaction"]
  ] as const) {
    it.live(`${code} ${text}: the rest goes in the next transaction`, () =>
      Effect.gen(function* () {
        for (const pipelining of modes) {
          const server = yield* tooMany(code, text, 2)
          const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
          const to = ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"]
          const [delivery] = yield* Stream.make(Relay.message(1, { to })).pipe(
            Mailer.sendAll({ retry: RetryPolicy.none }),
            Stream.runCollect,
            Effect.provideService(MailTransport, relay.transport)
          )
          assert.deepStrictEqual(
            delivery?.recipients.map(({ address, outcome }) => [address, outcome]),
            to.map((address) => [address, "accepted"]),
            pipelining
          )
          assert.strictEqual(delivery?.attempts, 3)
          assert.deepStrictEqual(
            server.messages.flatMap((message) => message.to.map(({ address }) => address)).toSorted(),
            to
          )
        }
      })
    )
  }

  it.live("552 for a full mailbox is the recipient's", () =>
    Effect.gen(function* () {
      const server = yield* tooMany(552, "5.2.2 Mailbox full", 1)
      const relay = yield* Relay.open(server)
      const receipt = yield* relay.send(Relay.message(1, { to: ["a@x.example", "b@x.example"] }))
      assert.deepStrictEqual(
        receipt.recipients.map(({ outcome }) => outcome),
        ["accepted", "rejected"]
      )
    })
  )
})
