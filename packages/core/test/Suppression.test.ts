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
        `suppression list, line 2: it is no address and no domain: there is no @; ${remedy}`
      )
      assert.strictEqual(
        yield* message("email", "", "email"),
        `suppression list, line 3: it is no address and no domain: there is no @; ${remedy}`
      )
      assert.strictEqual(
        yield* message("@exa mple..org", "@example..org"),
        `suppression list, line 2: it is no address and no domain: two dots stand together; ${remedy}`
      )
    })
  )

  it.effect("takes no name, date or amount for a domain when the address stands further on", () =>
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
