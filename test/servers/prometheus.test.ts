/**
 * The alerts and the dashboard in a real Prometheus, over a real run of `mailrace outbox run --metrics`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { mailrace } from "../../packages/cli/test/support/inProcess.ts"
import { fill } from "../../packages/cli/test/support/outboxFile.ts"
import * as Mta from "./support/Mta.ts"
import * as Prometheus from "./support/Prometheus.ts"

/** Milliseconds: a busy machine takes a while for several programs. */
const limit = 60_000

const monitoring = fileURLToPath(new URL("../../packages/telemetry/monitoring/", import.meta.url))
const rules = Path.join(monitoring, "alerts.yml")
const ruleTests = fileURLToPath(new URL("support/alerts.test.yml", import.meta.url))

const alerts = [...Fs.readFileSync(rules, "utf8").matchAll(/- alert: (\w+)/g)].map(([, name]) => name!)

const dashboard = JSON.parse(Fs.readFileSync(Path.join(monitoring, "dashboard.json"), "utf8")) as {
  readonly panels: ReadonlyArray<{ readonly targets?: ReadonlyArray<{ readonly expr: string }> }>
}

interface Groups {
  readonly groups: ReadonlyArray<{
    readonly rules: ReadonlyArray<{ readonly name: string; readonly health: string; readonly state: string }>
  }>
}

/** `outbox run` with a message that is accepted, one that is refused, one whose outcome is unknown and one that never ends. */
const run = Effect.gen(function* () {
  const folder = yield* Mta.makeFolder("outbox")
  const db = Path.join(folder, "o.db")
  yield* fill(db, ["ann@x.example", "refused@y.example", "dropped@w.example", "stuck@z.example"])
  const relayScope = yield* Scope.make()
  const faults = ["rcpt:550:to=refused@*", "final:drop:to=dropped@*", "final:hang:to=stuck@*"]
  const server = yield* Scope.provide(TestServer.make({ faults }), relayScope)
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}?pipelining=off`, "--adaptive", "--progress", "none"]
  const stop = Deferred.makeUnsafe<void>()
  const served = Deferred.makeUnsafe<string>()
  const running = yield* Effect.forkChild(
    mailrace(["outbox", "run", "--db", db, ...relay, "--metrics", "127.0.0.1:0"], {
      interrupted: Deferred.await(stop),
      onStderr: (text) => {
        const address = /metrics are at http:\/\/(\S+)\/metrics/.exec(text)?.[1]
        if (address !== undefined) Deferred.doneUnsafe(served, Effect.succeed(address))
      }
    })
  )
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      Deferred.doneUnsafe(stop, Effect.void)
      yield* Scope.close(relayScope, Exit.void)
      yield* Fiber.join(running)
    })
  )
  return yield* Deferred.await(served)
})

describe("Prometheus", () => {
  it.live(
    "loads the alerts, and each of them fires when its cause is there",
    (context) =>
      Effect.gen(function* () {
        assert.include(yield* Prometheus.promtool("check", "rules", rules), `SUCCESS: ${alerts.length} rules found`)
        assert.include(yield* Prometheus.promtool("test", "rules", ruleTests), "SUCCESS")
        const tested = [...Fs.readFileSync(ruleTests, "utf8").matchAll(/- name: (\w+)/g)].map(([, name]) => name!)
        assert.sameMembers(tested, alerts)
      }).pipe(Mta.orSkip(context)),
    limit
  )

  it.live(
    "scrapes a run, evaluates the alerts and answers each question of the dashboard",
    (context) =>
      Effect.gen(function* () {
        const address = yield* run
        const prometheus = yield* Prometheus.make(address, rules)
        const results = (expr: string) =>
          Effect.map(
            prometheus.get(`query?query=${encodeURIComponent(expr)}`),
            (data) => (data as { readonly result: ReadonlyArray<unknown> }).result
          )
        yield* Effect.repeat(results('mailrace_send_duration_count{outcome="unknown"}'), {
          until: (found) => found.length > 0
        })
        // A rate needs a second scrape.
        yield* Effect.repeat(results('rate(mailrace_send_duration_count{outcome="accepted"}[5m])'), {
          until: (found) => found.length > 0
        })
        for (const { expr } of dashboard.panels.flatMap(({ targets = [] }) => targets)) {
          const asked = expr.replaceAll(/\$__rate_interval/g, "5m").replaceAll(/"\$\w+"/g, '".*"')
          const found = yield* results(asked)
          // Nothing failed to connect.
          if (!asked.includes('outcome="failed"')) assert.isNotEmpty(found, asked)
        }
        const evaluated = Effect.map(prometheus.get("rules"), (data) =>
          (data as Groups).groups.flatMap((group) => group.rules)
        )
        const all = yield* Effect.repeat(evaluated, {
          until: (each) =>
            each.every(({ health }) => health !== "unknown") && each.some(({ state }) => state === "firing")
        })
        assert.sameMembers(
          all.map(({ name }) => name),
          alerts
        )
        assert.isEmpty(all.filter(({ health }) => health !== "ok"))
        assert.deepStrictEqual(
          all.filter(({ state }) => state === "firing").map(({ name }) => name),
          ["MailraceOutcomesUnknown"]
        )
      }).pipe(Effect.scoped, Mta.orSkip(context)),
    limit
  )
})
