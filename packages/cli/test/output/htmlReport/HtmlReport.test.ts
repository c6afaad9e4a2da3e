import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail } from "../../support/command.ts"
import { mailrace } from "../../support/inProcess.ts"
import { dataOf, hostileReply, pageOf } from "../../support/reportPage.ts"

const send = (input: string) => ["send", "--input", input]

/** The rows of the page's tables as texts. */
const rowsOf = (html: string): ReadonlyArray<ReadonlyArray<string>> =>
  [...html.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row]) =>
    [...row!.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/gs)].map(([, cell]) => unescape(cell!.replaceAll(/<[^>]*>/g, " ")))
  )

const unescape = (text: string): string =>
  text.replaceAll(
    /&(amp|lt|gt|quot|#39);/g,
    (_, name: string) => ({ amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" })[name]!
  )

describe("--report-html", () => {
  it.live("is the run of the JSON report, over time", () =>
    Effect.gen(function* () {
      const { data, ended, html, report } = yield* pageOf(40, send)
      assert.strictEqual(ended.status, 1)
      assert.deepStrictEqual(data.report, report)
      const rows = rowsOf(html)
      assert.deepInclude(rows, ["accepted", "40", "93.0 %"])
      assert.deepInclude(rows, ["rejected", "3", "7.0 %"])
      const plot = (id: string) => data.plots.find((one) => one.id === id)
      const accepted = plot("throughput")?.series.find(({ label }) => label === "accepted")?.values ?? []
      const sum = accepted.reduce((sum: number, rate, index) => {
        return sum + (rate ?? 0) * (data.x[index]! - (data.x[index - 1] ?? 0))
      }, 0)
      assert.approximately(sum, 40, 0.01)
      for (const id of ["latency", "phases", "pool", "cpu", "memory"]) assert.isDefined(plot(id), id)
      for (const { series } of data.plots)
        for (const { values } of series) assert.strictEqual(values.length, data.x.length)
      assert.isTrue(rows.some(([relay, count]) => relay!.startsWith("127.0.0.1:") && count === "40"))
      for (const phase of ["total", "waiting", "envelope", "content"])
        assert.isTrue(rows.some(([name]) => name === phase))
    })
  )

  it.live("shows what a relay says as text, with the remedy, and loads nothing", () =>
    Effect.gen(function* () {
      const { data, html } = yield* pageOf(1, send)
      assert.strictEqual([...html.matchAll(/<script/g)].length, 3)
      assert.notInclude(html, "<img")
      const row = rowsOf(html).find(([, reason]) => reason === "RecipientsRejected")
      assert.include(row?.[3], hostileReply.replace("\u202E", "<U+202E>"))
      assert.include(row?.[3], data.errors[0]!.remedy)
      assert.notInclude(html, "\u202E")
      const links = [...html.matchAll(/<[a-z][^<>]*\s(?:src|href)="?([^"> ]*)/g)].map(([, to]) => to)
      assert.deepStrictEqual(links, ["data:,"])
      assert.include(html, "default-src 'none'")
    })
  )

  it.live("is written by send --durable and outbox run too", () =>
    Effect.gen(function* () {
      const { dir, report, data, server } = yield* pageOf(5, (input, db) => ["send", "--durable", db, "--input", input])
      assert.deepStrictEqual(data.report, report)
      assert.deepInclude(data.report, { accepted: 5, rejected: 3 })
      const db = dir.path("other.db")
      yield* mailrace(["outbox", "enqueue", "--db", db, "--input", "-"], { stdin: mail("bob@y.example") })
      const files = ["--report-html", dir.path("other.html"), "--report", dir.path("other.json")]
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      assert.strictEqual((yield* mailrace(["outbox", "run", "--db", db, "--drain", ...relay, ...files])).status, 0)
      const other = dataOf(dir.read("other.html"))
      assert.deepStrictEqual(other.report, JSON.parse(dir.read("other.json")))
      assert.deepInclude(other.report, { accepted: 1, total: 1 })
      assert.include(
        other.plots.map(({ id }) => id),
        "phases"
      )
    })
  )

  it.live("is refused before the run where it cannot be written", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const relay = ["--relay", "smtp://127.0.0.1:1", "--input", input]
      for (const [args, problem] of [
        [["--report-html", dir.path("no/run.html")], /run\.html cannot be written: there is no such folder/],
        [["--report-html", input], /--report-html would overwrite .*in\.ndjson, which --input names/],
        [
          ["--report-html", dir.path("a"), "--report", dir.path("a")],
          /--report-html would overwrite .*a, which --report names/
        ],
        [["--report-html", dir.path("a"), "--dry-run"], /leave out .*--report-html/]
      ] as const) {
        const { status, stderr } = yield* mailrace(["send", ...relay, ...args])
        assert.strictEqual(status, 2, stderr)
        assert.match(stderr, problem)
      }
    })
  )
})
