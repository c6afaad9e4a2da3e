import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

describe("mailrace outbox list", () => {
  it.live("shows messages in a paused lane as paused and not as due now", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = ["--db", dir.path("o.db")]
      const input = dir.write("in.ndjson", mail("a@one.example") + mail("b@two.example"))
      yield* mailrace(["outbox", "enqueue", ...db, "-i", input])
      yield* mailrace(["outbox", "pause", ...db, "one.example"])
      const { stdout } = yield* mailrace(["outbox", "list", ...db])
      const rows = stdout.split("\n")
      assert.match(
        rows.find((row) => row.includes("one.example"))!,
        / paused\b/
      )
      assert.match(
        rows.find((row) => row.includes("two.example"))!,
        / now\b/
      )
    })
  )
})
