import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import * as Mailbox from "../src/Mailbox.ts"
import { AnyMailbox } from "./support/mails.ts"

const mailbox = (address: string, name?: string): Mailbox.Mailbox => ({
  name,
  address: Result.getOrThrow(Address.parse(address))
})

const valid: ReadonlyArray<readonly [input: string, ...read: ReadonlyArray<Mailbox.Mailbox>]> = [
  ["ann@example.org", mailbox("ann@example.org")],
  ["  ann@example.org\t", mailbox("ann@example.org")],
  ["<ann@example.org>", mailbox("ann@example.org")],
  ["Ann <ann@example.org>", mailbox("ann@example.org", "Ann")],
  ["Ann<ann@example.org>", mailbox("ann@example.org", "Ann")],
  ["Ann   B.  Smith < ann@example.org >", mailbox("ann@example.org", "Ann B. Smith")],
  ['"Doe, Ann" <ann@example.org>', mailbox("ann@example.org", "Doe, Ann")],
  ['"Ann \\"Al\\" Doe" <ann@example.org>', mailbox("ann@example.org", 'Ann "Al" Doe')],
  ['"a  b" <ann@example.org>', mailbox("ann@example.org", "a  b")],
  ['"Ann" Doe <ann@example.org>', mailbox("ann@example.org", "Ann Doe")],
  ["Jörg Müller <jörg@bücher.example>", mailbox("jörg@bücher.example", "Jörg Müller")],
  ["O'Brien, ann@example.org".replace("O'Brien, ", ""), mailbox("ann@example.org")],
  ["ann@example.org <ann@example.org>", mailbox("ann@example.org", "ann@example.org")],
  ["Ann [Sales] <ann@example.org>", mailbox("ann@example.org", "Ann [Sales]")],
  ["=?utf-8?Q?J=C3=B6rg?= <ann@example.org>", mailbox("ann@example.org", "=?utf-8?Q?J=C3=B6rg?=")],
  ["ann@example.org (at (the) office, room 5)", mailbox("ann@example.org")],
  ["(c) Ann (d) Doe (e) <ann@example.org> (f)", mailbox("ann@example.org", "Ann Doe")],
  ["ann(c)@example.org", mailbox("ann@example.org")],
  ["(\\)) ann@example.org", mailbox("ann@example.org")],
  ['"a,b"@example.org', mailbox('"a,b"@example.org')],
  ['"x" <"a>b"@example.org>', mailbox('"a>b"@example.org', "x")],
  ["ann@[IPv6:2001:db8::1]", mailbox("ann@[IPv6:2001:db8::1]")],
  ['"" <ann@example.org>', mailbox("ann@example.org")],
  [
    'Ann <ann@example.org>, bob@example.org,"C, D" <c@example.org>',
    mailbox("ann@example.org", "Ann"),
    mailbox("bob@example.org"),
    mailbox("c@example.org", "C, D")
  ],
  [" , ann@example.org, ,", mailbox("ann@example.org")],
  [""]
]

const invalid: ReadonlyArray<readonly [input: string, position: number, says: string]> = [
  ["Ann", 0, "no address"],
  ["Doe, Ann <ann@example.org>", 0, "no address"],
  ["ann@example.org, Doe, Ann <b@example.org>", 17, "no address"],
  ["Team: ann@example.org, bob@example.org;", 4, "group"],
  ["test@iana(comment)iana.org", 9, "there is a comment inside the address"],
  ["ann(x)bob@example.org", 3, "there is a comment inside the address"],
  ["ann(x)(y)bob@example.org", 6, "there is a comment inside the address"],
  ["a@example.org, ann@example(x)2.org", 26, "there is a comment inside the address"],
  ["undisclosed-recipients:;", 22, "group"],
  ["ann@example.org; bob@example.org", 15, '";"'],
  ["ann@example.org bob@example.org", 15, '" "'],
  ["Ann <ann@example.org> bob@example.org", 22, "text after"],
  ["Ann <ann@example.org", 4, "never closed"],
  ["Ann ann@example.org>", 19, '">"'],
  ["Ann <>", 4, "empty"],
  ["Ann <ann@@example.org>", 9, "second @"],
  ["Ann < ann@exa mple.org>", 13, '" "'],
  ["Ann <an n@example.org>", 7, "space"],
  ["ok@example.org, ann(c)(d).@example.org", 25, "dot"],
  ['"Ann <ann@example.org>', 0, "never closed"],
  ["Ann (c <ann@example.org>", 4, "never closed"],
  ["Ann) <ann@example.org>", 3, '")"'],
  ["Ann\r\nBcc: eve@example.com <ann@example.org>", 3, "carriage return"],
  ['"Ann\r\nBcc: x" <ann@example.org>', 4, "carriage return"],
  ['"Ann\\\nBcc: x" <ann@example.org>', 5, "line feed"],
  ["(a\nb) ann@example.org", 2, "line feed"],
  ["Ann <ann@example.org\r\n>", 20, "carriage return"],
  ["A\0nn <ann@example.org>", 1, "NUL"]
]

describe("Mailbox", () => {
  it.for([
    ["a name of words", `${"a ".repeat(500_000)}<ann@example.org>`, true],
    ["colons in a literal", `ann@[${":".repeat(500_000)}`, false],
    ["a local part beyond all limits", `"${"👍".repeat(300_000)}"@example.org`, false]
  ] as const)("does no more work for %s than goes with its length", ([, input, isRead]) => {
    assert.strictEqual(Result.isSuccess(Mailbox.parse(input)), isRead)
  })

  it.for(valid)("reads %j", ([input, ...read]) => {
    assert.deepStrictEqual(Mailbox.parseList(input), Result.succeed(read))
  })

  it.for(invalid)("refuses %j at %i: %s", ([input, position, says]) => {
    const result = Mailbox.parseList(input)
    assert.isTrue(Result.isFailure(result))
    if (!Result.isFailure(result)) return
    assert.include(result.failure.problem, says)
    assert.strictEqual(result.failure.position, position)
    assert.isNotEmpty(result.failure.remedy)
  })

  it("reads exactly one where one is wanted", () => {
    assert.deepStrictEqual(Mailbox.parse("Ann <a@example.org>"), Result.succeed(mailbox("a@example.org", "Ann")))
    const several = Mailbox.parse("a@example.org, b@example.org")
    assert.isTrue(Result.isFailure(several) && several.failure.problem.includes("not a list"))
    const none = Mailbox.parse(" ")
    assert.isTrue(Result.isFailure(none) && none.failure.problem.includes("no address"))
  })

  it("is a Schema, both ways", () => {
    const input = '"Doe, Ann" <ann@example.org>'
    const decoded = Schema.decodeUnknownSync(Mailbox.FromString)(input)
    assert.deepStrictEqual(decoded, mailbox("ann@example.org", "Doe, Ann"))
    assert.strictEqual(Schema.encodeSync(Mailbox.FromString)(decoded), input)
    const refused = Schema.decodeUnknownResult(Mailbox.FromString)("Team: a@example.org;")
    assert.isTrue(Result.isFailure(refused) && refused.failure.message.includes("group"))
  })

  it.prop("reads back its own output", [Arbitrary.array(AnyMailbox, { maxLength: 4 })], ([list]) => {
    const printable = list.map(({ address, name }) =>
      Mailbox.make(Result.getOrThrow(Address.parse(address)), name.replace(/[\0-\x08\x0a-\x1f\x7f-\x9f]/g, ""))
    )
    assert.deepStrictEqual(Mailbox.parseList(printable.map(Mailbox.format).join(", ")), Result.succeed(printable))
  })

  it("reads comments around the parts of an address", () => {
    for (const input of ["ann(x)@example.org", "ann@(x)example.org", "ann@example(x).org", "(a)ann@example.org(b)"])
      assert.deepStrictEqual(Result.getOrThrow(Mailbox.parseList(input)), [mailbox("ann@example.org")], input)
    assert.deepStrictEqual(Result.getOrThrow(Mailbox.parseList("Ann(x)Doe <ann@example.org>")), [
      mailbox("ann@example.org", "Ann Doe")
    ])
  })

  it.for<readonly [input: string, ...addresses: ReadonlyArray<string>]>([
    ["undisclosed-recipients:;"],
    ['"Undisclosed recipients":;'],
    ['"a, b; c": ;'],
    ["=?utf-8?Q?Empf=C3=A4nger?=: (none) ;"],
    ["Board: c@example.org, d@example.org;", "c@example.org", "d@example.org"],
    [
      'a@example.org, "The: board" : "C, d" <c@example.org>;, b@example.org',
      "a@example.org",
      "c@example.org",
      "b@example.org"
    ],
    ["A: a@[IPv6:2001:db8::1];, B: b@example.org;", "a@[IPv6:2001:db8::1]", "b@example.org"],
    ["a@example.org", "a@example.org"]
  ])("reads the groups of a header field %j", ([input, ...addresses]) => {
    const list = Result.getOrThrow(Mailbox.parseHeader(input))
    assert.deepStrictEqual(
      list.map(({ address }) => address as string),
      addresses
    )
    if (input.includes(";")) assert.isTrue(Result.isFailure(Mailbox.parseList(input)))
  })

  it.for<readonly [input: string, position: number, says: string]>([
    ["Board: c@example.org", 20, "the group is never closed (at character 21): add ; after its last address"],
    ["A: B: c@example.org;;", 4, "group"],
    [": c@example.org;", 0, "group"],
    ["a@example.org: c@example.org;", 13, "group"],
    [
      "A: a@example.org; b@example.org",
      18,
      "there is text after the group (at character 19): separate it with a comma"
    ],
    ["a@example.org;", 13, '";" is not allowed']
  ])("refuses the groups of %j", ([input, position, says]) => {
    const error = Result.getOrThrow(Result.flip(Mailbox.parseHeader(input)))
    assert.strictEqual(error.position, position)
    assert.include(error.message, says)
  })
})
