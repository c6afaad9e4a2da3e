/**
 * ARCHITECTURE.md names files and identifiers by which a reader finds the code: each of them is there.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n")

/** The ends of every path, as the text shortens them: `internal/reply/replyTable.ts`, `sending/Timeline`, `packages/cli/src`. */
const endings = new Set(
  files.flatMap((file) => {
    const parts = file.split("/")
    return parts.flatMap((_, begin) =>
      parts.slice(begin).flatMap((_, length) => {
        const path = parts.slice(begin, begin + length + 1).join("/")
        return [path, path.replace(/\.ts$/, "")]
      })
    )
  })
)

const read = (file: string): string => readFileSync(join(root, file), "utf8")

/** The words of all sources, comments left out. */
const words = new Set(
  files
    .filter(
      (file) =>
        file !== "test/architecture.test.ts" && /^(?:packages|examples|test|\.ci)\/.*\.(?:ts|js|mjs|cjs)$/.test(file)
    )
    .flatMap(
      (file) =>
        read(file)
          .replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "")
          .match(/[A-Za-z_$][\w$]*/g) ?? []
    )
)

/** Names of Effect, Node and Observable Plot that only the text mentions. */
const ofOthers = new Set(["Pool.makeWithTTL", "autoSelectFamily", "dodgeY"])

/** What the text quotes as code, outside of blocks. */
const quoted = (markdown: string): ReadonlyArray<string> =>
  [...markdown.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!)

/** Names of packages and of rules of the linter look like paths. */
const isElsewhere = (text: string): boolean => /^@|^\w+:\/\/|^(?:effect|import|persistence|node)\//.test(text)

const isPath = (text: string): boolean =>
  /^[\w.-]+(?:\/[\w.-]+)*\/?$/.test(text) && /\/|\.(?:ts|mjs|cjs|js|md)$/.test(text)

const isIdentifier = (text: string): boolean => /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*(?:\(\))?$/.test(text)

const missing = (text: string): boolean => {
  if (isElsewhere(text) || ofOthers.has(text)) return false
  if (isPath(text)) return !endings.has(text.replace(/\/$/, ""))
  return (
    isIdentifier(text) &&
    /[A-Z]/.test(text) &&
    !text
      .replace("()", "")
      .split(".")
      .every((word) => words.has(word))
  )
}

describe("ARCHITECTURE", () => {
  it("names files, folders and identifiers that are there", () => {
    const all = quoted(read("ARCHITECTURE.md"))
    assert.isAtLeast(all.filter(isPath).length, 80)
    assert.deepStrictEqual(all.filter(missing), [])
  })

  it("has the command's input, results and output know nothing of what sends", () => {
    const arrows = files
      .filter((file) => /^packages\/cli\/src\/(?:input|output|results)\//.test(file))
      .filter((file) => /from "(?:\.\.\/)+(?:sending|dispatching|enqueueing|programs|commands)\//.test(read(file)))
    assert.deepStrictEqual(arrows, [])
  })
})
