/** `mailrace outbox run --config` reads its file anew at SIGHUP. */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, start } from "./support/command.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const relay = ({ port }: TestServer.TestServer["Service"], more = ""): string =>
  `[relay.r]\nurl = "smtp://127.0.0.1:${port}"\n${more}`

describe("mailrace outbox run --config and SIGHUP", () => {
  it.live("takes a changed file whole, or keeps the old one and says why", () =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.all([TestServer.make(), TestServer.make()])
      const dir = yield* folder
      const db = dir.path("q.db")
      const lane = '[lane."y.example"]\nrate = "1000/s"\n'
      const file = dir.write("m.toml", relay(one, lane))
      const running = yield* start(["outbox", "run", "--db", db, "--progress", "none", "--config", file])
      let said = ""
      running.process.stderr!.on("data", (text: string) => (said += text))
      const until = (words: string): Effect.Effect<void> =>
        Effect.callback((resume) => {
          const look = (): void => {
            if (!said.includes(words)) return
            running.process.stderr!.off("data", look)
            resume(Effect.void)
          }
          running.process.stderr!.on("data", look)
          look()
        })

      yield* OutboxFile.fill(db, ["a@x.example", "b@x.example"])
      yield* one.awaitMessages(2)

      dir.write("m.toml", relay(two, lane))
      running.process.kill("SIGHUP")
      yield* until(`${file} was read anew and holds from now on\n`)
      yield* OutboxFile.fill(db, ["c@x.example"])
      yield* two.awaitMessages(1)

      dir.write("m.toml", relay(one, "wieght = 2\n"))
      running.process.kill("SIGHUP")
      yield* until(
        `${file} was not taken, what it said before still holds: ${file}, line 3, column 1: relay.r.wieght is not a setting; write weight if that is meant\n`
      )
      dir.write("m.toml", relay(one, '[lane."x.example"]\nrate = "1/d"\n'))
      running.process.kill("SIGHUP")
      yield* until(
        "the limits of lanes or tenants are not those that this run began with; restart it to change these limits\n"
      )
      yield* OutboxFile.fill(db, ["d@x.example"])
      yield* two.awaitMessages(2)

      running.process.kill("SIGINT")
      const { status, stdout } = yield* running.ended
      assert.strictEqual(status, 0)
      assert.match(stdout, /^4 of 4 messages accepted in /)
      // Connections to both relays are counted; two messages at once may take two.
      const opened = one.stats.connections + two.stats.connections
      assert.match(stdout, new RegExp(`connections +${opened} opened`))
      assert.strictEqual(one.messages.length, 2)
    })
  )
})
