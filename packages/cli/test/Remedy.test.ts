/**
 * The remedies that the user of the command reads name flags and variables of the command, not options of the library.
 */
import { assert, describe, it } from "@effect/vitest"
import * as SmtpTls from "@mailrace/smtp/SmtpTls"
import * as MailError from "mailrace/MailError"
import * as Remedy from "../src/Remedy.ts"

const reply = { code: 421, enhanced: undefined, text: "too many connections", lines: ["too many connections"] }
const refusal = { ...reply, code: 535, text: "authentication failed", lines: ["authentication failed"] }
const connectFailed = { host: "mail.example", port: 25, problem: "refused" }

const remedyOf = (reason: MailError.MailError["reason"]): string => Remedy.of(MailError.make(reason))

/** An error of every reason, and of every case in which a reason has another remedy. */
const reasons: ReadonlyArray<MailError.MailError["reason"]> = [
  new MailError.InvalidMessage({ field: "to", problem: "it is missing" }),
  new MailError.RecipientsRejected({ recipients: [], reply }),
  new MailError.SenderRejected({ reply }),
  new MailError.MessageRejected({ reply }),
  new MailError.Throttled({ reply }),
  new MailError.MailboxUnavailable({ reply }),
  new MailError.SizeExceeded({ size: 1 }),
  new MailError.AuthenticationFailed({ problem: "refused", reply: refusal }),
  new MailError.AuthenticationFailed({ problem: "refused", reply }),
  new MailError.TlsFailed({ problem: "no certificate" }),
  ...(["dns", "refused", "unreachable", "greeting", "client"] as const).map(
    (kind) => new MailError.ConnectFailed({ ...connectFailed, kind })
  ),
  ...(["dns", "connect", "greeting", "envelope", "finalReply", "session"] as const).map(
    (phase) => new MailError.Timeout({ phase, limitMs: 1000 })
  ),
  new MailError.ConnectionLost({ phase: "envelope", problem: "reset" }),
  new MailError.OutcomeUnknown({ problem: "reset" }),
  new MailError.ProtocolViolation({ problem: "garbage" }),
  new MailError.CapabilityMissing({ capability: "SMTPUTF8", problem: "the address is not ASCII" }),
  new MailError.TransportUnavailable({ transport: "outbox", problem: "gone", hint: "start it", isRetryable: true }),
  ...(["cancelled", "expired", "purged"] as const).map((state) => new MailError.Withdrawn({ state })),
  new MailError.CircuitOpen({ relay: "mail.example:25", retryAfter: 1000 }),
  new MailError.QuotaExceeded({ quota: "day" }),
  ...["DEPTH_ZERO_SELF_SIGNED_CERT", "ERR_TLS_CERT_ALTNAME_INVALID"].map(
    (code) => SmtpTls.handshakeError(Object.assign(new Error("certificate"), { code })).reason
  )
]

describe("a remedy in the command", () => {
  it.each(reasons.map((reason) => [reason._tag, reason] as const))(
    "of %s names no option of the library",
    (_, reason) => {
      const remedy = remedyOf(reason)
      assert.notMatch(remedy, /`|maxConnections|onUnknown|tls\.ca|serverName|in a program|raise the timeout/)
      assert.isNotEmpty(remedy)
    }
  )

  it("names the flag for what the library calls by its option", () => {
    assert.strictEqual(remedyOf(new MailError.Throttled({ reply })), "send more slowly: lower --rate or --connections")
    assert.match(
      remedyOf(new MailError.AuthenticationFailed({ problem: "refused", reply: refusal })),
      /check the user name and the password \(--relay, MAILRACE_PASSWORD\)/
    )
    assert.match(remedyOf(new MailError.ConnectFailed({ ...connectFailed, kind: "greeting" })), /lower --connections/)
    assert.strictEqual(
      remedyOf(new MailError.Timeout({ phase: "session", limitMs: 600_000 })),
      "raise --connections if the relay allows more connections, or timeoutSession in the relay's URL (such as timeoutSession=10m) if it is slow by nature"
    )
    assert.match(remedyOf(new MailError.ProtocolViolation({ problem: "garbage" })), /try --pipelining off/)
    const untrusted = SmtpTls.handshakeError(Object.assign(new Error(""), { code: "SELF_SIGNED_CERT_IN_CHAIN" }))
    assert.match(Remedy.of(untrusted), /--tls-ca FILE.*tlsPin=… in its URL/)
    const otherName = SmtpTls.handshakeError(Object.assign(new Error(""), { code: "ERR_TLS_CERT_ALTNAME_INVALID" }))
    assert.match(Remedy.of(otherName), /give that name as tlsName in the relay's URL/)
  })

  it("is the library's where a hint knows better", () => {
    const hint = "use tls=required (STARTTLS)"
    assert.strictEqual(remedyOf(new MailError.TlsFailed({ problem: "no TLS", hint })), hint)
    assert.strictEqual(remedyOf(new MailError.ConnectFailed({ ...connectFailed, kind: "greeting", hint })), hint)
  })

  it("of a database names nothing that only programs set", () => {
    const remedies = [
      "name the user, as in postgres://user@host/database, or as `username`",
      "set `prepare: false` behind a pooler that moves sessions at each transaction, such as PgBouncer",
      "raise max_connections (or the role's CONNECTION LIMIT), or open fewer connections from each process (`maxConnections`)"
    ]
    assert.deepStrictEqual(remedies.map(Remedy.inFlags), [
      "name the user, as in postgres://user@host/database",
      "connect to PostgreSQL itself, or through a pooler in session mode",
      "raise max_connections (or the role's CONNECTION LIMIT), or open fewer connections by running fewer processes"
    ])
  })

  it("ends the command for a failure that every later message would share", () => {
    const ends = reasons.filter((reason) => Remedy.concernsEveryMessage(MailError.make(reason)))
    assert.deepStrictEqual([...new Set(ends.map(({ _tag }) => _tag))], ["AuthenticationFailed", "TlsFailed"])
    const error = MailError.make(new MailError.TlsFailed({ problem: "no TLS", hint: "use `tls.ca`" }))
    const { problem, remedy } = Remedy.toCommandError(error)
    assert.strictEqual(problem, "no TLS")
    assert.match(remedy!, /--tls-ca/)
  })
})
