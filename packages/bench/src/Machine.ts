/**
 * Reads what figures depend on besides the code: the machine, and the versions of the programs and packages that take part.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Os from "node:os"
import { fileURLToPath } from "node:url"
import type { Machine } from "./BenchReport.ts"
import { programs } from "./Programs.ts"

/** The machine as it is now. */
export const read = (): Machine => ({
  cpu: Os.cpus()[0]?.model.trim() ?? "unknown",
  cores: Os.availableParallelism(),
  memoryBytes: Os.totalmem(),
  os: `${Os.type()} ${Os.release()}`,
  loadAverage: Os.loadavg()[0] ?? 0
})

/** Versions by name, of what is installed. */
export const versions = (): { readonly [name: string]: string } => {
  const found: ReadonlyArray<readonly [string, string | undefined]> = [
    ["mailrace", versionIn(new URL("../../core/package.json", import.meta.url))],
    ["node", process.versions.node],
    ["effect", versionOf("effect")],
    ["nodemailer", versionOf("nodemailer")],
    ["openssl", process.versions.openssl],
    ["postfix", postfix()]
  ]
  return Object.fromEntries(found.filter((entry): entry is readonly [string, string] => entry[1] !== undefined))
}

/** The version of a package that is loaded from here: in the first package.json above its entry that has one. */
const versionOf = (name: string): string | undefined => {
  for (let folder = new URL(".", import.meta.resolve(name)); folder.pathname !== "/"; folder = new URL("..", folder)) {
    const version = versionIn(new URL("package.json", folder))
    if (version !== undefined) return version
  }
  return undefined
}

const versionIn = (file: URL): string | undefined => {
  try {
    return (JSON.parse(readFileSync(fileURLToPath(file), "utf8")) as { readonly version?: string }).version
  } catch {
    return undefined
  }
}

const postfix = (): string | undefined => {
  if (programs.postconf === undefined) return undefined
  try {
    return execFileSync(programs.postconf, ["-d", "-h", "mail_version"], { encoding: "utf8", stdio: "pipe" }).trim()
  } catch {
    return undefined
  }
}
