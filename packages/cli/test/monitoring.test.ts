/**
 * The dashboard and the alerts of `@mailrace/telemetry` against what a run really serves.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import { folder } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import { fill } from "./support/outboxFile.ts"

const read = (file: string): string =>
  readFileSync(new URL(`../../telemetry/monitoring/${file}`, import.meta.url), "utf8")

const alerts = [...read("alerts.yml").matchAll(/expr: \|\n((?: {10}.*\n)+)/g)].map(([, expr]) => expr!)

const dashboard = JSON.parse(read("dashboard.json")) as {
  readonly panels: ReadonlyArray<{
    readonly title: string
    readonly targets?: ReadonlyArray<{ readonly expr: string }>
  }>
  readonly templating: { readonly list: ReadonlyArray<{ readonly query: string | { readonly query: string } }> }
}
const panels = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
const variables = dashboard.templating.list.flatMap(({ query }) =>
  typeof query === "string" ? [] : [/\((.*), \w+\)/.exec(query.query)![1]!]
)

/** The metrics of an expression of PromQL, with the labels that are asked of each. */
const metricsOf = (expr: string): ReadonlyArray<{ readonly name: string; readonly labels: ReadonlyArray<string> }> =>
  [
    ...expr
      .replaceAll(/\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)/g, " ")
      .replaceAll(/\[[^\]]*\]/g, " ")
      .replaceAll(/\b(?:and|or|unless|offset)\b(?:\s+\d+\w+)?/g, " ")
      .matchAll(/(?<![\w."$])([a-zA-Z_]\w*)(?!\s*\(|\w)(\{[^}]*\})?/g)
  ].flatMap(([, name, selector = ""]) => [
    { name: name!, labels: [...selector.matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label!) }
  ])

/** What Prometheus itself adds. */
const ofPrometheus = { metrics: ["up"], labels: ["job", "instance", "le"] }

describe("the dashboard and the alerts", () => {
  it("are read as the metrics of their expressions", () => {
    const expr = 'sum by (a, b) (rate(x_total{c="d e_f",g!="h"}[5m])) / on (i) y > 0.1 or z unless z offset 15m'
    assert.deepStrictEqual(metricsOf(expr), [
      { name: "x_total", labels: ["c", "g"] },
      { name: "y", labels: [] },
      { name: "z", labels: [] },
      { name: "z", labels: [] }
    ])
    assert.deepStrictEqual([alerts.length, variables.length], [16, 3])
    assert.isAbove(panels.length, 30)
  })

  it.live("ask for metrics and labels that outbox run serves", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      yield* fill(dir.path("o.db"), ["ann@x.example", "refused@y.example", "stuck@z.example"])
      const relayScope = yield* Scope.make()
      const faults = ["rcpt:550:to=refused@*", "final:hang:to=stuck@*"]
      const server = yield* Scope.provide(TestServer.make({ faults }), relayScope)
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}?pipelining=off`, "--adaptive", "--progress", "none"]
      const stop = Deferred.makeUnsafe<void>()
      const served = Deferred.makeUnsafe<string>()
      const running = yield* Effect.forkChild(
        mailrace(["outbox", "run", "--db", dir.path("o.db"), ...relay, "--metrics", "127.0.0.1:0"], {
          interrupted: Deferred.await(stop),
          onStderr: (text) => {
            const url = /metrics are at (http:\S+)/.exec(text)?.[1]
            if (url !== undefined) Deferred.doneUnsafe(served, Effect.succeed(url))
          }
        })
      )
      const url = yield* Deferred.await(served)
      const scrape = Effect.promise(async () => (await fetch(url)).text())
      const isComplete = (text: string) =>
        ["mailrace_send_errors{", 'outcome="accepted",le', "mailrace_outbox_messages"].every((part) =>
          text.includes(part)
        )
      const text = yield* Effect.repeat(scrape, { until: isComplete })
      const labelsOf = new Map<string, Set<string>>()
      for (const [, name, labels = ""] of text.matchAll(/^(\w+)(\{.*\})? /gm)) {
        const known = labelsOf.get(name!) ?? new Set(ofPrometheus.labels)
        for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label!)
        labelsOf.set(name!, known)
      }
      for (const expr of [...alerts, ...panels, ...variables]) {
        for (const { labels, name } of metricsOf(expr)) {
          if (ofPrometheus.metrics.includes(name)) continue
          assert.isTrue(labelsOf.has(name), `${name} of ${expr}`)
          for (const label of labels) assert.isTrue(labelsOf.get(name)!.has(label), `${label} of ${expr}`)
        }
      }
      assert.notMatch(text, /@/)
      Deferred.doneUnsafe(stop, Effect.void)
      // A relay that is gone before the run stops would fail it.
      const readiness = Effect.promise(async () => (await fetch(new URL("/ready", url))).status)
      yield* Effect.repeat(readiness, { until: (status) => status === 503 })
      yield* Scope.close(relayScope, Exit.void)
      const { status, stderr } = yield* Fiber.join(running)
      assert.strictEqual(status, 0, stderr)
    })
  )
})
