import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Template from "mailrace/Template"
import { createHash } from "node:crypto"
import { mkdirSync } from "node:fs"
import type { InputMail } from "../../src/input/Entry.ts"
import { withPaths } from "../../src/internal/mailJson.ts"
import * as Fingerprint from "../../src/enqueueing/Fingerprint.ts"
import { folder } from "../support/command.ts"

const mail = { from: "a@x.example", to: "b@y.example", subject: "s", attachments: [{ path: "a.pdf" }] }

/** A letter as it is read in a folder. */
const letterIn = (folder: string): InputMail => ({ mail: withPaths(mail, (path) => `${folder}/${path}`) })

/** As 8094cdc made it of a mail as a line says it. */
const olderOf = ({ mail }: InputMail): number =>
  createHash("sha256").update(JSON.stringify(mail)).digest().readUInt32BE(0)

describe("Fingerprint", () => {
  it("takes paths of attachments as they were written, wherever the input lies", () => {
    const made = Fingerprint.make(letterIn("/one"))
    assert.strictEqual(Fingerprint.make(letterIn("/two")), made)
    assert.notStrictEqual(Fingerprint.make({ mail: { ...mail, attachments: [{ path: "b.pdf" }] } }), made)
  })

  it("matches older ones, which took paths as they were resolved, where the input lies as it lay", () => {
    const older = olderOf(letterIn("/one"))
    const matches = (letter: InputMail) => Fingerprint.matches(older, Fingerprint.make(letter), letter)
    assert.isTrue(matches(letterIn("/one")))
    assert.isFalse(matches(letterIn("/two")))
    assert.isFalse(matches({ mail: { ...mail, subject: "another" } }))
  })

  it.live("takes a template with all that it holds, and paths in it as they were written", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const filled = Effect.fnUntraced(function* (text: string, at: string) {
        mkdirSync(dir.path(at), { recursive: true })
        dir.write(`${at}/a.txt`, "words")
        const source = { from: "a@x.example", subject: "s", text, attachments: [{ path: "a.txt" }] }
        const template = yield* Template.compile(withPaths(source, (path) => dir.path(`${at}/${path}`)))
        return Fingerprint.make({ mail: { to: "b@y.example", data: { n: "1" } }, template })
      })
      const made = yield* filled("Hi {{n}}", "one")
      assert.strictEqual(yield* filled("Hi {{n}}", "two"), made)
      assert.notStrictEqual(yield* filled("Ho {{n}}", "one"), made)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
