/**
 * The libraries' errors speak of the libraries' options. The command translates them (`packages/cli/src/Remedy.ts`).
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

const withoutComments = (code: string): string => code.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "")

/** The texts that name a flag or a variable of the command. */
const commandWords = (code: string): ReadonlyArray<string> =>
  [...withoutComments(code).matchAll(/(["'`])((?:(?!\1)[^\\\n]|\\.)*)\1/g)]
    .map(([, , text]) => text!)
    .filter((text) => /(?:^|[\s(])--[a-z]{2}|(?:set|\() ?MAILRACE_[A-Z]+/.test(text))

describe("texts of the libraries", () => {
  it("name no flag of the command", () => {
    const files = globSync(
      "packages/{config,core,smtp,flow,outbox,nodemailer,preflight,router,telemetry}/src/**/*.ts",
      {
        cwd: root
      }
    )
    assert.isAtLeast(files.length, 100)
    const found = files.flatMap((file) =>
      commandWords(readFileSync(`${root}/${file}`, "utf8")).map((text) => `${file}: ${text}`)
    )
    assert.deepStrictEqual(found, [])
  })

  it("would be found if they did", () => {
    assert.lengthOf(commandWords('const remedy = "send more slowly (--rate)"'), 1)
    assert.lengthOf(commandWords('const remedy = "check the password (MAILRACE_PASSWORD)"'), 1)
    assert.lengthOf(commandWords('/** See --rate. */\nconst url = Config.Redacted("MAILRACE_RELAY")'), 0)
  })
})
