/**
 * Who may read an outbox's file, and what lies beside it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, existsSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MailTransport } from "mailrace/MailTransport"
import * as Outbox from "../src/Outbox.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "mailrace-mode-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const parts = ["", "-wal", "-shm", "-turn", "-dispatcher"]

const transport = MailTransport.of({
  send: ({ envelope: { to } }) =>
    Effect.succeed({
      reply: { code: 250, enhanced: undefined, text: "ok" },
      recipients: [{ address: to[0]!, outcome: "accepted" as const }],
      relay: "mx.example:25"
    })
})

/** The permissions of what is there, while the outbox is open and sends. */
const modes = (path: string, options?: { readonly mode: number }) =>
  Effect.gen(function* () {
    yield* Outbox.enqueue({ from: "a@x.example", to: "b@x.example", subject: "s", text: "t" })
    yield* Effect.provideService(Outbox.run({ until: "idle", poll: "20 millis" }), MailTransport, transport)
    return parts.map((part) => (existsSync(path + part) ? (statSync(path + part).mode & 0o777).toString(8) : undefined))
  }).pipe(Effect.provide(Outbox.layerSqlite(path, options)))

describe("an outbox's file", () => {
  it.live("is readable for its owner alone, and so are its companion files", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "o.db")
      assert.deepStrictEqual(
        yield* modes(path),
        parts.map(() => "600")
      )
    })
  )

  it.live("is shared with a group on request, whatever the umask is", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "o.db")
      assert.deepStrictEqual(
        yield* modes(path, { mode: 0o660 }),
        parts.map(() => "660")
      )
    })
  )

  it.live("keeps its permissions, which its companion files get too", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "o.db")
      yield* Effect.scoped(Effect.provide(Effect.void, Outbox.layerSqlite(path)))
      chmodSync(path, 0o640)
      assert.deepStrictEqual(
        yield* modes(path, { mode: 0o600 }),
        parts.map(() => "640")
      )
    })
  )

  it.live("gets them through a link to a missing file, too", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      symlinkSync(join(dir, "real.db"), join(dir, "link.db"))
      yield* Effect.scoped(Effect.provide(Effect.void, Outbox.layerSqlite(join(dir, "link.db"))))
      assert.strictEqual(statSync(join(dir, "real.db")).mode & 0o777, 0o600)
    })
  )
})
