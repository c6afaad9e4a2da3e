import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { TranscriptRecorder } from "../../../src/internal/transcript/recorder.ts"
import type * as Transcript from "../../../src/Transcript.ts"
import * as Arbitraries from "../../support/arbitraries.ts"

const make = () => {
  const lines: Array<Transcript.Line> = []
  const problems: Array<unknown> = []
  const recorder = new TranscriptRecorder(
    "relay.example:25",
    7,
    (line) => lines.push(line),
    (problem) => problems.push(problem)
  )
  const said = () =>
    lines.splice(0).map(({ by, text }) => `${by === "client" ? "C" : by === "relay" ? "S" : "*"} ${text}`)
  return { recorder, lines, problems, said, hear: (text: string) => recorder.received(Buffer.from(text, "utf8")) }
}

describe("TranscriptRecorder", () => {
  it("tells each line with its time, its relay and its connection", () => {
    const { lines, recorder } = make()
    const before = Date.now()
    recorder.wrote("EHLO client.example\r\n")
    assert.deepInclude(lines[0], {
      relay: "relay.example:25",
      connection: 7,
      by: "client",
      text: "EHLO client.example"
    })
    assert.isAtLeast(lines[0]!.at, before)
  })

  it("tells content by its length", () => {
    const { recorder, said } = make()
    recorder.wrote("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    recorder.wroteContent(12_345)
    recorder.wrote(".\r\n")
    recorder.wrote("RSET\r\nMAIL FROM:<a@b>\r\nBDAT 7 LAST\r\n")
    recorder.wroteContent(7)
    recorder.wroteContent(0)
    assert.deepStrictEqual(said(), [
      "C MAIL FROM:<a@b>",
      "C RCPT TO:<c@d>",
      "C DATA",
      "C <12,345 octets>",
      "C .",
      "C RSET",
      "C MAIL FROM:<a@b>",
      "C BDAT 7 LAST",
      "C <7 octets>",
      "C <0 octets>"
    ])
  })

  it("tells a chunk in the same text as its BDAT by its length", () => {
    const { recorder, said } = make()
    recorder.wrote("BDAT 12 LAST\r\nNOOP\r\nNOOP\r\nRSET\r\n")
    assert.deepStrictEqual(said(), ["C BDAT 12 LAST", "C <12 octets>", "C RSET"])
  })

  it("tells verbs, mechanisms and codes of a login alone", () => {
    const { hear, recorder, said } = make()
    recorder.wrote("AUTH LOGIN\r\n")
    hear("334 VXNlcm5hbWU6\r\n")
    recorder.wrote("YW5u\r\n")
    hear("334 UGFzc3dvcmQ6 hunter2\r\n")
    recorder.wrote("aHVudGVyMg==\r\n")
    hear("535-5.7.8 hunter2\r\nhunter2\r\n535 5.7.8 no: hunter2\r\n250 back to normal\r\n")
    assert.deepStrictEqual(said(), [
      "C AUTH LOGIN",
      "S 334",
      "C <credentials>",
      "S 334",
      "C <credentials>",
      "S 535-5.7.8",
      "S <7 octets>",
      "S 535 5.7.8",
      "S 250 back to normal"
    ])
    recorder.wrote("AUTH PLAIN AGFubgBodW50ZXIy\r\n")
    hear("235\r\n")
    recorder.wrote("MAIL FROM:<a@b>\r\n")
    assert.deepStrictEqual(said(), ["C AUTH PLAIN <credentials>", "S 235", "C MAIL FROM:<a@b>"])
  })

  it("takes what was said in a login out of all that follows", () => {
    const { hear, recorder, said } = make()
    recorder.conceal(["hunter2", "aHVudGVyMg==", "ab"])
    hear("250 hunter2 (aHVudGVyMg==) ab\r\n")
    recorder.note("the relay says hunter2")
    assert.deepStrictEqual(said(), ["S 250 <redacted> (<redacted>) ab", "* the relay says <redacted>"])
  })

  it("does not show by a gap in an address what the password is", () => {
    const { recorder, said } = make()
    recorder.conceal(["test"])
    recorder.wrote("RCPT TO:<ann@test.example>\r\n")
    assert.deepStrictEqual(said(), ["C RCPT TO:<ann@test.example>"])
  })

  it("quotes nothing where the connection ends in a login", () => {
    for (const ending of [
      { _tag: "Closing", reply: { code: 421, text: "hunter2" } },
      { _tag: "Violation", problem: 'this is no SMTP reply: "hunter2"' }
    ] as const) {
      const { recorder, said } = make()
      recorder.wrote("AUTH PLAIN AGFubgBodW50ZXIy\r\n")
      recorder.ended(ending, undefined)
      assert.notInclude(said().join("\n"), "hunter2")
    }
  })

  it("tells how much of a content that was cut off had gone out, and what was left of a line", () => {
    const { hear, recorder, said } = make()
    hear("250 he")
    recorder.ended({ _tag: "Lost", problem: "read ECONNRESET" }, 65_536)
    assert.deepStrictEqual(said(), [
      "C <65,536 octets, cut off>",
      "S 250 he",
      "* the connection ended: read ECONNRESET"
    ])
  })

  it("escapes what a terminal obeys and what deceives a reader", () => {
    const { hear, said } = make()
    hear("250 \u001b]0;x\u0007\u009b2J\u202egpj\u200b\u{E0041}é😀\ttab\rx\r\n")
    assert.deepStrictEqual(said(), ["S 250 \\x1b]0;x\\x07\\x9b2J\\u202egpj\\u200b\\u{e0041}é😀\\x09tab\\x0dx"])
  })

  it("bounds lines however long they are", () => {
    const { hear, recorder, said } = make()
    recorder.wrote(`RCPT TO:<${"a".repeat(2_000)}>\r\n`)
    hear(`250 ${"b".repeat(3_000)}\r\n`)
    hear("c".repeat(5_000_000))
    hear("\r\n220 ok\r\n")
    const [client, long, endless, last] = said()
    assert.match(client!, /^C RCPT TO:<a{991} <1,010 more>$/)
    assert.match(long!, /^S 250 b{996} <2,004 more>$/)
    assert.strictEqual(endless, "S <5,000,001 octets>")
    assert.strictEqual(last, "S 220 ok")
  })

  it("is silent after a sink has thrown", () => {
    let calls = 0
    const problems: Array<unknown> = []
    const recorder = new TranscriptRecorder(
      "r:25",
      1,
      () => {
        calls++
        throw new Error("disk full")
      },
      (problem) => problems.push(problem)
    )
    recorder.wrote("NOOP\r\nNOOP\r\n")
    recorder.note("x")
    assert.strictEqual(calls, 1)
    assert.lengthOf(problems, 1)
  })

  const secret = Arbitrary.schema(Schema.NonEmptyString.check(Schema.isPattern(/^[!-~]{6,40}$/)))

  it.prop(
    "whatever a relay repeats, and however it is cut, no line holds the secret",
    [secret, Arbitraries.cuts, Arbitraries.pick(["334 ", "535 ", "535-", "235 ", "", "421 "])],
    ([password, cuts, code]) => {
      const { lines, recorder } = make()
      const encoded = Buffer.from(`\0ann\0${password}`).toString("base64")
      recorder.conceal([password, encoded])
      recorder.wrote(`AUTH PLAIN ${encoded}\r\n`)
      const heard = `${code}${password}\r\n235 ${encoded}\r\n250 ${password} ${encoded}\r\n${password}`
      for (const piece of Arbitraries.cut(Buffer.from(heard), cuts)) recorder.received(piece)
      recorder.ended({ _tag: "Violation", problem: `what is ${password}?` }, undefined)
      const all = lines.map(({ text }) => text).join("\n")
      assert.notInclude(all, password)
      assert.notInclude(all, encoded)
    }
  )
})
