#!/usr/bin/env node
/**
 * The command's door. It runs on Node 22.19 and later; on an older one it looks for the Node that a clone of the
 * project installs for itself, and hands over to that.
 *
 * Garbage is given a bound, because V8 otherwise lets it grow as long as the machine has memory: a run of 200,000 messages
 * from a file took 320 MB without and 200 MB with, at the same CPU a message; what is live stays near 25 MB. The flags for
 * that do not fit into a first line that BusyBox's `env` reads, and V8 sizes its heap before any program runs, so how far
 * the heap grows is set here: the old space by a fifth after each collection, the young one to about 20 MB.
 *
 * A clone runs its sources as they are. Under node_modules Node strips no types, so a published package runs `dist`.
 */
import { spawn } from "node:child_process"
import { existsSync, realpathSync } from "node:fs"
import module from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import v8 from "node:v8"

// Deno gives the path of the link that a package manager made.
const self = realpathSync(fileURLToPath(import.meta.url))

// A package manager runs a script of the clone in the clone's root; paths are meant from where the user is.
const { INIT_CWD: origin, npm_lifecycle_event: script, npm_package_name: owner } = process.env
if (owner === "mailrace-workspace" && (script === "mailrace" || script === "demo") && origin) process.chdir(origin)

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major > 22 || (major === 22 && minor >= 19)) {
  boundHeap()
  // Compiled code is kept between runs, which saves a third of the time to start; where it cannot be kept nothing is lost.
  module.enableCompileCache?.(join(dirname(self), "..", "node_modules", ".cache"))
  const isPublished = self.split(/[\\/]/).includes("node_modules")
  await import(new URL(isPublished ? "../dist/main.js" : "../src/main.ts", pathToFileURL(self)).href)
} else {
  const node = newerNode()
  if (node === undefined || process.env.MAILRACE_HANDED_OVER === "1") {
    // Without the arguments, which may hold a password.
    const again = `npx -y node@24 ${process.argv[1]} …`
    process.stderr.write(
      `mailrace: needs Node 22.19 or later, this is ${process.versions.node}\n  try: install a newer Node, or put one before it: ${again}\n`
    )
    process.exitCode = 2
  } else {
    handOver(node)
  }
}

function boundHeap() {
  v8.setFlagsFromString("--heap-growing-percent=20")
  const watch = setInterval(() => {
    const young = v8.getHeapSpaceStatistics().find((space) => space.space_name === "new_space")
    if (young === undefined || young.space_size < 20e6) return
    v8.setFlagsFromString("--semi-space-growth-factor=1")
    clearInterval(watch)
  }, 20)
  watch.unref()
}

function newerNode() {
  const binary = process.platform === "win32" ? "node.exe" : "node"
  for (let folder = dirname(self); folder !== dirname(folder); folder = dirname(folder)) {
    const node = join(folder, "node_modules", "node", "bin", binary)
    if (existsSync(node)) return node
  }
  return undefined
}

function handOver(node) {
  const child = spawn(node, [...process.execArgv, self, ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, MAILRACE_HANDED_OVER: "1" }
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => {
    process.stderr.write(`mailrace: ${node} cannot be run: ${error.message}\n`)
    process.exitCode = 2
  })
  child.on("exit", (status, signal) => {
    process.exitCode = status ?? (signal === "SIGINT" ? 130 : 1)
  })
}
