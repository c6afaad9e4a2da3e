/**
 * Postfix's smtp-source, if it is installed: a load generator in C that sends one file many times.
 *
 * Each batch is a process of its own. The cost of its start and its connections is subtracted, because the other
 * contestants connect before they are timed. That cost is the cheapest run of one message per connection; such runs precede
 * each batch.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import type { Elsewhere, MakeContestant } from "../Contestant.ts"
import { programs } from "../Programs.ts"

export const make: MakeContestant = async (spec, messages) => {
  const program = programs.smtpSource
  if (program === undefined) throw new Error("smtp-source is not installed")
  const directory = mkdtempSync(join(tmpdir(), "bench-smtp-source-"))
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, "message")
  const content = messages.content(0)
  writeFileSync(file, Buffer.from(content).toString("latin1").replaceAll("\r\n", "\n"), "latin1")
  // It sends an empty line of its own before the final dot.
  const sent = Buffer.concat([content, Buffer.from("\r\n")])
  const envelope = messages.envelope(0)
  const run = (count: number): Promise<Elsewhere> =>
    measure(program, [
      ...(spec.connectionPerMessage === true ? [] : ["-d"]),
      `-s${Math.min(spec.connections, count)}`,
      `-m${count}`,
      `-F${file}`,
      `-f${envelope.from}`,
      `-t${envelope.to[0]}`,
      `-r${spec.recipients}`,
      "-Mbench.example",
      `${spec.host}:${spec.port}`
    ])
  const { connections } = spec
  let start: Elsewhere | undefined
  /**
   * Sends one message on each connection, and then the rest, so that the cost of a start is known and can be subtracted.
   */
  const sendInTwo = async (count: number): Promise<Elsewhere> => {
    const first = await run(connections)
    start = start === undefined ? first : cheaper(start, first)
    const rest = await run(count - connections)
    return start.elapsedMs > 0.75 * rest.elapsedMs
      ? sum(first, rest)
      : scale(minus(rest, start), count / (count - 2 * connections))
  }
  return {
    concurrency: connections,
    leastBatch: 6 * connections,
    warmsUp: false,
    contentOf: async () => sent,
    send: async (batch) => {
      try {
        const isWhole = spec.connectionPerMessage === true || batch.count < 4 * connections
        const measured = await (isWhole ? run(batch.count) : sendInTwo(batch.count))
        for (let at = 0; at < batch.count; at++) batch.accepted(undefined)
        return measured
      } catch (error) {
        batch.failed(String(error))
        return
      }
    },
    close: async () => {}
  }
}

const cheaper = (a: Elsewhere, b: Elsewhere): Elsewhere => ({
  elapsedMs: Math.min(a.elapsedMs, b.elapsedMs),
  cpuMicros: Math.min(a.cpuMicros, b.cpuMicros),
  rssPeakBytes: Math.max(a.rssPeakBytes, b.rssPeakBytes)
})

const sum = (a: Elsewhere, b: Elsewhere): Elsewhere => ({
  elapsedMs: a.elapsedMs + b.elapsedMs,
  cpuMicros: a.cpuMicros + b.cpuMicros,
  rssPeakBytes: Math.max(a.rssPeakBytes, b.rssPeakBytes)
})

const minus = (whole: Elsewhere, part: Elsewhere): Elsewhere => ({
  ...whole,
  elapsedMs: whole.elapsedMs - part.elapsedMs,
  cpuMicros: Math.max(0, whole.cpuMicros - part.cpuMicros)
})

const scale = (measured: Elsewhere, by: number): Elsewhere => ({
  ...measured,
  elapsedMs: measured.elapsedMs * by,
  cpuMicros: measured.cpuMicros * by
})

/** Runs a program to its end. The shell's `times` is the one portable way to its CPU time. */
const measure = (program: string, args: ReadonlyArray<string>): Promise<Elsewhere> =>
  new Promise((resolve, reject) => {
    const begin = performance.now()
    const shell = spawn(programs.shell, ["-c", '"$@" || exit 1; times', "sh", program, ...args], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    let complaint = ""
    let rssPeakBytes = 0
    shell.stdout.on("data", (chunk) => (output += chunk))
    shell.stderr.on("data", (chunk) => (complaint += chunk))
    const sampler = setInterval(() => {
      rssPeakBytes = Math.max(rssPeakBytes, peakOfChild(shell.pid!))
    }, 20)
    shell.on("error", reject)
    shell.on("close", (status) => {
      const elapsedMs = performance.now() - begin
      clearInterval(sampler)
      if (status !== 0) return reject(new Error(`smtp-source ended with status ${status}: ${complaint.trim()}`))
      return resolve({ elapsedMs, cpuMicros: parseTimes(output), rssPeakBytes })
    })
  })

/** The second line of `times` is that of the shell's children, as in `0m1.230000s 0m0.450000s`. */
const parseTimes = (output: string): number => {
  const children = output.trim().split("\n").at(-1) ?? ""
  return children
    .trim()
    .split(/\s+/)
    .map((time) => /^(\d+)m([\d.]+)s$/.exec(time))
    .reduce((sum, parts) => sum + (parts ? Number(parts[1]) * 60e6 + Number(parts[2]) * 1e6 : 0), 0)
}

const peakOfChild = (shell: number): number => {
  try {
    const child = readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim().split(" ")[0]
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child}/status`, "utf8"))
    return peak ? Number(peak[1]) * 1024 : 0
  } catch {
    return 0
  }
}
