import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import { addressParser, decodeWords } from "postal-mime"
import * as Address from "../../../src/Address.ts"
import * as HeaderField from "../../../src/internal/mime/field.ts"
import * as Parameter from "../../../src/internal/mime/parameter.ts"
import * as Mailbox from "../../../src/Mailbox.ts"
import { AnyFilename, AnyLine, AnyMailbox } from "../../support/mails.ts"
import { written } from "../../support/readers.ts"

const unfold = (field: string): string => {
  assert.isTrue(field.endsWith("\r\n"))
  for (const line of field.slice(0, -2).split("\r\n")) {
    assert.match(line, /^[\t\x20-\x7e]*$/)
    assert.isNotEmpty(line.trim(), "no line of blanks alone")
    assert.isAtMost(line.length, 998)
  }
  return field.slice(0, -2).replace(/\r\n(?=[ \t])/g, "")
}

describe("headerField", () => {
  it.for([
    ["Hello", "Subject: Hello\r\n"],
    ["", "Subject: \r\n"],
    ["a=?b", "Subject: a=?b\r\n"],
    ["Grüße", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n"],
    ["Eine Mail mit Umlaut: ä", "Subject: =?UTF-8?Q?Eine_Mail_mit_Umlaut=3A_=C3=A4?=\r\n"],
    [" x", "Subject: =?UTF-8?Q?_x?=\r\n"],
    ["=?utf-8?q?a?=", "Subject: =?UTF-8?B?PT91dGYtOD9xP2E/PQ==?=\r\n"],
    [`${"w".repeat(60)} ${"x".repeat(60)}`, `Subject: ${"w".repeat(60)}\r\n ${"x".repeat(60)}\r\n`]
  ] as const)("writes %j", ([value, field]) => {
    assert.strictEqual(HeaderField.unstructured("Subject", value), field)
  })

  it.prop("free text is read back, its encoded-words and their lines short enough", [AnyLine], ([line]) => {
    for (const name of ["Subject", "X-Quite-A-Long-Name-That-Leaves-Little-Room-On-Its-First-Line-For-Anything"]) {
      const field = HeaderField.unstructured(name, line)
      assert.strictEqual(
        decodeWords(
          unfold(field)
            .slice(name.length + 2)
            .replace(/^ (?==\?)/, "")
        ),
        line
      )
      for (const [word] of field.matchAll(/=\?UTF-8\?[QB]\?[^?]*\?=/g)) assert.isAtMost(word.length, 75)
      for (const part of field.split("\r\n")) if (part.includes("=?UTF-8?")) assert.isAtMost(part.length, 76)
    }
  })

  it("never splits a character, wherever the line ends", () => {
    for (const characters of ["é", "日本", "👍"]) {
      for (let shift = 0; shift < 80; shift++) {
        const field = HeaderField.unstructured("Subject", `${"a".repeat(shift)}${characters}${"b".repeat(150)}`)
        // Each line decoded alone shows a replacement character if half of one is in it.
        for (const line of field.split("\r\n")) assert.notInclude(decodeWords(line), "\ufffd")
      }
    }
  })

  it.prop("mailboxes are read back", [Arbitrary.array(AnyMailbox, { minLength: 1, maxLength: 6 })], ([list]) => {
    const mailboxes = list.map(({ address, name }) => Mailbox.make(Result.getOrThrow(Address.parse(address)), name))
    const field = HeaderField.mailboxes("To", mailboxes)
    const read = addressParser(unfold(field).slice(4)).map(({ address, name }) => written(name, address ?? ""))
    assert.deepStrictEqual(
      read,
      mailboxes.map(({ address, name }) => written(name, address))
    )
  })

  it("lists parts on as many lines as they need", () => {
    assert.strictEqual(HeaderField.parts("List-Unsubscribe", ["<a>", "<b>"], ","), "List-Unsubscribe: <a>, <b>\r\n")
    const long = `<${"x".repeat(70)}>`
    assert.strictEqual(HeaderField.parts("References", [long, long], ""), `References: ${long}\r\n ${long}\r\n`)
  })
})

describe("parameter", () => {
  it.for([
    ["a.txt", ';\r\n filename="a.txt"'],
    ["a b;c.txt", ';\r\n filename="a b;c.txt"'],
    ['a"b', ";\r\n filename*=UTF-8''a%22b"],
    ["=?utf-8?q?a?=", ";\r\n filename*=UTF-8''%3D%3Futf-8%3Fq%3Fa%3F%3D"],
    ["it's ä*", ";\r\n filename*=UTF-8''it%27s%20%C3%A4%2A"],
    ["日".repeat(8), `;\r\n filename*0*=UTF-8''${"%E6%97%A5".repeat(6)};\r\n filename*1*=${"%E6%97%A5".repeat(2)}`]
  ] as const)("writes %j", ([value, parameter]) => {
    assert.strictEqual(Parameter.extended("filename", value), parameter)
  })

  it.prop("stays within its line and its quotes", [AnyFilename], ([filename]) => {
    for (const text of [Parameter.extended("filename", filename), Parameter.compatible("name", filename)]) {
      for (const line of text.slice(3).split("\r\n")) {
        assert.match(line, /^ [\x21-\x7e][\x20-\x7e]*$/)
        assert.isAtMost(line.length, 78)
      }
      assert.notMatch(text, /name="[^"]*["\\][^"]*"$/)
    }
  })
})
