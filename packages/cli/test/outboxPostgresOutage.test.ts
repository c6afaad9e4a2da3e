/**
 * `mailrace outbox --postgres` on a server that stops while a command works: whatever it was doing, the user hears what
 * happened and what to try, and never of a bug.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as PostgresServer from "../../outbox/test/support/postgresServer.ts"
import { mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const seed = process.env["OUTAGE_SEED"] ?? String(Date.now())
const rounds = Number(process.env["OUTAGE_ROUNDS"] ?? 2)

describe(`mailrace outbox --postgres, the server stopping at random points (OUTAGE_SEED=${seed})`, () => {
  it.live(
    "every command ends with a sentence and a remedy, or with its work done",
    () =>
      Effect.gen(function* () {
        const postgres = yield* PostgresServer.make
        const relay = yield* TestServer.make({ checkContent: false })
        const url = `postgres://postgres:geheim@${encodeURIComponent(postgres.host)}:${postgres.port}/postgres`
        const stdin = Array.from({ length: 40 }, (_, n) => mail(`r${n}@d${n % 4}.example`)).join("")
        const outbox = (...args: ReadonlyArray<string>) =>
          mailrace(["outbox", ...args, "--postgres", url], { stdin: args[0] === "enqueue" ? stdin : "" })
        const run = ["run", "--drain", "--progress", "none", "--relay", `smtp://127.0.0.1:${relay.port}`]
        assert.strictEqual((yield* outbox("enqueue", "-i", "-")).status, 0)
        const [first] = JSON.parse(`[${(yield* outbox("list", "--limit", "1", "--json")).stdout}]`) as [{ id: string }]
        const commands = [
          ["enqueue", "-i", "-"],
          ["stats"],
          ["list"],
          ["show", first.id],
          ["export", first.id],
          ["retry", "--all", "--yes"],
          ["pause", "d1.example"],
          ["resume", "d1.example"],
          run,
          ["cancel", "--lane", "d2.example", "--yes"],
          ["purge", "--all", "--yes"]
        ]
        for (let round = 0; round < rounds; round++) {
          for (const command of commands) {
            const isKilled = yield* Random.nextBoolean
            const moment = yield* Random.nextIntBetween(0, 60)
            const running = yield* Effect.forkChild(outbox(...command))
            yield* Effect.sleep(moment)
            yield* isKilled ? postgres.kill : postgres.stop
            yield* postgres.start
            const { status, stderr, stdout } = yield* Fiber.join(running)
            const said = `${command.join(" ")}, ${isKilled ? "killed" : "stopped"} after ${moment} ms: ${stderr}`
            assert.oneOf(status, [0, 1, 2], said)
            assert.notMatch(stderr, /a bug in mailrace|^\s+at .*[:(]|sqlite/m, said)
            assert.notInclude(stdout + stderr, "geheim", said)
            if (status === 2) assert.match(stderr, /^mailrace: .*postgres:\/\/.*\n {2}try: \S/m, said)
          }
        }
      }).pipe(Random.withSeed(seed)),
    120_000
  )
})
