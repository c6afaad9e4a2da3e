import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Address from "../src/Address.ts"
import * as Composed from "../src/Composed.ts"
import * as Dedupe from "../src/Dedupe.ts"
import * as Screening from "../src/Screening.ts"
import * as Mailer from "../src/Mailer.ts"
import { MailTransport } from "../src/MailTransport.ts"
import * as RoleAddress from "../src/RoleAddress.ts"
import * as Suppression from "../src/Suppression.ts"
import * as Template from "../src/Template.ts"
import { found, list, mail, screened } from "./support/intakeRuns.ts"

describe("Intake", () => {
  it.effect("removes invalid, suppressed, role and duplicate addresses, and reports each", () =>
    Effect.gen(function* () {
      const mails = [
        mail("ann@example.org", { id: "a" }),
        mail(["Gone <GONE@Example.org>", { name: "Bob", address: "bob@example.org" }], {
          cc: "x@blocked.example",
          id: "b"
        }),
        mail("nobody", { id: "c" }),
        mail("ANN@example.org", { cc: "carl@example.org, postmaster@example.org" }),
        mail("gone@example.org", { bcc: ["bob@EXAMPLE.org"] }),
        mail("dora@example.org")
      ]
      const { counts, findings, kept } = yield* screened(mails, [
        Suppression.check,
        RoleAddress.check({ policy: "drop" }),
        Dedupe.check()
      ]).pipe(list("gone@example.org", "@blocked.example"))
      assert.deepStrictEqual(kept, [
        mails[0]!,
        { ...mails[1]!, to: [{ name: "Bob", address: "bob@example.org" }], cc: [] },
        { ...mails[3]!, to: [], cc: [{ name: undefined, address: "carl@example.org" as Address.Address }] },
        mails[5]!
      ] as never)
      assert.strictEqual(kept[0], mails[0])
      assert.deepStrictEqual(found(findings), [
        [1, "suppressed", "dropped", "GONE@Example.org", false],
        [1, "suppressed", "dropped", "x@blocked.example", false],
        [2, "invalid", "dropped", "nobody", true],
        [3, "role", "dropped", "postmaster@example.org", false],
        [3, "duplicate", "dropped", "ANN@example.org", false],
        [4, "suppressed", "dropped", "gone@example.org", true],
        [4, "duplicate", "dropped", "bob@EXAMPLE.org", true]
      ])
      assert.deepStrictEqual(
        findings.map(({ detail, id }) => [id, detail]),
        [
          ["b", "the address is on the suppression list"],
          ["b", "the domain is on the suppression list"],
          [
            "c",
            "there is no address here (at character 1): write Name <local@domain>, with the name in double quotes if it holds a comma"
          ],
          [undefined, "the address is that of a role, not a person"],
          [undefined, "an earlier mail of this run is for the same address"],
          [undefined, "the address is on the suppression list"],
          [undefined, "an earlier mail of this run is for the same address"]
        ]
      )
      assert.deepStrictEqual(counts, { invalid: 1, suppressed: 3, duplicates: 2, roles: 1, roleWarnings: 0, mails: 2 })
    })
  )

  it.effect(
    "a mail that names a recipient twice is no duplicate of itself, and loses both when that recipient is dropped",
    () =>
      Effect.gen(function* () {
        const twice = mail(["ann@example.org", "Ann <ANN@example.org>"], { cc: "ann@example.org, bob@example.org" })
        const first = yield* screened([twice, twice], [Dedupe.check()])
        assert.deepStrictEqual(first.kept, [twice])
        assert.deepStrictEqual(found(first.findings), [
          [1, "duplicate", "dropped", "ann@example.org", true],
          [1, "duplicate", "dropped", "bob@example.org", true]
        ])
        const { kept } = yield* screened([twice], [Suppression.check]).pipe(list("ann@example.org"))
        assert.deepStrictEqual(kept[0]!.to, [])
        assert.deepStrictEqual(kept[0]!.cc as unknown, [{ name: undefined, address: "bob@example.org" }])
      })
  )

  it.effect("the envelope's recipients go before the header's, of composed messages too", () =>
    Effect.gen(function* () {
      const own = mail("list@example.org", { envelope: { from: "", to: ["ann@example.org", "bob@example.org"] } })
      const composed = Composed.make({
        messageId: "<a@b>",
        envelope: { from: undefined, to: ["bob@example.org", "carl@example.org"].map(Address.fromStringUnsafe) },
        content: new Uint8Array(1)
      })
      const { kept } = yield* screened<Screening.Addressed, Suppression.SuppressionError, Suppression.Suppression>(
        [own, composed],
        [Suppression.check]
      ).pipe(list("bob@example.org", "list@example.org"))
      assert.deepStrictEqual(kept, [
        { ...own, envelope: { from: "", to: ["ann@example.org"] } },
        { ...composed, envelope: { from: undefined, to: ["carl@example.org"] } }
      ] as never)
    })
  )

  it.effect("takes the recipients from the rows of a table", () =>
    Effect.gen(function* () {
      const rows = [
        { email: "ann@example.org", name: "Ann" },
        { email: "Ann@example.org", name: "Anna" },
        { email: "bad", name: "Bad" },
        { email: undefined, name: "None" }
      ]
      const kept = yield* Stream.fromIterable(rows).pipe(
        Screening.screen([Dedupe.check()], { address: (row: (typeof rows)[number]) => row.email }),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        kept.map(({ name }) => name),
        ["Ann", "None"]
      )
      // @ts-expect-error else they would all pass unseen
      Screening.screen([Dedupe.check()])(Stream.fromIterable(rows))
    })
  )

  it.effect("keeps invalid addresses if asked to", () =>
    Effect.gen(function* () {
      const mails = [mail("nobody"), mail(["a@example.org", "nobody"]), mail([])]
      const kept = yield* screened(mails, [Dedupe.check()], { invalid: "keep" })
      assert.deepStrictEqual(kept.kept, mails)
      assert.deepStrictEqual(kept.findings, [])
      const dropped = yield* screened(mails, [])
      assert.deepStrictEqual(dropped.kept, [mail(["a@example.org"]), mail([])])
      assert.deepStrictEqual(found(dropped.findings), [
        [0, "invalid", "dropped", "nobody", true],
        [1, "invalid", "dropped", "nobody", false]
      ])
    })
  )

  it.effect("each run begins anew, and a check that fails ends the stream", () =>
    Effect.gen(function* () {
      const stream = Stream.make(mail("ann@example.org")).pipe(Screening.screen([Dedupe.check()]))
      assert.lengthOf(yield* Stream.runCollect(stream), 1)
      assert.lengthOf(yield* Stream.runCollect(stream), 1)
      const down = new Suppression.SuppressionError({ problem: "the database does not answer", remedy: "start it" })
      const error = yield* Stream.make(mail("ann@example.org")).pipe(
        Screening.screen([Suppression.check]),
        Stream.runDrain,
        Effect.provide(Suppression.layer({ find: () => Effect.fail(down) })),
        Effect.flip
      )
      assert.strictEqual(error.message, "suppression list: the database does not answer; start it")
    })
  )

  it.effect("runs checks in batches, and never on recipients that an earlier check dropped", () =>
    Effect.gen(function* () {
      const asked: Array<ReadonlyArray<string>> = []
      const judge: Screening.Check = {
        kind: "suppressed",
        start: Effect.succeed((addresses) =>
          Effect.sync(() => {
            asked.push(addresses)
            return []
          })
        )
      }
      const mails = ["info@a.b", "www@a.b", "ann@a.b", "bob@a.b", "bad", "carl@a.b"].map((to) => mail(to))
      yield* screened(mails, [RoleAddress.check({ policy: "drop" }), judge], {}, 2)
      assert.deepStrictEqual(asked, [["ann@a.b", "bob@a.b"], ["carl@a.b"]])
    })
  )

  const people = ["ann", "Ann", "bob", "carl", "info", "INFO+x", '"ann"', "dora@", ""] as const
  const domains = [
    "example.org",
    "EXAMPLE.org",
    "blocked.example",
    "sub.blocked.example",
    "bücher.example",
    "xn--bcher-kva.example"
  ] as const
  const AnyAddress = Arbitrary.map(
    Arbitrary.all([Arbitrary.schema(Schema.Literals(people)), Arbitrary.schema(Schema.Literals(domains))]),
    ([local, domain]) => `${local}@${domain}`
  )
  const AnyMail = Arbitrary.map(
    Arbitrary.all([
      Arbitrary.array(AnyAddress, { minLength: 1, maxLength: 3 }),
      Arbitrary.array(AnyAddress, { maxLength: 2 }),
      Arbitrary.schema(Schema.Boolean)
    ]),
    ([to, cc, isText]) => mail(isText ? to.join(", ") : to, { cc })
  )

  it.effect.prop(
    "no mail reaches a dropped recipient and none is lost without a finding, however the stream is chunked",
    [Arbitrary.array(AnyMail, { maxLength: 12 }), Schema.Literals([1, 2, 5, 100])],
    Effect.fnUntraced(function* ([mails, chunk]) {
      const lower = (address: string) =>
        address
          .toLowerCase()
          .replace(/^"ann"/, "ann")
          .replace("bücher.example", "xn--bcher-kva.example")
      const { counts, findings, kept } = yield* screened(
        mails,
        [Suppression.check, RoleAddress.check({ policy: "drop" }), Dedupe.check()],
        {},
        chunk
      ).pipe(list("carl@Example.org", "blocked.example", "@Bücher.example"))
      const seen = new Set<string>()
      for (const { cc, to } of kept) {
        const own = new Set<string>()
        for (const one of [to, cc ?? []].flat()) {
          for (const part of (typeof one === "string" ? one : one.address).split(", ").map(lower)) {
            assert.isTrue(Address.isAddress(part))
            assert.notMatch(part, /^(?:carl@example\.org|info[+@].*|.*@blocked\.example|.*@xn--bcher-kva\.example)$/)
            own.add(part)
          }
        }
        assert.isAbove(own.size, 0)
        for (const one of own) assert.isFalse(seen.has(one), one)
        for (const one of own) seen.add(one)
      }
      const gone = new Set(findings.filter((one) => one.isMailDropped).map((one) => one.index))
      assert.strictEqual(kept.length + gone.size, mails.length)
      assert.strictEqual(counts.mails, gone.size)
      assert.strictEqual(counts.invalid + counts.suppressed + counts.roles + counts.duplicates, findings.length)
      // The first mail to anyone who may be written to goes out.
      const wanted = new Set(
        mails.flatMap(({ cc, to }) => {
          const parts = [to, cc ?? []].flat() as ReadonlyArray<string>
          return parts.every((part) => part.split(", ").every((one) => Address.isAddress(one)))
            ? parts.flatMap((part) => part.split(", ").map(lower))
            : []
        })
      )
      for (const one of wanted)
        if (/^(?:ann@.*|bob@.*|carl@sub.*)@?(?:example\.org|sub\.blocked\.example)$/.test(one))
          assert.isTrue(seen.has(one), one)
    }),
    { arbitrary: { runs: 200 } }
  )

  it.effect("screens batches outside a stream and remembers from one to the next", () =>
    Effect.gen(function* () {
      const screen = yield* Screening.makeScreener([RoleAddress.check(), Dedupe.check()], { invalid: "keep" })
      const [nobody, ann] = yield* screen([mail("nobody"), mail("ann@example.org", { id: "a" })])
      assert.deepStrictEqual(nobody, { kept: mail("nobody"), findings: [] })
      assert.deepStrictEqual(ann, { kept: mail("ann@example.org", { id: "a" }), findings: [] })
      const [again, both] = yield* screen([
        mail("ANN@example.org"),
        mail("root@example.org", { bcc: "ann@example.org" })
      ])
      assert.isUndefined(again?.kept)
      assert.deepStrictEqual(both?.kept, mail("root@example.org", { bcc: [] }))
      assert.deepStrictEqual(found([...(again?.findings ?? []), ...(both?.findings ?? [])]), [
        [2, "duplicate", "dropped", "ANN@example.org", true],
        [3, "role", "warned", "root@example.org", false],
        [3, "duplicate", "dropped", "ann@example.org", false]
      ])
    })
  )

  it.effect("stands between people and sendAll", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ from: "shop@example.org", subject: "", text: "Hi {{name}}" })
      const tally = Screening.makeTally()
      const deliveries = yield* Stream.make(
        { to: "ann@example.org", data: { name: "Ann" } },
        { to: "gone@example.org", data: { name: "Gone" } },
        { to: "ann@example.org", data: { name: "Ann" } },
        { to: "bob@example.org", data: {} }
      ).pipe(
        Screening.screen([Suppression.check, Dedupe.check()], { onFinding: tally.record }),
        Stream.map(template.render),
        Mailer.sendAll({ ordered: true }),
        Stream.runCollect,
        list("gone@example.org"),
        Effect.provideService(
          MailTransport,
          MailTransport.of({
            send: () => Effect.succeed({ reply: { code: 250, lines: ["ok"] } as never, relay: "a:25", recipients: [] })
          })
        )
      )
      assert.deepStrictEqual(
        deliveries.map((delivery) => delivery._tag),
        ["Accepted", "Rejected"]
      )
      assert.deepStrictEqual(tally.counts, {
        invalid: 0,
        suppressed: 1,
        duplicates: 1,
        roles: 0,
        roleWarnings: 0,
        mails: 2
      })
    })
  )
})
