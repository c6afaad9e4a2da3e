import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import type * as Reply from "mailrace/Reply"
import { maxLineLength, maxLines, maxTextLength, ReplyDecoder } from "../src/ReplyDecoder.ts"
import { bytes, cut, cuts, int, oneOf, pick } from "./support/arbitraries.ts"

const decode = (pieces: Iterable<Uint8Array>) => {
  const decoder = new ReplyDecoder()
  const replies: Array<Reply.Reply> = []
  let violation: string | undefined
  for (const piece of pieces) violation = decoder.push(piece, (reply) => replies.push(reply))
  return { replies, violation, isIdle: violation === undefined && decoder.isIdle }
}

const decodeText = (text: string, encoding: BufferEncoding = "utf8") => decode([Buffer.from(text, encoding)])

/** What a relay writes for a reply, with its status on each line as RFC 2034 §4 wants it. */
const encode = ({ code, enhanced, lines }: Written, encoding: BufferEncoding, lineEnding: string): Buffer =>
  Buffer.from(
    lines
      .map(
        (line, i) =>
          `${code}${i === lines.length - 1 ? " " : "-"}${enhanced === undefined ? "" : `${enhanced} `}${line}${lineEnding}`
      )
      .join(""),
    encoding
  )

interface Written {
  readonly code: number
  readonly enhanced: string | undefined
  readonly lines: ReadonlyArray<string>
}

const words = (letters: string): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.array(pick([...letters]), { maxLength: 60 }), (characters) => characters.join(""))

const written = (letters: string): Arbitrary.Arbitrary<Written> =>
  Arbitrary.map(
    Arbitrary.all([
      int(200, 599),
      pick([true, false]),
      int(0, 999),
      int(0, 999),
      Arbitrary.array(words(letters), { minLength: 1, maxLength: 6 })
    ]),
    ([code, hasStatus, subject, detail, lines]) => ({
      code,
      // There is no status of class 3 (RFC 3463 §3.1).
      enhanced:
        hasStatus && Math.floor(code / 100) !== 3 ? `${Math.floor(code / 100)}.${subject}.${detail}` : undefined,
      // Words that look like a status would be one.
      lines: lines.map((line) => (/^\d\./.test(line) ? `-${line}` : line))
    })
  )

const ascii = "abcXYZ 0123456789.-<>@\"'!\t~"

describe("ReplyDecoder", () => {
  it.prop(
    "returns what was written, however it arrives",
    [Arbitrary.array(written(ascii), { maxLength: 8 }), cuts, pick(["\r\n", "\n"])],
    ([replies, sizes, lineEnding]) => {
      const stream = Buffer.concat(replies.map((reply) => encode(reply, "utf8", lineEnding)))
      const { isIdle, replies: decoded, violation } = decode(cut(stream, sizes))
      assert.strictEqual(violation, undefined)
      assert.isTrue(isIdle)
      assert.deepStrictEqual(
        decoded.map(({ code, enhanced, text }) => ({ code, enhanced, lines: text.split("\n") })),
        replies.map(({ code, enhanced, lines }) => ({ code, enhanced, lines: [...lines] }))
      )
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop("reads UTF-8, split inside a character too", [written("aü€😀漢 "), cuts], ([reply, sizes]) => {
    const { replies } = decode(cut(encode(reply, "utf8", "\r\n"), sizes))
    const whole = reply.lines.join("\n")
    assert.strictEqual(
      replies[0]!.text,
      Buffer.byteLength(whole) < 400 ? whole : whole.slice(0, replies[0]!.text.length)
    )
  })

  it("keeps bytes that are not UTF-8 one for one", () => {
    assert.deepStrictEqual(decodeText("550 5.1.1 Empf\u00e4nger gibt es nicht\r\n", "latin1").replies, [
      { code: 550, enhanced: "5.1.1", text: "Empf\u00e4nger gibt es nicht" }
    ])
  })

  it.prop(
    "gives the same replies and the same violation however the bytes are split",
    [
      Arbitrary.array(
        oneOf<Uint8Array>(
          Arbitrary.map(written(ascii), (reply) => encode(reply, "utf8", "\r\n")),
          Arbitrary.map(
            pick(["250", "250-", "250 ", "2", "\r", "\n", "\r\n", "600 x\r\n", "250-a\r\n251 b\r\n", "\r\r\n"]),
            (text) => Buffer.from(text)
          ),
          Arbitrary.map(int(maxLineLength - 6, maxLineLength + 2), (length) =>
            Buffer.from(`250 ${"x".repeat(length)}`)
          ),
          bytes
        ),
        { maxLength: 6 }
      ),
      cuts
    ],
    ([pieces, sizes]) => {
      const stream = Buffer.concat(pieces)
      assert.deepStrictEqual(decode(cut(stream, sizes)), decode([stream]))
    },
    { arbitrary: { runs: 500 } }
  )

  describe("keeps the beginning of a long reply's text", () => {
    const texts = (text: string, isWhole = false) => {
      const decoder = new ReplyDecoder()
      decoder.isWhole = isWhole
      const replies: Array<Reply.Reply> = []
      assert.isUndefined(decoder.push(Buffer.from(text), (reply) => replies.push(reply)))
      assert.isTrue(decoder.isIdle)
      return replies
    }

    it("on one line, and reads the next reply after all of it", () => {
      const [long, next] = texts(`550 5.7.1 ${"x".repeat(4000)}\r\n250 next\r\n`)
      assert.deepStrictEqual(long, { code: 550, enhanced: "5.7.1", text: "x".repeat(maxTextLength - 6) })
      assert.deepStrictEqual(next, { code: 250, text: "next" })
    })

    it("on many lines", () => {
      const line = (mark: string) => `250${mark}2.1.5 ${"y".repeat(4000)}\r\n`
      const [long, next] = texts(line("-").repeat(98) + line(" ") + "250 next\r\n")
      assert.strictEqual(long!.enhanced, "2.1.5")
      assert.match(long!.text, /^y{500,}$/)
      assert.isAtMost(Buffer.byteLength(long!.text), maxTextLength)
      assert.deepStrictEqual(next, { code: 250, text: "next" })
      const [short] = texts(`250-${"a".repeat(200)}\r\n250-${"b".repeat(200)}\r\n250 ${"c".repeat(200)}\r\n`)
      assert.strictEqual(short!.text, `${"a".repeat(200)}\n${"b".repeat(200)}\n${"c".repeat(maxTextLength - 402)}`)
    })

    it("and no half of a character", () => {
      for (const letter of ["ü", "€", "😀"])
        for (let lead = 0; lead < 4; lead++) {
          const [reply] = texts(`250 ${"x".repeat(lead)}${letter.repeat(600)}\r\n`)
          assert.match(reply!.text, new RegExp(`^x{${lead}}(${letter})+$`))
          assert.isAtLeast(Buffer.byteLength(reply!.text), maxTextLength - 3)
          assert.isAtMost(Buffer.byteLength(reply!.text), maxTextLength)
        }
    })

    it("except for data: the reply to EHLO and a challenge", () => {
      const lines = Array.from({ length: 99 }, (_, i) => `250-X-EXTENSION-${i} ${"p".repeat(3000)}\r\n`).join("")
      const [ehlo] = texts(`${lines}250 SIZE 7\r\n`, true)
      assert.strictEqual(ehlo!.text.split("\n").length, 100)
      assert.isTrue(ehlo!.text.endsWith("SIZE 7"))
      const [challenge] = texts(`334 ${"Q".repeat(4000)}\r\n`, true)
      assert.lengthOf(challenge!.text, 4000)
      const [refusal] = texts(`535 ${"Q".repeat(4000)}\r\n`, true)
      assert.lengthOf(refusal!.text, maxTextLength)
    })
  })

  it("reports a partly read reply", () => {
    const decoder = new ReplyDecoder()
    const states = ["2", "50-a\r", "\n250", " b\r\n", "250\r\n"].map((text) => {
      decoder.push(Buffer.from(text), () => {})
      return decoder.isIdle
    })
    assert.deepStrictEqual(states, [false, false, false, true, true])
  })

  it("takes a code alone, with and without the blank", () => {
    assert.deepStrictEqual(decodeText("250\r\n354 \r\n").replies, [
      { code: 250, text: "" },
      { code: 354, text: "" }
    ])
  })

  it("reads an enhanced status only if its class is the code's", () => {
    assert.deepStrictEqual(decodeText("552 4.2.2 full\r\n450 4.2.1\r\n250 2.1.5x\r\n").replies, [
      { code: 552, text: "4.2.2 full" },
      { code: 450, enhanced: "4.2.1", text: "" },
      { code: 250, text: "2.1.5x" }
    ])
  })

  it("says a repeated status once, and finds it on a line of its own", () => {
    assert.deepStrictEqual(
      decodeText("550-5.1.1 no\r\n550 5.1.1 such user\r\n550-5.1.1\r\n550 5.1.1 none\r\n").replies,
      [
        { code: 550, enhanced: "5.1.1", text: "no\nsuch user" },
        { code: 550, enhanced: "5.1.1", text: "none" }
      ]
    )
  })

  it("takes lines up to the limit and refuses longer ones", () => {
    const line = (length: number) => `250 ${"x".repeat(length - 4)}`
    assert.strictEqual(decodeText(`${line(maxLineLength)}\r\n`).replies.length, 1)
    assert.strictEqual(decodeText(`${line(maxLineLength)}\n`).replies.length, 1)
    const problem = `a reply line is longer than ${maxLineLength} bytes`
    assert.deepStrictEqual(decodeText(`${line(maxLineLength + 1)}\r\n`), {
      replies: [],
      violation: problem,
      isIdle: false
    })
    assert.strictEqual(decodeText(line(maxLineLength + 2)).violation, problem)
  })

  it("takes replies up to the limit of lines and refuses longer ones", () => {
    const lines = (count: number) => `${"250-x\r\n".repeat(count - 1)}250 x\r\n`
    assert.strictEqual(decodeText(lines(maxLines)).replies[0]!.text.length, 2 * maxLines - 1)
    assert.deepStrictEqual(decodeText(lines(maxLines + 1)).violation, `a reply has more than ${maxLines} lines`)
    // What comes after too many lines is not waited for: a relay could go on for ever.
    assert.deepStrictEqual(
      decodeText("250-x\r\n".repeat(maxLines + 1)).violation,
      `a reply has more than ${maxLines} lines`
    )
  })

  it("fails on the first line that is no reply and quotes it", () => {
    for (const line of ["", "hello", "25", "2500 x", "600 x", "199 x", "2x0 x", "250_x", "HTTP/1.1 400 Bad Request"]) {
      const { replies, violation } = decodeText(`220 hi\r\n${line}\r\n250 ok\r\n`)
      assert.strictEqual(violation, `this is no SMTP reply: ${JSON.stringify(line)}`)
      assert.deepStrictEqual(replies, [{ code: 220, text: "hi" }])
    }
  })

  it("fails on a reply whose lines carry different codes", () => {
    assert.strictEqual(
      decodeText("250-a\r\n550 b\r\n").violation,
      "the lines of one reply carry different codes: 250 and 550"
    )
  })

  it("emits nothing after a violation", () => {
    const decoder = new ReplyDecoder()
    let count = 0
    const push = (text: string) => decoder.push(Buffer.from(text), () => count++)
    const first = push("what\r\n250 ok\r\n")
    assert.isString(first)
    assert.strictEqual(push("250 ok\r\n"), first)
    assert.strictEqual(count, 0)
  })

  it("passes over empty lines between replies where it may, and not within one", () => {
    const read = (text: string, skipsEmptyLines: boolean) => {
      const decoder = new ReplyDecoder()
      decoder.skipsEmptyLines = skipsEmptyLines
      const replies: Array<number> = []
      return { violation: decoder.push(Buffer.from(text), ({ code }) => replies.push(code)), replies, decoder }
    }
    const { decoder, replies, violation } = read("\r\n220 x\r\n\r\n\n250 y\r\n\r\n", true)
    assert.isUndefined(violation)
    assert.deepStrictEqual(replies, [220, 250])
    assert.isTrue(decoder.isIdle)
    assert.strictEqual(read("220 x\r\n\r\n", false).violation, 'this is no SMTP reply: ""')
    assert.match(read("250-x\r\n\r\n250 y\r\n", true).violation!, /no SMTP reply/)
    assert.isUndefined(read("\r\n".repeat(16), true).violation)
    assert.isDefined(read("\r\n".repeat(17), true).violation)
  })
})
