/**
 * A disk that fills up, or a database that is stopped, while `mailrace outbox run` sends: nothing is lost, only what was on
 * the wire then is sent twice, and the command tells how many that are.
 *
 * The long form, 20 full disks and 10 stopped databases:
 *
 *     MAILRACE_LONG=1 npx vitest run --config vitest.workspace.ts packages/cli/test/outboxUnrecorded.test.ts
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as PostgresServer from "../../outbox/test/support/postgresServer.ts"
import * as SmallDisk from "../../outbox/test/support/smallDisk.ts"
import { folder, mail, mailrace, start } from "./support/command.ts"

const isLong = process.env["MAILRACE_LONG"] === "1"

const count = 400

/** Where an outbox is, and how it is made to take no more writes; what that gives mends it. */
interface Place {
  readonly flags: ReadonlyArray<string>
  readonly trouble: Effect.Effect<Effect.Effect<void>>
}

interface Round {
  /** After how many messages the trouble begins. */
  readonly after: number
  /** How the run ends: told to by a signal while the trouble lasts, or by itself once it is over. */
  readonly end: "SIGINT" | "SIGTERM" | "mended"
  readonly pipelining: "off" | "envelope" | "speculative"
}

const round = ({ after, end, pipelining }: Round, open: Effect.Effect<Place, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make({ latency: "20 millis" })
    const dir = yield* folder
    const { flags, trouble } = yield* open
    const relay = ["--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}?pipelining=${pipelining}`]
    const stdin = Array.from({ length: count }, (_, n) => mail(`r${n}@d${n % 7}.example`)).join("")
    assert.strictEqual((yield* mailrace(["outbox", "enqueue", "-i", "-", ...flags], { stdin })).status, 0)
    /** Recipients that the server was told of. */
    const begun = () =>
      new Set(server.transcript.flatMap(({ by, line }) => (by === "client" && /^RCPT/i.test(line) ? [line] : [])))

    const report = dir.path("report.json")
    const drain = end === "mended" ? ["--drain"] : []
    const first = yield* start(["outbox", "run", "--report", report, ...drain, ...flags, ...relay])
    const told = stderrOf(first.process)
    yield* server.until(({ messages }) => messages >= after)
    const mend = yield* trouble
    // By the server's log, what is on the wire when the command finds that it cannot record.
    yield* told(/cannot be recorded/)
    const onTheWire = begun()
    yield* Effect.sleep("300 millis")
    const late = [...begun()].filter((recipient) => !onTheWire.has(recipient))
    // Written by the command before, and not yet read by the server: as much as a connection takes ahead.
    assert.isAtMost(late.length, server.stats.peak * (pipelining === "speculative" ? 32 : 1))
    if (end === "mended") yield* mend
    else first.process.kill(end)
    const ended = yield* first.ended
    const { unrecorded, accepted } = JSON.parse(dir.read("report.json")) as Record<string, number>
    if (end === "mended") {
      assert.deepStrictEqual([ended.status, unrecorded, accepted], [0, 0, count], ended.stderr)
      assert.strictEqual(server.messages.length, count)
      return { unrecorded: 0, twice: 0, missing: 0 }
    }
    assert.strictEqual(begun().size, onTheWire.size + late.length, "nothing was begun until the end")
    yield* mend
    const stats = JSON.parse((yield* mailrace(["outbox", "stats", "--json", ...flags])).stdout)
    assert.strictEqual(server.messages.length, accepted, ended.stderr)
    assert.strictEqual(unrecorded, server.messages.length - stats.states.accepted, ended.stderr)
    assert.strictEqual(ended.status, unrecorded! > 0 ? 1 : 0)
    const lines = [...ended.stderr.matchAll(/(\d+) messages? (?:was|were) accepted, but that could not be recorded/g)]
    assert.deepStrictEqual(
      lines.map(([, number]) => Number(number)),
      unrecorded! > 0 ? [unrecorded] : []
    )
    if (unrecorded! > 0) assert.match(ended.stdout, new RegExp(`unrecorded ${unrecorded} `))

    const rest = yield* mailrace(["outbox", "run", "--drain", ...flags, ...relay])
    assert.strictEqual(rest.status, 0, rest.stderr)
    const times = new Map<string, number>()
    for (const { to } of server.messages) times.set(to[0]!.address, (times.get(to[0]!.address) ?? 0) + 1)
    const twice = [...times].filter(([, times]) => times > 1).map(([address]) => address)
    assert.strictEqual(times.size, count)
    assert.strictEqual(server.messages.length, count + unrecorded!)
    assert.strictEqual(twice.length, unrecorded)
    const atRisk = [...onTheWire, ...late].join("\n")
    assert.isTrue(twice.every((address) => atRisk.includes(`<${address}>`)))
    return {
      unrecorded: unrecorded!,
      twice: twice.length,
      missing: count - times.size
    }
  }).pipe(Effect.scoped)

/** Waits until a process has said something. */
const stderrOf = (process: { readonly stderr: NodeJS.ReadableStream | null }) => {
  let text = ""
  let wake = (): void => {}
  process.stderr!.on("data", (piece: string) => {
    text += piece
    wake()
  })
  return (what: RegExp) =>
    Effect.callback<void>((resume) => {
      wake = () => what.test(text) && resume(Effect.void)
      wake()
    })
}

const fullDisk = Effect.map(SmallDisk.sized(16), ({ fill, folder }): Place => ({
  flags: ["--db", `${folder}/o.db`],
  trouble: fill
}))

const stoppedDatabase = Effect.map(PostgresServer.make, ({ host, port, start, stop }): Place => ({
  flags: ["--postgres", `postgres://postgres@${encodeURIComponent(host)}:${port}/postgres`],
  trouble: Effect.as(stop, start)
}))

/** Rounds that differ in all that matters; the first of them are those of the short form. */
const rounds = (number: number): ReadonlyArray<Round> =>
  Array.from({ length: number }, (_, n) => ({
    after: 20 + Math.floor(Math.random() * 280),
    end: (["SIGINT", "mended", "SIGTERM"] as const)[n % 3]!,
    pipelining: (["envelope", "off", "speculative"] as const)[Math.floor(n / 2) % 3]!
  }))

const play = (name: string, chosen: ReadonlyArray<Round>, open: Effect.Effect<Place, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const results = yield* Effect.forEach(chosen, (one) => round(one, open))
    const sum = (field: keyof (typeof results)[number]) => results.reduce((sum, result) => sum + result[field], 0)
    yield* Effect.log(
      `${name}, ${chosen.length} times: ${sum("missing")} lost, ${sum("unrecorded")} not recorded, ${sum("twice")} sent twice (${results.map(({ twice }) => twice).join(", ")})`
    )
  })

describe.skipIf(!isLong)("mailrace outbox run, when the database hangs", () => {
  it.live(
    "starts nothing more, and ends with the number within half a minute after a signal",
    () =>
      Effect.gen(function* () {
        const { freeze, host, port } = yield* PostgresServer.make
        const server = yield* TestServer.make({ latency: "20 millis" })
        const dir = yield* folder
        const flags = ["--postgres", `postgres://postgres@${encodeURIComponent(host)}:${port}/postgres`]
        const relay = ["--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}?pipelining=envelope`]
        const stdin = Array.from({ length: count }, (_, n) => mail(`r${n}@d${n % 7}.example`)).join("")
        yield* mailrace(["outbox", "enqueue", "-i", "-", ...flags], { stdin })
        const run = yield* start(["outbox", "run", "--report", dir.path("report.json"), ...flags, ...relay])
        yield* server.until(({ messages }) => messages >= 60)
        const thaw = yield* freeze
        yield* Effect.sleep("2 seconds")
        const sent = server.messages.length
        assert.isBelow(sent, count)
        yield* Effect.sleep("1 second")
        assert.strictEqual(server.messages.length, sent)
        run.process.kill("SIGTERM")
        const ended = yield* run.ended
        const { unrecorded } = JSON.parse(dir.read("report.json")) as { readonly unrecorded: number }
        assert.isAbove(unrecorded, 0)
        assert.strictEqual(ended.status, 1)
        assert.match(
          ended.stderr,
          new RegExp(`${unrecorded} messages? (was|were) accepted, but that could not be recorded`)
        )
        yield* thaw
        assert.strictEqual((yield* mailrace(["outbox", "run", "--drain", ...flags, ...relay])).status, 0)
        assert.strictEqual(new Set(server.messages.map(({ to }) => to[0]!.address)).size, count)
      }),
    120_000
  )
})

describe.skipIf(!SmallDisk.isPossible)("mailrace outbox enqueue", () => {
  it.live("on a full disk ends and promises nothing that an ended command does not do", () =>
    Effect.gen(function* () {
      const { fill, folder } = yield* SmallDisk.sized()
      const flags = ["outbox", "enqueue", "-i", "-", "--db", `${folder}/o.db`]
      assert.strictEqual((yield* mailrace(flags, { stdin: mail("a@d.example") })).status, 0)
      yield* fill
      const stdin = Array.from({ length: 2000 }, (_, n) => mail(`r${n}@d.example`)).join("")
      const { status, stderr } = yield* mailrace(flags, { stdin })
      assert.strictEqual(status, 2)
      assert.match(stderr, /is full\n {2}try: free space on that disk; the stored messages are safe\n$/)
    })
  )
})

const timeout = isLong ? 1_200_000 : 90_000

describe.concurrent("mailrace outbox run, if outcomes cannot be recorded", () => {
  it.live.skipIf(!SmallDisk.isPossible)(
    "on a full disk sends at most the messages in flight twice, and reports the number",
    () => play("a full disk", rounds(isLong ? 20 : 2), fullDisk),
    timeout
  )

  it.live(
    "with a stopped database sends at most the messages in flight twice, and reports the number",
    () => play("a stopped database", rounds(isLong ? 10 : 1), stoppedDatabase),
    timeout
  )
})
