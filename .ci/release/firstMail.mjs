/**
 * The way from an empty folder to the first accepted mails, by README alone: its install line, its sink and its first program
 * are read out of it and run by a shell, on one runtime after the other. Each step's time is printed.
 *
 * Run by itself (`.ci/first-mail`) it begins in an empty folder on each runtime. The release check has installed the packages
 * already and goes on from there.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What README tells a newcomer to type and to save. */
const read = () => {
  const readme = readFileSync(join(root, "README.md"), "utf8")
  const find = (what, pattern) => {
    const found = pattern.exec(readme)?.[1]
    if (found === undefined) throw new Error(`README has no ${what} where ${pattern} looks for it`)
    return found
  }
  const program = find("first program", /^## A first program\n[\s\S]*?^```ts\n([\s\S]*?)^```$/m)
  return {
    install: find("install line", /^## Install\n[\s\S]*?^```sh\n(npm install .+)\n```$/m),
    sink: find("line that starts a relay", /^## A first program\n[\s\S]*?^```sh\n(npx mailrace sink)\n```$/m),
    file: find("name of the first program", /^Save this as `(\S+)`/m),
    run: find("line that runs the first program", /^Save this as .*run `(node \S+)`/m),
    program,
    url: find("relay's URL", /SmtpTransport\.layerUrl\("(smtp:\/\/127\.0\.0\.1:2525)"\)/),
    count: Number(find("number of messages", /Stream\.range\(1, (\d+)\)/))
  }
}
export const readme = read()

/** The packages of the install line. */
export const packages = readme.install.split(" ").slice(2)

/** README's commands for Bun. */
const inBun = (line) =>
  line
    .replace(/^npm install /, "bun add ")
    .replace(/^npx /, "bunx --bun ")
    .replace(/^node /, "bun ")

/** A runtime from the path of its program; lines of README run with it first in PATH. */
export const nodeAt = (name, program) => ({ name: `Node ${name}`, folder: dirname(program), translate: (line) => line })
export const bunAt = (program) => ({ name: "Bun", folder: dirname(program), translate: inBun })

/** The path of a version of Node, which npm fetches unless it has it. */
export const pathOfNode = (version) => {
  const { stdout } = spawnSync("npx", ["-y", `node@${version}`, "-p", "process.execPath"], { encoding: "utf8" })
  if (stdout.trim() === "") throw new Error(`npm has no Node ${version} for this machine`)
  return stdout.trim()
}

/** Starts a line of README in a shell; `stop` ends it and all that it started. */
const start = (runtime, line, cwd, env = {}) => {
  const child = spawn("sh", ["-c", runtime.translate(line)], {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env, PATH: `${runtime.folder}${delimiter}${process.env.PATH}` }
  })
  const stop = () => {
    try {
      process.kill(-child.pid, "SIGKILL")
    } catch {
      // It has ended.
    }
  }
  const timer = setTimeout(stop, 60_000)
  let text = ""
  const waiting = new Set()
  const look = () => waiting.forEach((check) => check())
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (piece) => {
      text += piece
      look()
    })
  const ended = new Promise((resolve) =>
    child.on("close", (status) => {
      clearTimeout(timer)
      resolve({ status, text })
    })
  )
  /** The first match of what it prints. */
  const printed = (pattern) =>
    Promise.race([
      new Promise((resolve) => {
        const check = () => {
          const found = pattern.exec(text)
          if (found !== null) resolve(found[0])
        }
        waiting.add(check)
        check()
      }),
      ended.then(({ status }) => {
        const found = pattern.exec(text)
        if (found !== null) return found[0]
        throw new Error(`${runtime.translate(line)} on ${runtime.name} ended with ${status}:\n${text.trim()}`)
      })
    ])
  return { ended, printed, stop }
}

/** Runs the first program in a project with the packages, against the relay at `url`; returns the seconds until the first mail. */
const send = async (runtime, project, url) => {
  writeFileSync(join(project, readme.file), readme.program.replaceAll(readme.url, url))
  const began = performance.now()
  const program = start(runtime, readme.run, project)
  try {
    await program.printed(/^\d+ Accepted$/m)
    const first = (performance.now() - began) / 1000
    const { status, text } = await program.ended
    const accepted = text.match(/^\d+ Accepted$/gm)?.length ?? 0
    if (status !== 0 || accepted !== readme.count)
      throw new Error(
        `${readme.run} on ${runtime.name} ended with ${status} and ${accepted} of ${readme.count} messages accepted:\n${text.slice(0, 500)}`
      )
    return first
  } finally {
    program.stop()
  }
}

/** The last step of the way, in a project that has the packages. */
export const firstMail = async (runtime, project, url) => {
  const seconds = await send(runtime, project, url)
  process.stdout.write(`first mail on ${runtime.name}: ${seconds.toFixed(1)} s after the install\n`)
}

/** The whole way, in a folder of its own. */
export const wholeWay = async (runtime, registry) => {
  const folder = mkdtempSync(join(tmpdir(), "mailrace-first-"))
  const project = join(folder, "project")
  mkdirSync(project)
  const env = {
    npm_config_registry: registry,
    npm_config_cache: join(folder, "npm"),
    npm_config_userconfig: join(folder, "none"),
    npm_config_audit: "false",
    BUN_INSTALL_CACHE_DIR: join(folder, "bun")
  }
  try {
    const began = performance.now()
    const lap = () => (performance.now() - began) / 1000
    const install = await start(runtime, readme.install, project, env).ended
    if (install.status !== 0) throw new Error(`${readme.install} on ${runtime.name}:\n${install.text.trim()}`)
    const installed = lap()
    // A free port, since README's may be taken here.
    const sink = start(runtime, `${readme.sink} --port 0`, project, env)
    try {
      const url = await sink.printed(/smtp:\/\/127\.0\.0\.1:\d+/)
      const listening = lap()
      const sent = await send(runtime, project, url)
      const steps = [
        ["install", installed],
        ["relay", listening - installed],
        ["first mail", sent]
      ].map(([step, seconds]) => `${step} ${seconds.toFixed(1)} s`)
      process.stdout.write(
        `${runtime.name}: from an empty folder to the first accepted mail in ${(listening + sent).toFixed(1)} s (${steps.join(", ")})\n`
      )
    } finally {
      sink.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
