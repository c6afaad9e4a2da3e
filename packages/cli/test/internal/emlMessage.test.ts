import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { compose, type EnvelopeOverride } from "../../src/internal/emlMessage.ts"
import { nastyText } from "../support/text.ts"

const read = (text: string, override: EnvelopeOverride = {}) => compose(Buffer.from(text), override, () => "made")
const contentOf = (text: string): string => Buffer.from(Result.getOrThrow(read(text)).content as Uint8Array).toString()

describe("an .eml message", () => {
  it("gives its envelope: Sender before From, and To, Cc and Bcc without repetition", () => {
    const text = "Sender: s@x.org\nFrom: a@x.org\nTo: B <b@x.org>, c@x.org\nCc: b@x.org\nBcc: d@x.org\n\nhi\n"
    assert.deepStrictEqual(Result.getOrThrow(read(text)).envelope as unknown, {
      from: "s@x.org",
      to: ["b@x.org", "c@x.org", "d@x.org"]
    })
  })

  it("takes an envelope from outside instead", () => {
    const override = { from: "env@x.org", to: ["only@x.org"] } as unknown as EnvelopeOverride
    const message = Result.getOrThrow(read("From: a@x.org\nTo: b@x.org\n\nhi\n", override))
    assert.deepStrictEqual(message.envelope as unknown, override)
  })

  it("knows undisclosed recipients, folded fields and mbox's separator", () => {
    const text = "From someone Mon Jan 1\nFrom: a@x.org\nTo: undisclosed-recipients:;\nBcc: b@x.org,\n  c@x.org\n\nhi"
    const message = Result.getOrThrow(read(text))
    assert.deepStrictEqual([...message.envelope.to] as unknown, ["b@x.org", "c@x.org"])
    assert.strictEqual(
      Buffer.from(message.content as Uint8Array).toString(),
      "Message-ID: <made@x.org>\r\nFrom: a@x.org\r\nTo: undisclosed-recipients:;\r\n\r\nhi\r\n"
    )
  })

  it("declares what it needs from the relay", () => {
    const needs = (text: string) => {
      const { eightBit, utf8Headers } = Result.getOrThrow(read(text))
      return [eightBit, utf8Headers]
    }
    assert.deepStrictEqual(needs("From: a@x.org\nTo: b@x.org\n\nhi\n"), [false, false])
    assert.deepStrictEqual(needs("From: a@x.org\nTo: b@x.org\n\nhö\n"), [true, false])
    assert.deepStrictEqual(needs("From: a@x.org\nTo: b@x.org\nSubject: hö\n\nhi\n"), [false, true])
  })

  it("is sent without its byte order mark, which demands nothing from the relay", () => {
    const plain = "From: a@x.org\nTo: b@x.org\nMessage-ID: <a@b>\n\nhi\n"
    for (const text of [`\uFEFF${plain}`, `\uFEFF\uFEFF${plain}`, `\uFEFFFrom x Mon Jan 1\n${plain}`]) {
      const { eightBit, utf8Headers } = Result.getOrThrow(read(text))
      assert.deepStrictEqual([eightBit, utf8Headers], [false, false])
      assert.strictEqual(contentOf(text), plain.replaceAll("\n", "\r\n"))
    }
    assert.match(
      Result.getOrThrow(Result.flip(read("From: a@x.org\n\uFEFFTo: b@x.org\n\nhi"))).problem,
      /^line 2 of the file is no header field/
    )
  })

  it("refuses bytes that are no mail, and mail without recipients", () => {
    const problem = (text: string) => Result.getOrThrow(Result.flip(read(text)))
    assert.match(problem("").problem, /no header/)
    assert.match(problem("To: b@x.org\nhello there\n").problem, /^line 2 of the file/)
    assert.deepInclude(problem("To: b@x.org\n\nhi"), { field: "from" })
    assert.deepInclude(problem("From: a@x.org\n\nhi"), { field: "to" })
    assert.deepInclude(problem("From: a@x.org\nTo: b@@x.org\n\nhi"), { field: "to" })
  })

  it.prop("sends any body with CRLF at each line's end and nothing else changed", [nastyText], ([body]) => {
    const header = "From: a@x.org\r\nTo: b@x.org\r\nMessage-ID: <1@x>\r\n\r\n"
    const content = contentOf(header + body)
    assert.isTrue(content.startsWith(header))
    assert.notMatch(content, /\r(?!\n)|(?<!\r)\n/)
    const lines = body.split(/\r\n|\r|\n/)
    if (lines.at(-1) === "") lines.pop()
    assert.deepStrictEqual(content.slice(header.length).split("\r\n").slice(0, -1), lines)
  })

  it("sends no Bcc and no Resent-Bcc, however they are spelt", () => {
    for (const name of ["Bcc", "BCC", "bcc ", "Resent-Bcc", "RESENT-BCC", "resent-bcc\t"])
      for (const value of ["secret@x.org", "a@x.org,\n  secret@x.org", "\n secret@x.org", "Team: secret@x.org;"]) {
        const sent = contentOf(`From: a@x.org\nTo: b@x.org\n${name}: ${value}\nSubject: s\n\nResent-Bcc: body\n`)
        assert.notInclude(sent, "secret", JSON.stringify([name, value]))
        assert.include(sent, "Subject: s\r\n\r\nResent-Bcc: body\r\n")
      }
  })

  it("sends to the members of groups, and once to each mailbox", () => {
    const to = (field: string) => Result.getOrThrow(read(`From: a@x.org\n${field}\n\nhi\n`)).envelope.to as unknown
    assert.deepStrictEqual(to('To: "Undisclosed recipients":;\nBcc: b@x.org'), ["b@x.org"])
    assert.deepStrictEqual(to("To: Board: c@x.org, d@x.org;"), ["c@x.org", "d@x.org"])
    assert.deepStrictEqual(to("To: a@bücher.example\nCc: a@xn--bcher-kva.example, a@BÜCHER.example"), [
      "a@bücher.example"
    ])
  })
})
