/**
 * A line whose data is nested beyond measure is a bad line, whatever is done with the input.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

/** Written by hand: `JSON.stringify` would not come to an end with it. */
const line = (field: string, depth: number, open: string, close: string): string =>
  `${mail("deep@x.example").trimEnd().slice(0, -1)},"${field}":${open.repeat(depth)}1${close.repeat(depth)}}\n`

const lines: ReadonlyArray<readonly [string, string]> = [5000, 100_000].flatMap((depth) => [
  [`data of ${depth} objects`, line("data", depth, '{"a":', "}")] as const,
  [`a list in data of ${depth}`, line("data", depth, '{"a":[', "]}")] as const,
  [`a field of ${depth} lists that no mail has`, line("notes", depth, "[", "]")] as const,
  [`headers of ${depth} lists`, line("headers", depth, "[", "]")] as const
])

describe.concurrent("a line nested too deep", () => {
  it.live.each(lines)("is a bad line everywhere: %s", ([, deep]) =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example") + deep + mail("bob@x.example"))
      const template = dir.write("t.txt", "Hello {{name}}")
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      const ways: ReadonlyArray<ReadonlyArray<string>> = [
        ["send", ...relay],
        ["send", ...relay, "--durable", dir.path("q.db")],
        ["send", "--dry-run"],
        ["send", "--dry-run", "--template", template, "--from", "n@x.example", "--subject", "s", "--missing", "empty"],
        ["outbox", "enqueue", "--db", dir.path("other.db")]
      ]
      for (const way of ways) {
        const { status, stderr } = yield* mailrace([...way, "--input", input])
        assert.strictEqual(status, 1, `${way.join(" ")}: ${stderr}`)
        assert.match(
          stderr,
          /(skipped|bad) line 2, column \d+: objects and lists are nested more than 1000 deep; lay its data out flatter\n/
        )
        const aborted = yield* mailrace([...way, "--on-bad-line", "abort", "--input", input])
        assert.strictEqual(aborted.status, 2, way.join(" "))
        assert.match(aborted.stderr, /mailrace: line 2, column \d+: objects and lists .*\n {2}try: correct it/)
      }
      const again = yield* mailrace(["send", ...relay, "--durable", dir.path("q.db"), "--input", input])
      assert.strictEqual(again.status, 1)
      assert.match(again.stderr, /already: 2 accepted\n/)
    })
  )
})
