import { assert, describe, it } from "@effect/vitest"
import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import type * as Envelope from "mailrace/Envelope"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Capabilities from "../../../src/Capabilities.ts"
import * as SmtpCommand from "../../../src/internal/protocol/command.ts"
import { oneOf, pick } from "../../support/arbitraries.ts"

const all: Capabilities.Capabilities = {
  ...Capabilities.none,
  pipelining: true,
  eightBitMime: true,
  smtpUtf8: true,
  dsn: true,
  requireTls: true
}

interface Parts extends Partial<Omit<Composed.Composed, "envelope">> {
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string> | undefined
  readonly dsn?: Envelope.Dsn | undefined
  readonly requireTls?: boolean | undefined
}

const commands = (
  { dsn, from = "ann@a.example", requireTls, to = ["bob@b.example"], ...rest }: Parts,
  capabilities: Partial<Capabilities.Capabilities> = {}
) =>
  SmtpCommand.envelope(
    {
      ...Composed.make({
        messageId: "<1@x>",
        envelope: {
          from: from === "" ? undefined : Address.fromStringUnsafe(from),
          to: to.map(Address.fromStringUnsafe),
          dsn,
          requireTls
        },
        content: new Uint8Array(100)
      }),
      ...rest
    },
    { ...all, ...capabilities }
  )

const written = (...parameters: Parameters<typeof commands>) => Result.getOrThrow(commands(...parameters))

const refusal = (...parameters: Parameters<typeof commands>) => {
  const result = commands(...parameters)
  if (Result.isSuccess(result)) throw new Error(`it was written: ${result.success.mail}${result.success.rcpt.join("")}`)
  return result.failure.reason
}

/** Addresses in which everything has been put that could end or lengthen a command. */
const address = Arbitrary.map(
  Arbitrary.array(
    oneOf(
      pick([...'\r\n\0\t\x7f <>"\\@.,:;ab1\u00e9\u2028', "\r\n", "> SIZE=1", "RCPT TO:<"]),
      Arbitrary.schema(Schema.String)
    ),
    {
      maxLength: 8
    }
  ),
  (pieces) => pieces.join("")
)

/** `"quoted"@domain`, or what has nothing in it that would have to be quoted. */
const path = String.raw`(?:"(?:[^"\\\r\n]|\\[^\r\n])*"@)?[^\s"<>]*`
const oneMail = new RegExp(String.raw`^MAIL FROM:<${path}>(?: SMTPUTF8)?\r\n$`)
const oneRcpt = new RegExp(String.raw`^RCPT TO:<${path}>\r\n$`)

describe("SmtpCommand", () => {
  it.prop(
    "turns an address into one command or refuses it",
    [address, address, pick([true, false])],
    ([from, to, smtpUtf8]) => {
      const result = commands({ from, to: [to] }, { smtpUtf8 })
      if (Result.isFailure(result)) return
      // A blank outside of ASCII is an ordinary character (RFC 6531 §3.3).
      const plain = (text: string) => text.replaceAll(/[\u0080-\uffff]/g, "x")
      assert.match(plain(result.success.mail), oneMail)
      assert.lengthOf(result.success.rcpt, 1)
      assert.match(plain(result.success.rcpt[0]!), oneRcpt)
      assert.notMatch(result.success.mail + result.success.rcpt[0]!, /[\0\t\x7f]/)
      if (!smtpUtf8) assert.notMatch(result.success.mail + result.success.rcpt[0]!, /[^\x00-\x7f]/)
    },
    { arbitrary: { runs: 1000 } }
  )

  it("writes the envelope, and the null sender", () => {
    assert.deepStrictEqual(written({ to: ["bob@b.example", '"a b>c"@d.example'] }), {
      mail: "MAIL FROM:<ann@a.example>\r\n",
      rcpt: ["RCPT TO:<bob@b.example>\r\n", 'RCPT TO:<"a b>c"@d.example>\r\n']
    })
    assert.strictEqual(written({ from: "" }).mail, "MAIL FROM:<>\r\n")
  })

  it("names the field of an address that cannot be written", () => {
    for (const bad of ["a\r\nDATA@b", "a\0@b", "a b@c", "a@b> SIZE=0", "<a@b", '"a"b"@c', 'a"b@c', '"a b']) {
      assert.deepInclude(refusal({ from: bad }), { _tag: "InvalidMessage", field: "from" }, JSON.stringify(bad))
      assert.deepInclude(refusal({ to: ["x@y", bad] }), { _tag: "InvalidMessage", field: "to[1]" })
    }
    assert.deepInclude(refusal({ to: [] }), { _tag: "InvalidMessage", field: "to" })
  })

  it("declares the size and refuses a message that is too large", () => {
    assert.strictEqual(written({}, { size: 100 }).mail, "MAIL FROM:<ann@a.example> SIZE=100\r\n")
    assert.strictEqual(written({ size: 0 }, { size: 100 }).mail, "MAIL FROM:<ann@a.example>\r\n")
    assert.deepInclude(refusal({}, { size: 99 }), { _tag: "SizeExceeded", size: 100, limit: 99 })
  })

  it("asks for the extensions that the message needs, and refuses it if the relay lacks them", () => {
    assert.strictEqual(
      written({ eightBit: true, utf8Headers: true, requireTls: true }).mail,
      "MAIL FROM:<ann@a.example> BODY=8BITMIME SMTPUTF8 REQUIRETLS\r\n"
    )
    for (const [parts, lack, capability] of [
      [{ eightBit: true }, { eightBitMime: false }, "8BITMIME"],
      [{ utf8Headers: true }, { smtpUtf8: false }, "SMTPUTF8"],
      [{ to: ["j\u00f6rg@b.example"] }, { smtpUtf8: false }, "SMTPUTF8"],
      [{ requireTls: true }, { requireTls: false }, "REQUIRETLS"]
    ] as const) {
      assert.deepInclude(refusal(parts, lack), { _tag: "CapabilityMissing", capability })
    }
  })

  it("writes an internationalised domain unchanged with SMTPUTF8, in ASCII without", () => {
    const to = ["bob@b\u00fccher.example"]
    assert.deepStrictEqual(written({ to }), {
      mail: "MAIL FROM:<ann@a.example> SMTPUTF8\r\n",
      rcpt: ["RCPT TO:<bob@b\u00fccher.example>\r\n"]
    })
    assert.deepStrictEqual(written({ to }, { smtpUtf8: false }), {
      mail: "MAIL FROM:<ann@a.example>\r\n",
      rcpt: ["RCPT TO:<bob@xn--bcher-kva.example>\r\n"]
    })
  })

  it("asks for notifications where the relay knows them", () => {
    const dsn: Envelope.Dsn = { return: "headers", envelopeId: "a+b=c \u00e9", notify: ["success", "delay"] }
    assert.deepStrictEqual(written({ dsn }), {
      mail: "MAIL FROM:<ann@a.example> RET=HDRS ENVID=a+2Bb+3Dc+20+C3+A9\r\n",
      rcpt: ["RCPT TO:<bob@b.example> NOTIFY=SUCCESS,DELAY\r\n"]
    })
    assert.deepStrictEqual(written({ dsn: { notify: "never", return: "full" } }), {
      mail: "MAIL FROM:<ann@a.example> RET=FULL\r\n",
      rcpt: ["RCPT TO:<bob@b.example> NOTIFY=NEVER\r\n"]
    })
    assert.strictEqual(written({ dsn }, { dsn: false }).mail, "MAIL FROM:<ann@a.example>\r\n")
  })

  it("names the original recipient in the form of its type", () => {
    for (const [originalRecipient, expected] of [
      ["list@c.example", "rfc822;list@c.example"],
      ["a+b=c d@c.example", "rfc822;a+2Bb+3Dc+20d@c.example"],
      ["x400;/G=Ann/", "x400;/G+3DAnn/"],
      ["a\r\nQUIT", "rfc822;a+0D+0AQUIT"]
    ] as const) {
      const [rcpt] = written({ dsn: { originalRecipient } }).rcpt
      assert.strictEqual(rcpt, `RCPT TO:<bob@b.example> ORCPT=${expected}\r\n`)
    }
    const both = written({ dsn: { notify: "never", originalRecipient: "c@c.example" } })
    assert.deepStrictEqual(both.rcpt, ["RCPT TO:<bob@b.example> NOTIFY=NEVER ORCPT=rfc822;c@c.example\r\n"])
  })

  it("refuses a malformed request for notifications and never drops a part of it", () => {
    for (const [dsn, field] of [
      [{ notify: ["success\r\nRCPT TO:<victim@x.example>"] }, "dsn.notify"],
      [{ notify: ["delay", "failure X=Y"] }, "dsn.notify"],
      [{ notify: ["failures"] }, "dsn.notify"],
      [{ notify: "failure" }, "dsn.notify"],
      [{ notify: [] }, "dsn.notify"],
      [{ return: "FULL" }, "dsn.return"],
      [{ envelopeId: 7 }, "dsn.envelopeId"],
      [{ originalRecipient: "" }, "dsn.originalRecipient"],
      [{ originalRecipient: "a b;c" }, "dsn.originalRecipient"],
      [{ originalRecipient: "x".repeat(501) }, "dsn.originalRecipient"],
      [{ notification: "never" }, "dsn.notification"],
      ["never", "dsn"]
    ] as ReadonlyArray<readonly [Envelope.Dsn, string]>)
      for (const lack of [{}, { dsn: false }])
        assert.deepInclude(refusal({ dsn }, lack), { _tag: "InvalidMessage", field })
    const requireTls = "yes" as unknown as boolean
    assert.deepInclude(refusal({ requireTls }, {}), { _tag: "InvalidMessage", field: "requireTls" })
  })

  it("calls the client by a name that is one", () => {
    assert.strictEqual(SmtpCommand.ehlo("mail.example"), "EHLO mail.example\r\n")
    assert.strictEqual(SmtpCommand.ehlo("[IPv6:::1]"), "EHLO [IPv6:::1]\r\n")
    assert.strictEqual(SmtpCommand.ehlo("a b\r\nQUIT"), "EHLO abQUIT\r\n")
    assert.strictEqual(SmtpCommand.helo("\u6f22"), "HELO localhost\r\n")
  })
})
