/**
 * `mailrace top` without a terminal: one picture, or one object, and what it says when nothing answers.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { folder, mail } from "./support/command.ts"
import { assertPrintable, hostile } from "./support/hostile.ts"
import { mailrace } from "./support/inProcess.ts"
import { fill, using } from "./support/outboxFile.ts"
import * as ServedRun from "./support/servedRun.ts"

/** A web server that answers everything alike. */
const answering = (status: number, body: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((_, response) => void response.writeHead(status).end(body))
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = (): void => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe("mailrace top", () => {
  it.live(
    "shows an outbox once: states, lanes, replies, and what a lane is called without its control characters",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        const file = dir.path("o.db")
        yield* fill(file, ["ok@a.example", "busy@b.example", "c@c.example"])
        yield* fill(file, ["d@d.example"], { lane: hostile })
        yield* using(file, Outbox.pause("c.example"))
        const { status, stderr, stdout } = yield* mailrace(["top", "--db", file])
        assert.strictEqual(status, 0, stderr)
        assertPrintable(stdout, stdout)
        assert.match(stdout, /^outbox +3 waiting, /m)
        assert.match(stdout, /^states +accepted 1$/m)
        assert.match(stdout, /^sending +no dispatcher/m)
        assert.match(stdout, /^c\.example +1 +.* paused$/m)
        assert.match(stdout, /^to be retried +451 4\.3\.0 +1 /m)
        const json = yield* mailrace(["top", "--json"], { env: { MAILRACE_OUTBOX: file } })
        assertPrintable(json.stdout, "JSON")
        const { outbox, run } = JSON.parse(json.stdout)
        assert.isNull(run)
        assert.deepInclude(outbox.states, { due: 3, accepted: 1 })
        assert.deepStrictEqual(outbox.errors, [{ code: 451, enhanced: "4.3.0", count: 1 }])
        assert.include(
          outbox.lanes.map(({ lane }: { readonly lane: string }) => lane),
          hostile
        )
      })
  )

  it.live("shows a run by its address: rate, outcomes, relay, limits and errors", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", ["ann", "gone", "stuck"].map((name) => mail(`${name}@x.example`)).join(""))
      const run = yield* ServedRun.start(["send", "-i", input, "--adaptive"], ["rcpt:550:to=gone@*"])
      const address = run.url.replace("http://", "")
      const once = mailrace(["top", address, "--once"])
      const { stdout } = yield* Effect.repeat(once, { until: ({ stdout }) => / 2 of 3 /.test(stdout) })
      assert.match(stdout, /^run +\d.* 2 of 3 {2}1 in flight/m)
      assert.match(stdout, /^outcomes +accepted 1 {2}rejected 1 /m)
      assert.match(stdout, /^limits +circuit closed {2}window open$/m)
      assert.match(stdout, new RegExp(`^127\\.0\\.0\\.1:${run.server.port} +\\d+ +1 +0 `, "m"))
      assert.match(stdout, /^RecipientsRejected +550\b.* 1 /m)
      yield* run.stop
      assert.strictEqual((yield* run.ended).status, 1)
    })
  )

  it.live("adds up several runs, and says which of them gives no answer", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = (name: string) => dir.write(name, mail("ann@x.example") + mail("stuck@x.example"))
      const one = yield* ServedRun.start(["send", "-i", input("1.ndjson")])
      const two = yield* ServedRun.start(["send", "-i", input("2.ndjson")])
      const gone = yield* answering(200, "")
      gone.close()
      const args = ["top", one.url, two.url, one.url, gone.url]
      const once = mailrace([...args, "--once"])
      const { status, stdout } = yield* Effect.repeat(once, { until: ({ stdout }) => / 2 of 4 /.test(stdout) })
      assert.strictEqual(status, 0)
      assert.match(stdout, /^mailrace top: 3 runs /)
      assert.match(stdout, /^no run answers at /m)
      assert.match(stdout, /^runs +\S+ {2}2 of 4 {2}2 in flight .*2 of 3 runs answer$/m)
      assert.match(stdout, new RegExp(`^${one.url.replace("http://", "")} +\\S+ +1 +1 `, "m"))
      assert.match(stdout, new RegExp(`^${gone.url.replace("http://", "")} +no answer$`, "m"))
      const { run, runs } = JSON.parse((yield* mailrace([...args, "--json"])).stdout)
      assert.strictEqual(run.done, 2)
      assert.deepStrictEqual(
        runs.map(({ run, url }: { readonly run: { readonly done: number } | null; readonly url: string }) => [
          url,
          run?.done
        ]),
        [
          [one.url, 1],
          [two.url, 1],
          [gone.url, undefined]
        ]
      )
      for (const run of [one, two]) {
        yield* run.stop
        assert.strictEqual((yield* run.ended).status, 1)
      }
    })
  )

  it.live("says what is wrong when no run answers, and what to do", () =>
    Effect.gen(function* () {
      const gone = yield* answering(200, "")
      gone.close()
      const web = yield* answering(200, "<html>")
      const missing = yield* answering(404, "not found")
      const endless = yield* answering(200, "[".repeat(5 << 20))
      for (const [args, message] of [
        [[gone.url], /^mailrace: no run answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)\n {2}try: start send/],
        [[web.url], /^mailrace: what answers at http:\S+ does not tell of a run\n {2}try: give the address/],
        [[missing.url], /^mailrace: what answers at http:\S+ does not tell of a run\n/],
        [[endless.url], /^mailrace: no run answers at http:\S+ \(it is longer than 4194304 bytes\)\n/],
        [["ftp://x"], /^mailrace: "ftp:\/\/x" is not the address of a run\n {2}try: write it as http:/],
        [["postgres://me:secret@db/mail"], /^mailrace: what is given is not the address of a run\n(?![^]*secret)/],
        [["http://"], /^mailrace: "http:\/\/" is not the address of a run\n/],
        [["--db", "nowhere.db"], /^mailrace: nowhere\.db does not exist\n/],
        [["--interval", "soon"], /^mailrace: --interval: "soon" is not a length of time\n {2}try: write it as 500ms/]
      ] as ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]>) {
        const { status, stderr, stdout } = yield* mailrace(["top", ...args])
        assert.deepStrictEqual([status, stdout], [2, ""], stderr)
        assert.match(stderr, message)
      }
    })
  )
})
