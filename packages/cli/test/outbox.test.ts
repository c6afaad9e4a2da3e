/**
 * `mailrace outbox`: putting in, looking, changing and writing out.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as Outbox from "../src/commands/outbox/outbox.ts"
import { folder, mail, mailrace as command } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const outbox = (db: string, ...args: ReadonlyArray<string>) => mailrace(["outbox", ...args, "--db", db])

/** Lines of JSON. */
const parse = (text: string): Array<Record<string, unknown>> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))

describe.concurrent("mailrace outbox enqueue", () => {
  it.live("stores each mail once by its key and names the lines that it did not take", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      const rows = ["email,name,order,text", "ann@a.example,Ann,1,a", "bob@b.example,Bob,,b", "cy@c.example,Cy,3,c"]
      const input = dir.write("people.csv", `${rows.join("\n")}\n`)
      const args = ["enqueue", "--input", input, "--from", "shop@s.example", "--subject", "Hi {{name}}"]
      const options = [
        "--priority",
        "high",
        "--tenant",
        "shop",
        "--lane",
        "launch",
        "--send-at",
        "2h",
        "--expires-in",
        "1d"
      ]
      const before = Date.now()
      const first = yield* outbox(db, ...args, ...options, "--idempotency-key-field", "order")
      assert.deepStrictEqual([first.status, first.stdout], [1, `2 messages put into ${db}, 1 bad, skipped\n`])
      assert.match(
        first.stderr,
        /^skipped line 3, field "order": it is missing, but --idempotency-key-field requires it/
      )

      const again = yield* outbox(db, ...args, ...options, "--idempotency-key-field", "order", "--json")
      assert.match(again.stderr, /0 messages put into .*, 2 in already, 1 bad, skipped/)
      const entries = yield* OutboxFile.entries(db)
      assert.deepStrictEqual(
        parse(again.stdout),
        entries.map(({ id, messageId }, at) => ({ index: at * 2, mailId: null, id, messageId, duplicate: true }))
      )
      const [ann] = entries
      assert.deepInclude(ann, {
        priority: "high",
        tenant: "shop",
        lane: "launch",
        idempotencyKey: "1",
        recipient: "ann@a.example"
      })
      const due = ann!.dueAt.getTime() - before
      assert.isTrue(due >= 7_200_000 && due < 7_300_000)
      assert.strictEqual(ann!.expiresAt.getTime() - ann!.dueAt.getTime(), 86_400_000)
    })
  )

  it.live("reads standard input and stops at a bad line if asked to; earlier lines are stored", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const stdin = `${mail("ann@x.example")}{"to":\n${mail("bob@x.example")}`
      const args = ["outbox", "enqueue", "--db", dir.path("q.db"), "--input", "-", "--on-bad-line", "abort"]
      const { status, stderr, stdout } = yield* command(args, { stdin })
      assert.strictEqual(status, 2)
      assert.match(stderr, /^mailrace: line 2, column 7: .*\n {2}try: correct it/)
      assert.match(stdout, /^1 message put into /)
      assert.strictEqual((yield* OutboxFile.entries(dir.path("q.db"))).length, 1)
    })
  )
})

describe.concurrent("mailrace outbox list, show and stats", () => {
  it.live("list the selected messages without addresses, in tables that fit", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(db, ["ok@a.example", "gone@b.example", "busy@b.example"])
      yield* OutboxFile.fill(db, ["lost@a-domain-with-a-long-name.example", "later@c.example"], { tenant: "shop" })
      const [all, rejected, ofTenant, named] = yield* Effect.all(
        [
          mailrace(["outbox", "list", "--db", db], { env: { COLUMNS: "80" } }),
          outbox(db, "list", "--state", "rejected", "--state", "dead", "--lane", "b.example", "--json"),
          outbox(db, "list", "--tenant", "shop", "--since", "1h", "--limit", "1", "--json"),
          outbox(db, "list", "--recipient", "gone@b.example", "--addresses")
        ],
        { concurrency: 2 }
      )
      const lines = all.stdout.trimEnd().split("\n")
      assert.deepStrictEqual([all.status, all.stderr, lines.length], [0, "", 6])
      assert.isTrue(lines.every((line) => line.length < 80))
      assert.match(lines[0]!, /^ID +STATE +LANE +TRIES +WHEN +CODE/)
      assert.match(lines[3]!, /^\w{20} +due +b\.example +1 +in \d\d s +451 4\.3\.0/)
      assert.match(lines[4]!, /^\w{20} +dead +a-domain-with-a-/)
      assert.notInclude(all.stdout, "@")
      assert.deepStrictEqual(
        parse(rejected.stdout).map(({ code, lane, reply, state }) => [state, lane, code, reply]),
        [["rejected", "b.example", 550, "<…@b.example>: that is how it is"]]
      )
      assert.deepStrictEqual(
        parse(ofTenant.stdout).map(({ lane }) => lane),
        ["a-domain-with-a-long-name.example"]
      )
      assert.match(named.stdout, /gone@b\.example +1 +.*<gone@b\.example>: that is how it is/)
      assert.strictEqual(named.stdout.trimEnd().split("\n").length, 2)
    })
  )

  it.live("show one mail with its addresses and its history", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      const [id] = yield* OutboxFile.fill(db, ["busy@b.example"], { idempotencyKey: "order 7" })
      const [text, json, unknown] = yield* Effect.all(
        [outbox(db, "show", id!), outbox(db, "show", id!, "--json"), outbox(db, "show", "nobody")],
        { concurrency: 2 }
      )
      assert.match(
        text.stdout,
        new RegExp(`^${id} {2}due again\n\n +from +News <news@x.example>\n +to +busy@b.example\n`)
      )
      assert.match(text.stdout, /\n +subject +For busy@b.example\n[^]*\n +key +order 7\n/)
      assert.match(
        text.stdout,
        /\nAttempts\n +1 .* MessageRejected {2}451 4\.3\.0\n +<busy@b.example>: that is how it is\n$/
      )
      const shown = JSON.parse(json.stdout)
      assert.deepInclude(shown, { id, state: "due", to: "busy@b.example", subject: "For busy@b.example", attempts: 1 })
      assert.deepInclude(shown.history[0], { number: 1, outcome: "MessageRejected", code: 451 })
      const file = new DatabaseSync(db)
      file.exec("UPDATE outbox SET crashes = 2")
      file.close()
      assert.match((yield* outbox(db, "show", id!)).stdout, /\n {2}2 processes died while sending it\n$/)
      assert.strictEqual(unknown.status, 2)
      assert.match(unknown.stderr, /^mailrace: there is no message nobody in .*\n {2}try: find its id with/)
    })
  )

  it.live("count states and lanes; a lane is paused and resumed", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(db, ["ok@a.example", "gone@a.example", "x@b.example", "y@b.example", "z@c.example"])
      const paused = yield* outbox(db, "pause", "b.example", "d.example")
      assert.strictEqual(
        paused.stdout,
        "b.example: paused, 2 messages waiting\nd.example: paused, 0 messages waiting\n"
      )
      const [table, json] = yield* Effect.all([outbox(db, "stats", "--limit", "2"), outbox(db, "stats", "--json")], {
        concurrency: 2
      })
      assert.match(table.stdout, /\n {2}waiting +3 messages, \d+ B\n {2}oldest +due (now|\d+ s ago)\n/)
      assert.match(table.stdout, /\nSTATE +MESSAGES\ndue +3\n[^]*\naccepted +1\nrejected +1\n/)
      assert.match(
        table.stdout,
        /\nLANE +WAITING +OLDEST DUE\nb\.example +2 .*paused\nc\.example +1 .*\nand 1 more lane/
      )
      const stats = JSON.parse(json.stdout)
      assert.deepInclude(stats.states, { due: 3, claimed: 0, accepted: 1, rejected: 1 })
      assert.deepInclude(stats.lanes[0], { lane: "b.example", waiting: 2, paused: true })
      const resumed = yield* outbox(db, "resume", "b.example", "c.example")
      assert.strictEqual(
        resumed.stdout,
        "b.example: resumed, 2 messages waiting\nc.example: was not paused, 1 message waiting\n"
      )
    })
  )
})

describe.concurrent("mailrace outbox retry, cancel and purge", () => {
  it.live("change only the selected messages, and only after a yes", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(db, [
        "ok@a.example",
        "gone@a.example",
        "lost@a.example",
        "busy@a.example",
        "busy@b.example"
      ])
      const [scheduled] = yield* OutboxFile.fill(db, ["later@a.example"], { sendAt: new Date(Date.now() + 3_600_000) })

      const unasked = yield* outbox(db, "retry", "--lane", "a.example")
      assert.deepStrictEqual([unasked.status, unasked.stdout], [2, ""])
      assert.match(
        unasked.stderr,
        /^left alone: .*\nmailrace: to retry 2 messages \(1 due, 1 dead\) in .* needs confirmation\n {2}try: pass --yes/
      )
      const retried = yield* outbox(db, "retry", "--lane", "a.example", "--yes")
      assert.deepStrictEqual([retried.status, retried.stdout], [0, "due again: 2 messages\n"])
      assert.match(retried.stderr, /^left alone: 1 message scheduled for later.*\nretry 2 messages \(1 due, 1 dead\)/)
      const now = Date.now()
      assert.deepStrictEqual(
        (yield* OutboxFile.entries(db)).map(({ dueAt, recipient, state }) => [
          recipient,
          state,
          dueAt.getTime() <= now
        ]),
        [
          ["ok@a.example", "accepted", true],
          ["gone@a.example", "rejected", true],
          ["lost@a.example", "due", true],
          ["busy@a.example", "due", true],
          ["busy@b.example", "due", false],
          ["later@a.example", "due", false]
        ]
      )

      const early = yield* outbox(db, "retry", "--state", "due", "--scheduled", "--limit", "9", "--yes", "--json")
      assert.deepStrictEqual(JSON.parse(early.stdout), { chosen: 4, changed: 4 })
      const { dueAt } = (yield* OutboxFile.entries(db)).find(({ id }) => id === scheduled)!
      assert.isAtMost(dueAt.getTime(), Date.now())

      const cancelled = yield* outbox(db, "cancel", "--lane", "a.example", "--limit", "2", "-y", "--json")
      assert.deepStrictEqual(JSON.parse(cancelled.stdout), { chosen: 2, changed: 2 })
      const purged = yield* outbox(db, "purge", "--all", "--yes")
      assert.strictEqual(purged.stdout, "purged: 4 messages\n")
      assert.match(purged.stderr, /^purge 4 messages \(1 accepted, 1 rejected, 2 cancelled\)/)
      const left = yield* OutboxFile.entries(db)
      assert.deepStrictEqual(
        left.map(({ recipient }) => recipient),
        ["busy@b.example", "later@a.example"]
      )

      const [busy] = left
      const both = yield* outbox(db, "cancel", scheduled!, busy!.id)
      assert.deepStrictEqual([both.status, both.stdout], [0, "cancelled: 2 messages\n"])
      const again = yield* outbox(db, "cancel", scheduled!)
      assert.deepStrictEqual([again.status, again.stdout], [1, "cancelled: 0 messages\n"])
      assert.match(again.stderr, /not cancelled: 1 message \(only waiting messages/)
    })
  )

  it.live("change many in one pass, each once, although a mail that is retried waits again", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(db, [
        ...Array.from({ length: 30 }, (_, i) => `lost${i}@a${i}.example`),
        ...Array.from({ length: 20 }, (_, i) => `busy${i}@b${i}.example`),
        ...Array.from({ length: 10 }, (_, i) => `new${i}@c.example`)
      ])
      const untried = yield* outbox(db, "retry", "--state", "due", "--lane", "c.example", "--yes", "--json")
      assert.deepStrictEqual(JSON.parse(untried.stdout), { chosen: 10, changed: 10 })
      const retried = yield* outbox(db, "retry", "--all", "--yes")
      assert.deepStrictEqual([retried.status, retried.stdout], [0, "due again: 50 messages\n"])
      assert.match(retried.stderr, /^retry 50 messages \(20 due, 30 dead\)/)
      const cancelled = yield* outbox(db, "cancel", "--all", "--yes")
      assert.deepStrictEqual([cancelled.status, cancelled.stdout], [0, "cancelled: 60 messages\n"])
      assert.deepStrictEqual(yield* OutboxFile.states(db), {
        due: 0,
        claimed: 0,
        accepted: 0,
        rejected: 0,
        expired: 0,
        dead: 0,
        cancelled: 60
      })
    })
  )

  it.live("purge says that the file keeps its size, and vacuum makes it smaller beside others that use it", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      const stdin = Array.from({ length: 3000 }, (_, i) => mail(`r${i}@a.example`, { text: `${i} `.repeat(300) })).join(
        ""
      )
      yield* mailrace(["outbox", "enqueue", "--db", db, "--input", "-"], { stdin })
      yield* outbox(db, "cancel", "--all", "--yes")
      const purged = yield* outbox(db, "purge", "--all", "--yes")
      assert.strictEqual(purged.stdout, "purged: 3,000 messages\n")
      assert.match(
        purged.stderr,
        /of .* MB in .*q\.db are free for new messages; mailrace outbox vacuum makes the file smaller/
      )
      const other = new DatabaseSync(db)
      const before = statSync(db).size
      const vacuumed = yield* outbox(db, "vacuum")
      assert.strictEqual(vacuumed.status, 0)
      assert.match(vacuumed.stdout, /q\.db: [\d.]+ MB before, [\d.]+ [KM]B now\n$/)
      assert.isBelow(statSync(db).size, before / 4)
      other.close()
      const again = yield* outbox(db, "vacuum", "--json")
      const { after, before: now } = JSON.parse(again.stdout) as { before: number; after: number }
      assert.strictEqual(after, now)
    })
  )

  it.live("name the fault of a request", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(db, ["x@a.example"])
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [["purge"], /^mailrace: no messages selected to purge\n {2}try: give ids or a condition/],
        [["purge", "--state", "due", "-y"], /only finished messages can be purged; cancel waiting ones first/],
        [["retry", "nobody"], /there is no message nobody in/]
      ]
      const ends = yield* Effect.forEach(cases, ([args]) => outbox(db, ...args), { concurrency: 2 })
      ends.forEach(({ status, stderr, stdout }, index) => {
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.match(stderr, cases[index]![1])
      })
    })
  )
})

describe.concurrent("mailrace outbox export", () => {
  it.live("writes lines that can be enqueued again, and messages as they go out", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      const [gone] = yield* OutboxFile.fill(db, ["gone@a.example", "x@b.example"])
      const eml = dir.write(
        "one.eml",
        "From: a@x.example\nTo: b@y.example\nSubject: One\nMessage-ID: <one@x.example>\n\nHi\n"
      )
      yield* outbox(db, "enqueue", "--input", eml)

      const lines = yield* outbox(db, "export")
      assert.strictEqual(lines.status, 1)
      assert.match(lines.stderr, /^not written: 1 message \(it was enqueued as an \.eml/)
      const again = yield* mailrace(["outbox", "enqueue", "--db", dir.path("again.db"), "-i", "-"], {
        stdin: lines.stdout
      })
      assert.deepStrictEqual([again.status, again.stderr], [0, ""])
      const ids = (entries: ReadonlyArray<{ readonly messageId: string }>) => entries.map(({ messageId }) => messageId)
      const entries = yield* OutboxFile.entries(db)
      assert.deepStrictEqual(ids(yield* OutboxFile.entries(dir.path("again.db"))), ids(entries.slice(0, 2)))

      const files = yield* outbox(db, "export", "--output", dir.path("out"))
      assert.strictEqual(files.status, 0)
      assert.sameMembers(
        readdirSync(dir.path("out")),
        entries.map(({ id }) => `${id}.eml`)
      )
      assert.strictEqual(
        dir.read(`out/${entries[2]!.id}.eml`),
        "From: a@x.example\r\nTo: b@y.example\r\nSubject: One\r\nMessage-ID: <one@x.example>\r\n\r\nHi\r\n"
      )
      const [one, many] = yield* Effect.all([
        outbox(db, "export", gone!, "--format", "eml"),
        outbox(db, "export", "--format", "eml")
      ])
      assert.match(one.stdout, /^From: News <news@x.example>\r\nTo: gone@a.example\r\n[^]*\r\n\r\nDear gone@a.example/)
      assert.deepStrictEqual([many.status, many.stdout], [2, ""])
      assert.match(many.stderr, /standard output holds one \.eml/)
    })
  )
})

describe.concurrent("mailrace outbox", () => {
  // Node 22 warns of its own accord that `node:sqlite` is experimental.
  it.live("says nothing on standard error when all is well", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      const put = yield* command(["outbox", "enqueue", "--db", db, "--input", "-"], { stdin: mail("ann@a.example") })
      const stats = yield* command(["outbox", "stats", "--db", db])
      assert.deepStrictEqual([put.status, put.stderr, stats.status, stats.stderr], [0, "", 0, ""])
    })
  )

  it.live("explains a file that it cannot use", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const good = dir.path("q.db")
      yield* OutboxFile.fill(good, ["x@a.example"])
      const held = new DatabaseSync(good)
      held.exec("BEGIN IMMEDIATE")
      yield* Effect.addFinalizer(() => Effect.sync(() => held.close()))
      const list = dir.write("list.ndjson", mail("a@a.example"))
      const corrupt = dir.write("corrupt.db", "this is no database ".repeat(500))
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [
          ["pause", "a.example", "--db", good],
          /^mailrace: another process has kept .*q\.db locked for more than 5000 ms\n {2}try: /
        ],
        [["list", "--db", dir.path("none.db")], /^mailrace: .*none\.db does not exist\n {2}try: check the path/],
        [
          ["stats", "--db", corrupt],
          /^mailrace: .*corrupt\.db cannot be read as an outbox: file is not a database\n {2}try: /
        ],
        [
          ["enqueue", "--db", "", "-i", list],
          /^mailrace: the path of the outbox is empty\n {2}try: name a file, such as /
        ],
        [
          ["enqueue", "--db", ":memory:", "-i", list],
          /^mailrace: an outbox in memory ends with this command, and its messages with it\n {2}try: name a file, such as /
        ],
        [["list"], /^mailrace: no outbox is named\n {2}try: pass --db outbox\.db, or set MAILRACE_OUTBOX/],
        [["list", "--db", good, "--postgres", "postgres://u:secret@h/d"], /--db and --postgres are both given/],
        [["list", "--postgres", "u:secret@h"], /the URL of the PostgreSQL database is not valid/]
      ]
      const ends = yield* Effect.forEach(cases, ([args]) => mailrace(["outbox", ...args]), { concurrency: 3 })
      ends.forEach(({ status, stderr, stdout }, index) => {
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.match(stderr, cases[index]![1])
        assert.notInclude(stderr, "secret")
      })
    })
  )

  it.live("shows help with examples for each of its commands", () =>
    Effect.gen(function* () {
      const [all, one] = yield* Effect.all([command(["outbox", "--help"]), command(["outbox", "retry", "--help"])], {
        concurrency: 2
      })
      assert.deepStrictEqual([all.status, one.status], [0, 0])
      assert.match(one.stdout, /EXAMPLES\n(.*\n)* {2}mailrace outbox retry/)
      const commands = Outbox.outbox.subcommands.flatMap((group) => group.commands)
      assert.deepStrictEqual(
        commands.map(({ name }) => name),
        "enqueue run list show stats retry cancel pause resume purge vacuum export".split(" ")
      )
      for (const { description, examples, name } of commands) {
        assert.match(all.stdout, new RegExp(`\n {2}${name} +[A-Z]`))
        assert.isAbove(description!.length, 40)
        assert.isTrue(
          examples.length > 0 && examples.every(({ command }) => command.includes(`mailrace outbox ${name} `))
        )
      }
    })
  )
})
