/**
 * A program that is bundled into one file has an outbox in SQLite as well.
 */
import { assert, describe, it } from "@effect/vitest"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const here = dirname(fileURLToPath(import.meta.url))

const program = `
import * as Outbox from "../src/Outbox.ts"
import { MailTransport } from "mailrace/MailTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const sent = []
const transport = Layer.succeed(MailTransport, {
  send: (message) => Effect.sync(() => {
    sent.push(message.envelope.to[0])
    return { reply: { code: 250, text: "ok" }, relay: "r:25", recipients: [{ address: message.envelope.to[0], outcome: "accepted" }] }
  })
})
const main = Effect.gen(function* () {
  const outbox = yield* Outbox.Outbox
  yield* Effect.forEach(Array.from({ length: 50 }, (_, n) => n), (n) =>
    outbox.enqueue({ from: "n@x.example", to: \`r\${n}@x.example\`, subject: "s", text: "t" }, { idempotencyKey: String(n) }),
    { concurrency: "unbounded", discard: true })
  yield* outbox.run({ until: () => "idle" })
  const { states } = yield* outbox.stats
  console.log(JSON.stringify({ sent: sent.length, accepted: states.accepted }))
})
Effect.runPromise(main.pipe(Effect.provide(Layer.merge(Outbox.layerSqlite(process.argv[2]), transport)))).catch((error) => {
  console.error(String(error))
  process.exit(1)
})
`

describe("an outbox in a bundle", () => {
  it.each(["esm", "cjs"] as const)("stores and sends, as %s", async (format) => {
    const dir = mkdtempSync(join(tmpdir(), "mailrace-bundle-"))
    try {
      const outfile = join(dir, format === "esm" ? "app.mjs" : "app.cjs")
      await build({
        stdin: { contents: program, resolveDir: here, loader: "ts" },
        bundle: true,
        platform: "node",
        format,
        outfile,
        logLevel: "silent",
        ...(format === "esm"
          ? {
              banner: {
                js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url)'
              }
            }
          : {})
      })
      // Another program's worker beside the bundle is not ours.
      writeFileSync(join(dir, "worker.js"), "throw new Error('not for the outbox')")
      const run = () => promisify(execFile)(process.execPath, [outfile, join(dir, "o.db")], { cwd: dir })
      assert.deepInclude(JSON.parse((await run()).stdout), { sent: 50, accepted: 50 })
      assert.deepInclude(JSON.parse((await run()).stdout), { sent: 0, accepted: 50 })
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it("needs nothing from other platforms that only Node's module has", () => {
    const source = readFileSync(join(here, "../src/internal/sqlite/thread.ts"), "utf8")
    assert.notMatch(source, /import \{[^}]*getCompileCacheDir/)
  })
})
