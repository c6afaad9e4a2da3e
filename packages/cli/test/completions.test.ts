/**
 * Completions and help, as a shell and a terminal have them.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bin } from "./support/command.ts"

const run = (args: ReadonlyArray<string>, env: Record<string, string> = {}): string => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [bin, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 1e7
  })
  assert.strictEqual(status, 0, stderr)
  return stdout
}

const has = (shell: string): boolean => spawnSync(shell, ["-c", "exit 0"]).status === 0

/** What bash offers at the end of a line, in a folder with `people.csv` and the folder `mails`. */
const offered = (script: string, line: string, cwd: string): ReadonlyArray<string> => {
  const words = line.split(" ")
  const program = `
    source ${script}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
    COMP_CWORD=${words.length - 1}
    COMP_LINE='${line}'
    COMP_POINT=${line.length}
    _mailrace mailrace '${words.at(-1)}' '${words.at(-2)}'
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = spawnSync("bash", ["--norc", "-c", program], { cwd, encoding: "utf8" })
  return stdout.split("\n").filter((one) => one !== "")
}

describe("completions", () => {
  it("arrive whole when a slow reader has them from a pipe", () => {
    const direct = run(["--completions", "fish"])
    // A pipe holds 65,536 bytes, so the command has more to write when it is done.
    assert.isAbove(Buffer.byteLength(direct), 65_536)
    const piped = spawnSync("sh", ["-c", `"$0" "$1" --completions fish | { sleep 1; wc -c; }`, process.execPath, bin], {
      encoding: "utf8"
    })
    assert.strictEqual(Number(piped.stdout), Buffer.byteLength(direct))
  })

  it("offer the names of files where a flag takes one", () => {
    const cwd = mkdtempSync(join(tmpdir(), "mailrace-complete-"))
    try {
      for (const name of ["people.csv", "key.pem"]) writeFileSync(join(cwd, name), "")
      const script = join(cwd, "completions.bash")
      writeFileSync(script, run(["--completions", "bash"]))
      for (const [command, ...flags] of [
        ["send", "input", "i", "template", "text-file", "html-file", "suppress", "suppress-add", "attach", "durable"],
        ["send", "dkim-key", "tls-ca", "report", "deliveries"],
        ["outbox list", "db"],
        ["outbox export", "output"],
        ["dkim keygen", "out"]
      ] as const) {
        for (const flag of flags) {
          const line = `mailrace ${command} ${flag.length === 1 ? "-" : "--"}${flag} peo`
          assert.deepStrictEqual(offered(script, line, cwd), ["people.csv"], line)
        }
      }
      assert.deepStrictEqual(offered(script, "mailrace send --format c", cwd), ["csv"])
      const fish = run(["--completions", "fish"])
      const zsh = run(["--completions", "zsh"])
      for (const flag of ["input", "template", "suppress", "dkim-key", "tls-ca", "attach"]) {
        assert.notMatch(fish, new RegExp(`-l ${flag} [^\\n]*-r -f`), flag)
        assert.match(zsh, new RegExp(`--${flag}[^\\n]*:_files`), flag)
      }
      assert.match(zsh, /--attachments-from[^\n]*:_directories/)
    } finally {
      rmSync(cwd, { recursive: true })
    }
  })

  it.runIf(has("zsh") || has("fish"))("are a script that the shell reads", () => {
    for (const shell of ["zsh", "fish"].filter(has)) {
      const { status, stderr } = spawnSync(shell, ["-n"], { input: run(["--completions", shell]), encoding: "utf8" })
      assert.strictEqual(status, 0, stderr)
    }
  })
})

describe("help", () => {
  it("keeps to the width of its reader, without broken words, but for commands to copy", () => {
    for (const command of [[], ["send"], ["outbox", "enqueue"]]) {
      for (const [env, columns] of [
        [{ COLUMNS: "80" }, 80],
        [{ COLUMNS: "120" }, 120],
        [{ COLUMNS: "" }, 80]
      ] as const) {
        const text = run([...command, "--help"], env)
        const lines = text
          .split("\n")
          .filter((line) => !/^ {2}(?:\w+ \| |[A-Z_]+=\S+ )?mailrace /.test(line) && !/^ {2}generate /.test(line))
        assert.deepStrictEqual(
          lines.filter((line) => line.length > columns),
          [],
          `${command.join(" ")} at ${columns}`
        )
        if (command.length > 0) assert.isBelow(text.split("\n").filter((line) => line.includes("--wizard")).length, 2)
      }
    }
    const words = (columns: string): string =>
      run(["send", "--help"], { COLUMNS: columns }).replaceAll(/\s+(?:# )?/g, " ")
    assert.strictEqual(words("80"), words("120"))
  })
})
