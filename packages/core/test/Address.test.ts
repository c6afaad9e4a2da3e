import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import * as AddressSyntax from "../src/internal/address/addressSyntax.ts"
import { AnyAddress, AnyLine } from "./support/mails.ts"

const valid = [
  "ann@example.org",
  "a@b",
  "root@localhost",
  "first.last+tag@sub.example.co.uk",
  "!#$%&'*+-/=?^_`{|}~@example.org",
  '"quoted local"@example.org',
  '"with \\"quotes\\" and @"@example.org',
  '""@example.org',
  "ann@[192.0.2.1]",
  "ann@[IPv6:2001:db8::1]",
  "ann@[ipv6:::ffff:192.0.2.1]",
  "ann@1.example",
  "ann@example.123",
  "ann@xn--bcher-kva.example",
  "ann@bücher.example",
  "jörg@bücher.example",
  "用户@例子.广告",
  "👍@example.org",
  "अजय@डाटा.भारत",
  `${"x".repeat(64)}@example.org`,
  `a@${"b".repeat(63)}.example`,
  `${"é".repeat(32)}@example.org`
]

/** What is refused, at which index, and a word that the error must say. */
const invalid: ReadonlyArray<readonly [input: string, position: number, says: string]> = [
  ["", 0, "empty"],
  ["ann", 3, "no @"],
  ["@example.org", 0, "before @"],
  ["ann@", 4, "after @"],
  ["ann@@example.org", 4, "second @"],
  ["ann@b@example.org", 5, "second @"],
  [".ann@example.org", 0, "dot"],
  ["ann.@example.org", 3, "dot"],
  ["an..n@example.org", 3, "two dots"],
  ["an n@example.org", 2, "space"],
  ["an,n@example.org", 2, '","'],
  ["Ann <ann@example.org>", 3, "space"],
  ["<ann@example.org>", 0, '"<"'],
  ["ann@example.org ", 15, '" "'],
  ["ann@example..org", 12, "two dots"],
  ["ann@example.org.", 15, "dot"],
  ["ann@.example.org", 4, "dot"],
  ["ann@-example.org", 4, "hyphen"],
  ["ann@example-.org", 11, "hyphen"],
  ["ann@exa_mple.org", 7, '"_"'],
  ["ann@example.org, bob@example.org", 15, '","'],
  [`ann@${"b".repeat(64)}.org`, 4, "64 characters"],
  ["ann@192.0.2.1", 4, "square brackets"],
  ["ann@[192.0.2.256]", 5, "IP address"],
  ["ann@[IPv6:2001:db8::1::2]", 5, "IP address"],
  ["ann@[fe80::1]", 5, "IP address"],
  ["ann@[192.0.2.1", 14, "never closed"],
  ["ann@[192.0.2.1]x", 15, "text after ]"],
  ['"ann@example.org', 16, "never closed"],
  ['"ann"x@example.org', 5, "closing quote"],
  ['"a\\\u00e9"@example.org', 3, "backslash"],
  ["ann\r\n@example.org", 3, "carriage return"],
  ["ann\n@example.org", 3, "line feed"],
  ["ann\0@example.org", 3, "NUL"],
  ['"a\r\nb"@example.org', 2, "carriage return"],
  ["ann@example.org\r\nRCPT TO:<eve@example.com>", 15, "carriage return"],
  ["ann@exam\0ple.org", 8, "NUL"],
  ["ann\x7f@example.org", 3, "U+007F"],
  ["ann\u0085@example.org", 3, "U+0085"],
  ["ann\u00a0@example.org", 3, "invisible"],
  ["ann@example\u200b.org", 11, "invisible"],
  ["ann\ud800@example.org", 3, "surrogate"],
  ["ann@xn--a\u00fc.example", 4, "internationalised"],
  [`${"x".repeat(65)}@example.org`, 0, "65 octets"],
  [`${"é".repeat(33)}@example.org`, 0, "66 octets"],
  [`a@${"bcd.".repeat(63)}ef`, 0, "256 octets"],
  [`a@${"ü.".repeat(60)}example`, 0, "489 octets"]
]

const parsed = (input: string): Address.Address => Result.getOrThrow(Address.parse(input))

describe("Address", () => {
  it.for(valid)("takes %s", (input) => {
    assert.strictEqual(parsed(input), input)
    assert.isTrue(Address.isAddress(input))
  })

  it.for(invalid)("refuses %j at %i: %s", ([input, position, says]) => {
    const result = Address.parse(input)
    assert.isTrue(Result.isFailure(result))
    if (!Result.isFailure(result)) return
    assert.strictEqual(result.failure.position, position)
    assert.include(result.failure.problem, says)
    assert.isNotEmpty(result.failure.remedy)
    assert.isFalse(Address.isAddress(input))
  })

  it("does not repeat the address in the error's message", () => {
    const result = Address.parse("secret.person@@example.org")
    assert.isTrue(Result.isFailure(result) && !result.failure.message.includes("secret"))
  })

  it("separates local part and domain, also with a quoted @", () => {
    const address = parsed('"a@b"@example.org')
    assert.strictEqual(Address.localPart(address), '"a@b"')
    assert.strictEqual(Address.domain(address), "example.org")
  })

  it("writes a Unicode domain as A-labels, and has no ASCII for a Unicode local part", () => {
    assert.strictEqual(Address.toAscii(parsed("ann@Bücher.example")), "ann@xn--bcher-kva.example")
    assert.strictEqual(Address.toAscii(parsed("ann@例え.テスト")), "ann@xn--r8jz45g.xn--zckzah")
    assert.strictEqual(Address.toAscii(parsed("Ann@Example.ORG")), "Ann@Example.ORG")
    assert.strictEqual(Address.toAscii(parsed("jörg@example.org")), undefined)
    assert.isFalse(Address.isAscii(parsed("ann@bücher.example")))
    assert.isTrue(Address.isAscii(parsed("ann@example.org")))
  })

  it("never lets a Unicode domain turn into an IP address or lose its way", () => {
    for (const input of ["ann@１２７.0.0.1", "ann@exa％mple.org", "ann@a／b.org", "ann@a＠b.org"])
      assert.isFalse(Address.isAddress(input), input)
  })

  it("is a Schema whose issue names the fault", () => {
    const decode = Schema.decodeUnknownResult(Address.Address)
    assert.deepStrictEqual(decode("ann@example.org"), Result.succeed(parsed("ann@example.org")))
    const refused = decode("ann@example..org")
    assert.isTrue(Result.isFailure(refused) && refused.failure.message.includes("two dots stand together"))
  })

  it.prop("an address in ASCII is an address with the same local part", [AnyAddress], ([input]) => {
    const ascii = Address.toAscii(parsed(input))!
    assert.isTrue(AddressSyntax.isAscii(ascii))
    assert.strictEqual(parsed(ascii), ascii)
    assert.strictEqual(Address.localPart(ascii), Address.localPart(parsed(input)))
  })

  const atext = "abcXYZ019!#$%&'*+-/=?^_`{|}~é日👍"
  const AnyAtom = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals([...atext])), { minLength: 1, maxLength: 8 }),
    (characters) => characters.join("")
  )

  it.prop(
    "accepts whatever the grammar generates, and finds the place of one wrong character",
    [
      AnyAtom,
      AnyAtom,
      Schema.Literals(["example.org", "a-b.c9.example"]),
      Schema.Literals([...' \0\r\n\t(),:;<>[]\\"\x7f'])
    ],
    ([first, second, domain, wrong]) => {
      const input = `${first}.${second}@${domain}`
      parsed(input)
      for (let at = 1; at <= input.length; at++) {
        // Between the halves of one character there is no place for another.
        if (/[\udc00-\udfff]/.test(input[at] ?? "")) continue
        const broken = input.slice(0, at) + wrong + input.slice(at)
        const result = Address.parse(broken)
        assert.isTrue(Result.isFailure(result), broken)
        // A bracket right after @ begins an address literal, which is then never closed.
        if (wrong === "[" && input[at - 1] === "@") continue
        if (Result.isFailure(result)) assert.strictEqual(result.failure.position, at, broken)
      }
    },
    { arbitrary: { runs: 50 } }
  )

  it.prop("any text is an address that can be split and joined, or an error inside the text", [AnyLine], ([line]) => {
    for (const input of [line, `${line}@example.org`, `ann@${line}`, `"${line}"@example.org`]) {
      const result = Address.parse(input)
      if (Result.isFailure(result)) {
        assert.isAtLeast(result.failure.position, 0)
        assert.isAtMost(result.failure.position, input.length)
      } else {
        assert.strictEqual(`${Address.localPart(result.success)}@${Address.domain(result.success)}`, input)
        assert.isFalse(/[\0-\x1f\x7f]/.test(input))
        assert.isAtMost(Buffer.byteLength(input), 254)
      }
    }
  })

  it("says how to write an address whose dots are out of place, rather than to take them out", () => {
    for (const input of ["foo..bar@docomo.example", "foo.@docomo.example", ".foo@docomo.example"]) {
      const error = Result.getOrThrow(Result.flip(Address.parse(input)))
      assert.include(error.message, 'put the part before @ in double quotes, as in "a..b"@example.org')
      const at = input.indexOf("@")
      assert.isTrue(Address.isAddress(`"${input.slice(0, at)}"${input.slice(at)}`))
    }
  })

  it("knows an address by its domain in any spelling, and its local part in one", () => {
    const given = [
      "a@bücher.example",
      "a@xn--bcher-kva.example",
      "a@XN--BCHER-KVA.example",
      "a@BÜCHER.example",
      "A@bücher.example"
    ]
    const all = given.map((one) => Result.getOrThrow(Address.parse(one)))
    assert.deepStrictEqual(Address.distinct(all), [all[0]!, all[4]!])
  })
})
