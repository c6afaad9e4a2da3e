import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Template from "mailrace/Template"
import { type Entry, unscreened } from "../../src/input/Entry.ts"
import * as ScreenedInput from "../../src/input/ScreenedInput.ts"
import { folder } from "../support/command.ts"

const found = (line: number) => ({ line, end: line * 10 })

const written = (line: number, to: string): Entry => ({
  _tag: "MailEntry",
  mail: { from: "a@x.example", to, subject: "" },
  ...found(line)
})

const bad = (line: number): Entry => ({ _tag: "BadEntry", problem: "it is bad", malformed: true, ...found(line) })

/** Screens entries that come in chunks of a size. */
const screened = (entries: ReadonlyArray<Entry>, options: ScreenedInput.Options, size = 2) =>
  Effect.gen(function* () {
    const screen = yield* ScreenedInput.open(options)
    const stream = Stream.rechunk(Stream.fromIterable(entries), size)
    return yield* Stream.runCollect(screen === undefined ? stream : screen(stream))
  })

/** Each entry's line, kind, and what was found. */
const inShort = (entries: ReadonlyArray<Entry>) =>
  entries.map((entry) => [
    entry.line,
    entry._tag,
    ...(entry._tag === "BadEntry"
      ? []
      : (entry.screened?.findings ?? []).map(({ address, kind }) => `${kind} ${address}`))
  ])

describe("Screening", () => {
  it.effect("keeps entries in their order, bad ones too, and remembers from one chunk to the next", () =>
    Effect.gen(function* () {
      const entries = [
        written(1, "ann@x.example"),
        bad(2),
        written(3, "bob@x.example, ann@x.example"),
        written(4, "Ann@x.example"),
        bad(5),
        written(6, "root@x.example"),
        written(7, "no address"),
        written(8, "root@x.example")
      ]
      const screen = screened(entries, { dedupe: true, roleAddresses: "warn" })
      const results = yield* screen
      assert.deepStrictEqual(inShort(results), [
        [1, "MailEntry"],
        [2, "BadEntry"],
        [3, "MailEntry", "duplicate ann@x.example"],
        [4, "DroppedEntry", "duplicate Ann@x.example"],
        [5, "BadEntry"],
        [6, "MailEntry", "role root@x.example"],
        // That this is no address is found when it is composed.
        [7, "MailEntry"],
        [8, "DroppedEntry", "role root@x.example", "duplicate root@x.example"]
      ])
      assert.strictEqual(results[0], entries[0])
      // Each run begins anew.
      assert.deepStrictEqual(inShort(yield* screen), inShort(results))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("removes people before a template is filled in, and remembers earlier messages", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const template = yield* Template.compile({ from: "a@x.example", subject: "{{n}}" })
      const letter = { mail: { to: "ann@x.example", cc: "bob@left.example", data: { n: 1 } }, template }
      const suppress = [
        dir.write("one.txt", "left.example\n"),
        dir.write("two.csv", "address;since\nann@y.example;2026\n")
      ]
      const [entry] = yield* screened([{ ...letter, _tag: "MailEntry", ...found(1) }], { suppress })
      assert.isTrue(entry?._tag === "MailEntry")
      if (entry?._tag !== "MailEntry") return
      assert.deepStrictEqual(entry.mail as unknown, { to: "ann@x.example", cc: [], data: { n: 1 } })
      assert.strictEqual(entry.template, template)
      assert.deepInclude(unscreened(entry), letter)
      const [dropped] = yield* screened([written(1, "ann@y.example")], { suppress })
      assert.deepStrictEqual(inShort([dropped!]), [[1, "DroppedEntry", "suppressed ann@y.example"]])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is absent if nobody is to be left out", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* ScreenedInput.open({ dedupe: false, suppress: [], roleAddresses: "keep" }))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
