/**
 * `pnpm bench`: runs the workloads, prints a table of each and the targets, and writes a JSON file and an HTML report.
 *
 * Status 0 means that every contestant delivered everything, 1 that one did not, 2 that the report cannot be written. A
 * target that is missed is not a failure.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Against from "./Against.ts"
import * as BenchReport from "./BenchReport.ts"
import * as Contestants from "./Contestants.ts"
import * as HtmlReport from "./HtmlReport.ts"
import * as Lab from "./Lab.ts"
import * as Machine from "./Machine.ts"
import * as Pace from "./Pace.ts"
import * as Table from "./Table.ts"
import * as Target from "./Target.ts"
import type { Workload } from "./Workload.ts"
import * as Workloads from "./Workloads.ts"

const progress = (text: string): Effect.Effect<void> => Effect.sync(() => void process.stderr.write(`  ${text}\n`))

const list = Effect.gen(function* () {
  yield* Console.log("Workloads")
  for (const { name, title } of Workloads.all) yield* Console.log(`  ${name.padEnd(14)}${title}`)
  yield* Console.log("\nContestants")
  for (const { description, name } of Contestants.all) yield* Console.log(`  ${name.padEnd(22)}${description}`)
})

/** Runs the workloads one after the other and prints each as soon as it is done. */
const run = (workloads: ReadonlyArray<Workload>, pace: Pace.Pace, against: Against.Against | undefined) =>
  Effect.gen(function* () {
    const startedAt = new Date()
    const machine = Machine.read()
    const versions = Machine.versions()
    yield* Console.log(
      `${machine.cores} cores, ${machine.cpu}, load ${machine.loadAverage.toFixed(2)}; ${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}`
    )
    const rows: Array<BenchReport.Row> = []
    for (const workload of workloads) {
      const of = yield* workload.run
      rows.push(...of)
      if (of.length > 0) yield* Console.log(`\n${workload.title}\n${Table.rows(of)}`)
    }
    const { failures } = yield* Lab.Lab
    const targets = workloads.flatMap((workload) => workload.targets.map((target) => Target.evaluate(target, rows)))
    if (targets.length > 0) yield* Console.log(`\nTargets\n${Table.targets(targets)}`)
    for (const { contestant, problem, variant, workload } of failures) {
      yield* Console.log(`\nno figure for ${contestant} in ${workload} (${variant}): ${problem}`)
    }
    const report: BenchReport.BenchReport = {
      startedAt: startedAt.toISOString(),
      durationSeconds: (Date.now() - startedAt.getTime()) / 1000,
      quick: pace.quick,
      machine,
      versions,
      rows,
      targets,
      failures
    }
    return report
  }).pipe(Effect.provide(Lab.layer({ pace, against, onProgress: progress })))

const bench = Command.make(
  "bench",
  {
    workload: Argument.Literals(
      "workload",
      Workloads.all.map(({ name }) => name)
    ).pipe(Argument.withDescription("Workloads to run; all if none is named"), Argument.variadic()),
    quick: Flag.Boolean("quick").pipe(
      Flag.withDescription("Short runs: all in less than 3 minutes, with rougher figures"),
      Flag.withDefault(false)
    ),
    against: Flag.String("against").pipe(
      Flag.withDescription("A commit that takes part in the workload relay, built from a git worktree"),
      Flag.optional
    ),
    json: Flag.File("json").pipe(Flag.withDescription("Write the report as JSON to this file"), Flag.optional),
    html: Flag.File("html").pipe(Flag.withDescription("Write the report with plots to this file"), Flag.optional),
    list: Flag.Boolean("list").pipe(
      Flag.withDescription("List the workloads and contestants and do nothing"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(
    function* ({ against, html, json, list: onlyList, quick, workload }) {
      if (onlyList) return yield* list
      const files = yield* FileSystem.FileSystem
      // Checks the paths now, so that a wrong one shows before the run and not after it.
      for (const file of [...Option.toArray(json), ...Option.toArray(html)]) {
        yield* Effect.scoped(files.open(file, { flag: "a" }))
      }
      const workloads = Workloads.all.filter(({ name }) => workload.length === 0 || workload.includes(name))
      const other = Option.isSome(against) ? yield* Against.open(against.value) : undefined
      const report = yield* run(workloads, quick ? Pace.quick : Pace.full, other)
      if (Option.isSome(json)) yield* files.writeFileString(json.value, BenchReport.format(report))
      if (Option.isSome(html)) yield* files.writeFileString(html.value, HtmlReport.render(report, workloads))
      if (report.failures.length > 0) process.exitCode = 1
    },
    Effect.scoped,
    Effect.catchTag("BenchError", ({ problem }) =>
      Effect.sync(() => {
        process.stderr.write(`${problem}\n`)
        process.exitCode = 2
      })
    ),
    Effect.catchTag("PlatformError", (error) =>
      Effect.sync(() => {
        process.stderr.write(`cannot write the report: ${error.message}\n`)
        process.exitCode = 2
      })
    )
  )
).pipe(
  Command.withDescription("Measures Mailrace against its peers"),
  Command.withExamples([
    { command: "bench --quick", description: "Everything, in less than 3 minutes" },
    { command: "bench rtt pool --html report.html", description: "Two workloads, with plots" },
    { command: "bench relay --against v0.1.0", description: "Relays as they are, and this tree against another commit" }
  ])
)

bench.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
