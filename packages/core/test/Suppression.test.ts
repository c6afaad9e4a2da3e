import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Address from "../src/Address.ts"
import * as Suppression from "../src/Suppression.ts"

describe("Suppression", () => {
  const find = (entries: ReadonlyArray<string>, ...addresses: ReadonlyArray<string>) =>
    Effect.flatMap(Suppression.Suppression, (list) => list.find(addresses.map(Address.fromStringUnsafe))).pipe(
      Effect.provide(Suppression.layerList(entries))
    )

  it.effect("reads a file in UTF-8 and in UTF-16, and no other encoding", () =>
    Effect.gen(function* () {
      const read = (bytes: Uint8Array) => Suppression.fromBytes(Stream.make(bytes))
      const addresses = ["ann@example.org", "bob@example.org"].map(Address.fromStringUnsafe)
      const text = "\uFEFF# gone\r\nann@example.org\r\n"
      for (const bytes of [Buffer.from(text), Buffer.from(text, "utf16le"), Buffer.from(text, "utf16le").swap16()])
        assert.deepStrictEqual(yield* (yield* read(bytes)).find(addresses), ["address", undefined])
      const latin1 = yield* Effect.flip(read(Buffer.from("ann@example.org\nj\xfcrgen@example.org\n", "latin1")))
      assert.strictEqual(
        Suppression.faultIn("gone.txt", latin1),
        "gone.txt, line 2: it is not UTF-8, so that its address is not known"
      )
      const cut = yield* Effect.flip(read(Buffer.from(text, "utf16le").subarray(0, -1)))
      assert.match(Suppression.faultIn("gone.txt", cut), /^gone\.txt: it is not valid UTF-16: /)
      assert.strictEqual(cut.remedy, "save the file again as UTF-8")
    })
  )

  it.effect("reads addresses, domains, remarks and the first column of a table", () =>
    Effect.gen(function* () {
      const entries = [
        "\ufeffEmail,Reason,Date",
        "ann@example.org,unsubscribed,2026-01-01",
        "",
        "  # a remark",
        " Bob@Example.org  # complained",
        '"carl@example.org","bounced"',
        '"odd local"@example.org;x',
        "@blocked.example",
        "plain.example",
        "dörte@bücher.example\tx"
      ]
      assert.deepStrictEqual(
        yield* find(
          entries,
          "ANN@example.ORG",
          "bob@example.org",
          "carl@example.org",
          '"odd local"@example.org',
          "x@BLOCKED.example",
          "x@plain.example",
          "dörte@xn--bcher-kva.example",
          "x@sub.blocked.example",
          "annx@example.org",
          "odd@example.org"
        ),
        ["address", "address", "address", "address", "domain", "domain", "address", undefined, undefined, undefined]
      )
      assert.deepStrictEqual(yield* find([], "ann@example.org"), [undefined])
    })
  )

  it.effect("refuses a line that it does not understand, since someone is meant by it", () =>
    Effect.gen(function* () {
      const message = (...entries: ReadonlyArray<string>) =>
        Effect.map(Effect.flip(find(entries, "a@b.c")), (error) => error.message)
      const remedy = "write an address, or a domain as @example.org, and put # before a remark"
      assert.strictEqual(
        yield* message("a@example.org", "Ann <ann@example.org>"),
        `suppression list, line 2: it is neither an address nor a domain: there is no @; ${remedy}`
      )
      assert.strictEqual(
        yield* message("email", "", "email"),
        `suppression list, line 3: it is neither an address nor a domain: there is no @; ${remedy}`
      )
      assert.strictEqual(
        yield* message("@exa mple..org", "@example..org"),
        `suppression list, line 2: it is neither an address nor a domain: two dots stand together; ${remedy}`
      )
    })
  )

  it.effect("reads no name, date or amount as a domain if an address follows", () =>
    Effect.gen(function* () {
      for (const entry of [
        "ann.lee,ann@example.org",
        "ann.lee <ann@example.org>",
        "2026.01.02;ann@example.org",
        "1.5",
        "example.org asked by ann@example.org"
      ]) {
        const error = yield* Effect.flip(find(["bob@example.org", entry], "ann@example.org"))
        assert.deepInclude(error, { line: 2 }, entry)
      }
      assert.deepStrictEqual(
        yield* find(
          ['"Email","Date"', '"ann@example.org","2026"', "a.example # for bob@b.example", "@b.example,bob@b.example"],
          "ann@example.org",
          "x@a.example",
          "x@b.example"
        ),
        ["address", "domain", "domain"]
      )
    })
  )

  it.effect("takes all that a line names, however they are set apart", () =>
    Effect.gen(function* () {
      const everybody = ["a@x.example", "b@x.example", "c@x.example"]
      for (const line of [
        "a@x.example, b@x.example, c@x.example",
        "a@x.example;b@x.example;c@x.example",
        "a@x.example b@x.example\tc@x.example",
        "<a@x.example>, <b@x.example>; <c@x.example>",
        "a@x.example, Bob <b@x.example>, Cid Lee <c@x.example>",
        '"a@x.example, b@x.example",c@x.example',
        '"a@x.example","b@x.example";"c@x.example"',
        ",a@x.example,,b@x.example , c@x.example,",
        "a@x.example,unsubscribed,b@x.example,c@x.example # and not d@x.example"
      ]) {
        const found = yield* find([line], ...everybody, "d@x.example")
        assert.deepStrictEqual(found, ["address", "address", "address", undefined], line)
        const below = yield* find(["email", line], ...everybody)
        assert.deepStrictEqual(below, ["address", "address", "address"], line)
      }
      assert.deepStrictEqual(
        yield* find(
          ["a.example, b.example; @c.example *@d.example"],
          "x@a.example",
          "x@b.example",
          "x@c.example",
          "x@d.example"
        ),
        ["domain", "domain", "domain", "domain"]
      )
    })
  )

  it.effect("finds a table's address column by its heading and ignores the other columns", () =>
    Effect.gen(function* () {
      for (const table of [
        ["email,added by", "ann@x.example,admin@x.example", ",nobody@x.example"],
        ["# exported", "", "name;E-Mail;added by", '"Lee; Ann";ann@x.example;admin@x.example'],
        ['"Email Address"\t"Note"', '"ann@x.example"\t"told admin@x.example"']
      ])
        assert.deepStrictEqual(yield* find(table, "ann@x.example", "admin@x.example"), ["address", undefined], table[0])
      assert.deepStrictEqual(
        yield* find(
          ["email,email 2,name", "a@x.example,b@x.example,c@x.example", "d@x.example,-,"],
          "a@x.example",
          "b@x.example",
          "c@x.example"
        ),
        ["address", "address", undefined]
      )
      // A row with more cells than the heading has is no row of that table.
      assert.deepStrictEqual(
        yield* find(
          ["email,name", "a@x.example, b@x.example, c@x.example"],
          "a@x.example",
          "b@x.example",
          "c@x.example"
        ),
        ["address", "address", "address"]
      )
      // A first line that names somebody is no heading.
      assert.deepStrictEqual(yield* find(["ann@x.example,email,2026"], "ann@x.example"), ["address"])
      assert.deepStrictEqual(yield* find(["x.example,email"], "ann@x.example"), ["domain"])
    })
  )

  it.effect("takes *@ for a whole domain, and refuses any other wildcard", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* find(["*@x.example"], "ann@x.example", "ann@y.example"), ["domain", undefined])
      for (const entry of [
        "news-*@x.example",
        "*@*.x.example",
        "*.x.example",
        "ann@*",
        "a@x.example, *bob@x.example"
      ]) {
        const error = yield* Effect.flip(find([entry], "ann@x.example"))
        assert.include(error.problem, 'is not an address, and "*" is allowed only in the form *@example.org', entry)
      }
    })
  )

  it.effect("takes an address with * for itself where it is in quotes, as RFC 5321 allows for any", () =>
    Effect.gen(function* () {
      const entries = ['"*"@x.example', '"news-*"@x.example']
      assert.deepStrictEqual(
        yield* find(entries, "*@x.example", "news-*@x.example", '"*"@x.example', "ann@x.example"),
        ["address", "address", "address", undefined]
      )
    })
  )

  it.effect("refuses a file that is not UTF-8 and says how to convert it", () =>
    Effect.gen(function* () {
      const decoded = (bytes: Uint8Array) => new TextDecoder().decode(bytes).split("\n")
      const latin1 = yield* Effect.flip(
        find(decoded(Buffer.from("a@x.example\njürgen@x.example", "latin1")), "a@x.example")
      )
      assert.deepInclude(latin1, { line: 2, remedy: "save the list as UTF-8 (iconv -f latin1 -t utf-8)" })
      const further = yield* Effect.flip(
        find(decoded(Buffer.from("a@x.example, jürgen@x.example", "latin1")), "a@x.example")
      )
      assert.deepInclude(further, { line: 1, remedy: "save the list as UTF-8 (iconv -f latin1 -t utf-8)" })
      for (const mark of ["", "\uFEFF"])
        for (const bytes of [
          Buffer.from(`${mark}a@x.example\n`, "utf16le"),
          Buffer.from(`${mark}a@x.example\n`, "utf16le").swap16()
        ])
          assert.deepInclude(yield* Effect.flip(find(decoded(bytes), "a@x.example")), {
            line: 1,
            problem: "the list is UTF-16, not UTF-8",
            remedy: "save the list as UTF-8 (iconv -f utf-16 -t utf-8)"
          })
      // What nobody is written to for does not matter.
      assert.deepStrictEqual(yield* find(["a@x.example,\uFFFD"], "a@x.example"), ["address"])
    })
  )

  it.effect("reports the number of entries", () =>
    Effect.gen(function* () {
      const sizeOf = (...entries: ReadonlyArray<string>) =>
        Effect.provide(
          Effect.map(Suppression.Suppression, ({ size }) => size),
          Suppression.layerList(entries)
        )
      assert.strictEqual(yield* sizeOf(), 0)
      assert.strictEqual(yield* sizeOf("email", "", "# nobody"), 0)
      assert.strictEqual(yield* sizeOf("a@x.example, A@X.example", "@y.example"), 2)
    })
  )

  it.effect("reads a file of lines as a stream", () =>
    Effect.gen(function* () {
      const lines = Stream.make(Buffer.from("ann@exam"), Buffer.from("ple.org\r\n@blocked.example\n")).pipe(
        Stream.decodeText(),
        Stream.splitLines
      )
      const matches = yield* Effect.flatMap(Suppression.Suppression, (list) =>
        list.find(["ann@example.org", "x@blocked.example", "bob@example.org"].map(Address.fromStringUnsafe))
      ).pipe(Effect.provide(Suppression.layerLines(lines)))
      assert.deepStrictEqual(matches, ["address", "domain", undefined])
      const error = yield* Effect.flip(
        Effect.scoped(Effect.provide(Effect.void, Suppression.layerLines(Stream.fail("no such file"))))
      )
      assert.strictEqual(error, "no such file")
    })
  )
})
