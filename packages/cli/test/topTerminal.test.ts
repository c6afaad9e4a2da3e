/**
 * `mailrace top` in a pseudo-terminal: its keys, and that the terminal is as it was before, however it ends.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder } from "./support/command.ts"
import { fill, using } from "./support/outboxFile.ts"
import * as PseudoTerminal from "./support/pseudoTerminal.ts"

const fullScreen = "\u001B[?1049h"
const restored = "\u001B[?7h\u001B[?25h\u001B[?1049l"

/** The other screen is left with the cursor on, and what is typed is seen again and read by lines. */
const assertRestored = ({ output, settings: [before, after] }: PseudoTerminal.Left): void => {
  assert.strictEqual(output.split(fullScreen).length, 2, "the screen is taken once")
  assert.include(output.slice(output.indexOf(fullScreen)), restored)
  assert.notMatch(output.slice(output.lastIndexOf(restored) + restored.length), /\u001B\[[?HJ]/)
  assert.match(before, /\bspeed\b.* icanon\b/)
  assert.strictEqual(after, before)
}

const watching = Effect.fnUntraced(function* (env = {}) {
  const dir = yield* folder
  const file = dir.path("o.db")
  yield* fill(file, ["a@one.example", "b@two.example", "c@two.example"])
  const terminal = yield* PseudoTerminal.start(
    ["top", "--db", file, "--interval", "200ms"],
    { columns: 60, rows: 16 },
    env
  )
  yield* terminal.shows(/> two\.example +2/)
  return { file, terminal }
})

describe.skipIf(!PseudoTerminal.isThere)("mailrace top in a terminal", () => {
  it.live("sorts, pauses and resumes lanes by keys, and quits", () =>
    Effect.gen(function* () {
      const { file, terminal } = yield* watching()
      const paused = using(file, Outbox.pausedLanes)
      yield* terminal.type("p")
      yield* terminal.shows(/two\.example: paused/)
      assert.deepStrictEqual(yield* paused, ["two.example"])
      yield* terminal.type("s")
      yield* terminal.shows(/sort \(oldest\)/)
      yield* terminal.type("ss")
      yield* terminal.shows(/sort \(name\)/)
      // The lane stays chosen; the one above it is another.
      yield* terminal.type("\u001B[A")
      yield* terminal.shows(/> one\.example/)
      yield* terminal.type("j")
      yield* terminal.shows(/> two\.example/)
      yield* terminal.type("r")
      yield* terminal.shows(/two\.example: resumed/)
      assert.deepStrictEqual(yield* paused, [])
      // Another process changes the outbox meanwhile.
      yield* fill(file, ["d@three.example"])
      yield* terminal.shows(/three\.example +1/)
      // A narrower window cuts the line of keys.
      yield* terminal.resize(30)
      yield* terminal.shows(/^q quit {2}s sort \(name\)$/m)
      yield* terminal.resize(60)
      yield* terminal.shows(/up\/down choose/)
      yield* terminal.type("q")
      const left = yield* terminal.left
      assert.strictEqual(left.status, 0)
      assertRestored(left)
    })
  )

  it.live("gives the terminal back at Ctrl-C, which is a key then", () =>
    Effect.gen(function* () {
      const { terminal } = yield* watching({ NO_COLOR: "1" })
      yield* terminal.type("\u0003")
      const left = yield* terminal.left
      assert.strictEqual(left.status, 0)
      assertRestored(left)
      assert.notMatch(left.output, /\u001B\[[\d;]*m/)
    })
  )

  it.live("gives the terminal back at SIGTERM, and when it crashes", () =>
    Effect.gen(function* () {
      const { terminal } = yield* watching()
      yield* terminal.signal("SIGTERM")
      const left = yield* terminal.left
      assert.strictEqual(left.status, 0)
      assertRestored(left)
      const crash = "process.on('SIGUSR2',()=>{throw new Error('as a bug would')})"
      const crashing = yield* watching({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(crash)}` })
      yield* crashing.terminal.signal("SIGUSR2")
      const crashed = yield* crashing.terminal.left
      assert.notStrictEqual(crashed.status, 0)
      assert.include(crashed.output.slice(crashed.output.lastIndexOf(restored)), "as a bug would")
      assertRestored(crashed)
    })
  )
})
