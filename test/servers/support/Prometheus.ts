/**
 * A real Prometheus on a free port, with its data in a private folder, and promtool.
 *
 * `PROMETHEUS` and `PROMTOOL` name the programs; otherwise they are Debian's, installed or unpacked beside the mail servers.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Mta from "./Mta.ts"

const name = "prometheus"

const folder = `${Mta.unpacked}/${name}/usr/bin`

const find = (program: string, named: string | undefined): Effect.Effect<string, Mta.MtaMissing> => {
  const file = [named, `/usr/bin/${program}`, `${folder}/${program}`].find(
    (file) => file !== undefined && Fs.existsSync(file)
  )
  return file === undefined
    ? Effect.fail(
        new Mta.MtaMissing({ program: name, reason: `there is no ${program}; \`${program.toUpperCase()}\` names one` })
      )
    : Effect.succeed(file)
}

/** Runs promtool to its end and gives what it says. */
export const promtool = (...args: ReadonlyArray<string>): Effect.Effect<string, Mta.MtaMissing | Mta.MtaFailed> =>
  Effect.flatMap(find("promtool", process.env.PROMTOOL), (program) => Mta.run(program, ...args))

/** A running Prometheus. */
export interface Prometheus {
  /** The `data` of an answer of its HTTP API, such as `query?query=up`; the error that it names is a failure. */
  readonly get: (path: string) => Effect.Effect<unknown, Mta.MtaFailed>
}

/** Starts one that scrapes an address as job `mailrace`, five times a second, and loads rules; it ends with the scope. */
export const make = Effect.fnUntraced(function* (
  target: string,
  rules: string
): Effect.fn.Return<Prometheus, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> {
  const program = yield* find(name, process.env.PROMETHEUS)
  const home = yield* Mta.makeFolder(name)
  const config = {
    global: { scrape_interval: "200ms", scrape_timeout: "200ms", evaluation_interval: "200ms" },
    rule_files: [rules],
    scrape_configs: [{ job_name: "mailrace", static_configs: [{ targets: [target] }] }]
  }
  const file = Path.join(home, "prometheus.yml")
  // JSON is YAML.
  Fs.writeFileSync(file, JSON.stringify(config))
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${Path.join(home, "data")}`,
    "--web.listen-address=127.0.0.1:0"
  ]
  const { port } = yield* Effect.acquireRelease(start(program, args), ({ child }) => stop(child))
  return {
    get: (path) =>
      Effect.tryPromise({
        try: async () => {
          const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
          const answer = (await response.json()) as { readonly data?: unknown; readonly error?: string }
          if (answer.error !== undefined) throw new Error(answer.error)
          return answer.data
        },
        catch: (error) => new Mta.MtaFailed({ program: name, problem: `${path}: ${String(error)}` })
      })
  }
})

interface Started {
  readonly child: ChildProcess.ChildProcess
  readonly port: number
}

const start = (program: string, args: ReadonlyArray<string>): Effect.Effect<Started, Mta.MtaFailed> =>
  Effect.callback((resume) => {
    let said = ""
    const child = ChildProcess.spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] })
    const fail = (problem: string) => resume(Effect.fail(new Mta.MtaFailed({ program: name, problem })))
    child.stderr.on("data", (text: Buffer) => {
      said += text
      const port = /msg="Listening on" address=127\.0\.0\.1:(\d+)/.exec(said)?.[1]
      if (port !== undefined && said.includes("ready to receive web requests"))
        resume(Effect.succeed({ child, port: Number(port) }))
    })
    child.once("error", (error) => fail(error.message))
    child.once("exit", () => fail(`it ended: ${said}`))
  })

const stop = (child: ChildProcess.ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
