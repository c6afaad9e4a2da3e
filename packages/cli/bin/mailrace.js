#!/usr/bin/env -S node --max-semi-space-size=16 --max-old-space-size=512
/**
 * The command's door. It runs on Node 22.19 and later; on an older one it looks for the Node that a clone of the
 * project installs for itself, and hands over to that.
 *
 * The heap is given a size, because V8 otherwise lets garbage grow as long as the machine has memory: a run of 200,000
 * messages from a file took 308 MB without and 192 MB with, at the same rate; what is live stays near 25 MB.
 *
 * A clone runs its sources as they are. Under node_modules Node strips no types, so a published package runs `dist`.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import module from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const self = fileURLToPath(import.meta.url)
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major > 22 || (major === 22 && minor >= 19)) {
  // Compiled code is kept between runs, which saves a third of the time to start; where it cannot be kept nothing is lost.
  module.enableCompileCache?.(join(dirname(self), "..", "node_modules", ".cache"))
  const isPublished = self.split(/[\\/]/).includes("node_modules")
  await import(isPublished ? "../dist/main.js" : "../src/main.ts")
} else {
  const node = newerNode()
  if (node === undefined || process.env.MAILRACE_HANDED_OVER === "1") {
    process.stderr.write(`mailrace: needs Node 22.19 or later, this is ${process.versions.node}\n`)
    process.exitCode = 2
  } else {
    handOver(node)
  }
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
