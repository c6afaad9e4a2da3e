import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Lab from "../src/Lab.ts"

const pace = { quick: true, rounds: 2, seconds: 0.02, warmUpSeconds: 0.01, longestSeconds: 0.1 }

describe("Lab", () => {
  it.live(
    "gives a row of figures for contestants whose messages arrived, and none for one that cannot run",
    () => {
      const told: Array<string> = []
      return Effect.gen(function* () {
        const lab = yield* Lab.Lab
        const rows = yield* lab.race({
          workload: "w",
          variant: "v",
          rttMs: 2,
          contenders: [
            { contestant: "mailrace-overlap", connections: 2, messages: 12 },
            { contestant: "mailrace-speculative", connections: 2, messages: 24 },
            { contestant: "nodemailer-pool", connections: 2, messages: 6, content: "composed" },
            { contestant: "mailrace-envelope", connections: 2, messages: 6, isAgainst: true },
            { contestant: "nobody" }
          ]
        })
        assert.deepStrictEqual(
          rows.map(({ connections, contestant, messages, rttMs, runs, verified }) => ({
            connections,
            contestant,
            messages,
            rttMs,
            runs: runs.length,
            verified
          })),
          [
            { connections: 2, contestant: "mailrace-overlap", messages: 12, rttMs: 2, runs: 2, verified: "digest" },
            { connections: 2, contestant: "mailrace-speculative", messages: 24, rttMs: 2, runs: 2, verified: "digest" },
            { connections: 2, contestant: "nodemailer-pool", messages: 6, rttMs: 2, runs: 2, verified: "digest" },
            {
              connections: 2,
              contestant: "mailrace-envelope@abc1234",
              messages: 6,
              rttMs: 2,
              runs: 2,
              verified: "digest"
            }
          ]
        )
        for (const row of rows) {
          assert.isAbove(row.ratePerSecond, 0)
          assert.isAbove(row.cpuMicrosPerMessage!, 0)
          assert.isAbove(row.p99Ms!, 0)
          assert.isAbove(row.messageBytes, 900)
        }
        assert.strictEqual(lab.failures.length, 1)
        assert.include(lab.failures[0]!.problem, 'no contestant "nobody"')
        // A B A B: the second runs before the first runs again.
        assert.deepStrictEqual(
          told.flatMap((text) => /(mailrace-overlap|nodemailer-pool) \d/.exec(text)?.[1] ?? []),
          ["mailrace-overlap", "nodemailer-pool", "mailrace-overlap", "nodemailer-pool"]
        )
      }).pipe(
        Effect.provide(
          Lab.layer({
            pace,
            // The other commit is this tree.
            against: { commit: "abc1234", source: new URL("../src/", import.meta.url) },
            onProgress: (text) =>
              Effect.sync(() => {
                told.push(text)
              })
          })
        )
      )
    },
    60_000
  )
})
