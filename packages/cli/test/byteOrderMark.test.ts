/**
 * Notepad, PowerShell and Excel put a byte order mark in front of what they save. It never reaches a recipient.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { folder } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const mark = "\uFEFF"
const message = "From: a@x.example\r\nTo: b@x.example\r\nSubject: s\r\n\r\nhi {{name}}\r\n"
const line = '{"from":"a@x.example","to":"b@x.example","subject":"s","text":"hi","data":{"name":"Bo"}}\n'
const table = "email,name\nb@x.example,Bo\n"
const who = ["--from", "a@x.example", "--subject", "s"]

describe("a byte order mark", () => {
  it.live("in an input, a template or a text is not part of the mail", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const file = (name: string, text: string) => dir.write(name, text)
      const csv = ["-i", file("in.csv", mark + table)]
      const runs: ReadonlyArray<readonly [args: ReadonlyArray<string>, stdin?: string]> = [
        [["-i", file("a.eml", mark + message)]],
        [["-i", file("b.eml", `${mark}${mark}From a Mon Jan 1\n${message}`)]],
        [["-i", "-", "--format", "eml"], mark + message],
        [["-i", file("in.ndjson", mark + line)]],
        [["-i", file("two.ndjson", mark + mark + line)]],
        [["-i", "-"], mark + line],
        [[...csv, ...who, "-t", file("t.html", `${mark}<p>hi {{name}}</p>`)]],
        [[...csv, ...who, "-t", file("t.txt", `${mark}hi {{name}}`)]],
        [[...csv, "-t", file("t.eml", mark + message)]],
        [[...csv, "-t", file("t.json", `${mark}{"from":"a@x.example","subject":"s","text":"hi"}`)]],
        [[...csv, ...who, "--text-file", file("x.txt", `${mark}hi`)]],
        [[...csv, ...who, "--html-file", file("x.html", `${mark}<b>hi</b>`)]]
      ]
      for (const [args, stdin] of runs) {
        const { status, stderr } = yield* mailrace(
          ["send", "--dry-run", "--preview", "1", "--preview-dir", dir.path("seen"), ...args],
          { stdin }
        )
        assert.strictEqual(status, 0, `${args.join(" ")}: ${stderr}`)
        const sent = dir.read("seen/1.eml")
        assert.match(sent, /^(?:[\x21-\x39\x3b-\x7e]+: .*\r\n(?:[ \t].*\r\n)*)+\r\n/, args.join(" "))
        assert.match(sent, /^From: a@x\.example\r$/m, args.join(" "))
        assert.notMatch(sent, /\uFEFF|=EF=BB=BF|77u/, args.join(" "))
      }
    })
  )

  it.live("of files in a folder is taken off each, and of a list of addresses too", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("1.eml", mark + message)
      dir.write("2.eml", mark + message.replace("b@", "c@"))
      const list = yield* folder
      const suppressed = list.write("gone.txt", `${mark}c@x.example\n`)
      const args = ["-i", dir.path(""), "--preview", "5", "--preview-dir", list.path("seen"), "--suppress", suppressed]
      const { status, stderr } = yield* mailrace(["send", "--dry-run", ...args])
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(readdirSync(list.path("seen")), ["1.eml"])
      assert.isTrue(readFileSync(list.path("seen/1.eml")).every((byte) => byte < 128))
    })
  )

  it.live(
    "of UTF-16 is reported before the first mail, with the command that converts the file; texts and lists are read",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        const swapped = (text: string) => Buffer.from(text, "utf16le").swap16()
        for (const encode of [
          (text: string) => Buffer.from(mark + text, "utf16le"),
          (text: string) => Buffer.from(text, "utf16le"),
          (text: string) => swapped(mark + text),
          swapped
        ]) {
          const file = (name: string, text: string) => dir.write(name, encode(text))
          const plain = dir.write("plain.csv", table)
          for (const args of [
            ["-i", file("in.ndjson", line)],
            ["-i", file("in.csv", table), ...who, "--text-file", dir.write("ok.txt", "hi")],
            ["-i", plain, ...who, "-t", file("t.html", "<p>hi</p>")],
            ["-i", plain, ...who, "--text-file", file("x.txt", "hi")],
            [
              "-i",
              plain,
              ...who,
              "--text-file",
              dir.write("ok.txt", "hi"),
              "--suppress",
              file("s.txt", "c@x.example\n")
            ]
          ]) {
            const { status, stderr } = yield* mailrace(["send", "--dry-run", ...args])
            assert.deepStrictEqual([status, stderr], [0, ""], args.join(" "))
          }
          for (const args of [
            ["-i", file("a.eml", message)],
            ["-i", plain, "-t", file("t.eml", message)]
          ]) {
            const { status, stderr } = yield* mailrace(["send", "--dry-run", ...args])
            assert.strictEqual(status, 2, `${args.join(" ")}: ${stderr}`)
            assert.include(stderr, "UTF-16", args.join(" "))
            assert.include(stderr, "iconv -f utf-16 -t utf-8", args.join(" "))
          }
        }
      })
  )
})
