import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Child from "./support/child.ts"
import * as RawRelay from "./support/rawRelay.ts"

interface Output {
  readonly accepted: number
  readonly peakBytes: number
}

/**
 * As the command runs: without limits V8 lets garbage grow as long as the machine has memory, and says nothing of what is
 * held. What outgrew these would be seen, or end the process.
 */
const heap = ["--max-semi-space-size=16", "--max-old-space-size=512"]

/** Sends from a process of its own, whose memory holds nothing of the test's. */
const sendMany = (port: number, count: number) =>
  Effect.map(Child.run("sendMany.ts", [port, count], heap), (printed): Output => JSON.parse(printed))

describe("memory", () => {
  it.live(
    "does not grow with the length of the source",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ mailbox: { type: "discard" } })
        const count = 200_000
        const { accepted, peakBytes } = yield* sendMany(server.port, count)
        assert.strictEqual(accepted, count)
        assert.strictEqual(server.stats.messages, count)
        assert.isBelow(peakBytes, 200 * 1024 * 1024)
      }),
    60_000
  )

  const longReply = (code: number) => {
    const line = (mark: string) => `${code}${mark}2.0.0 ${"x".repeat(3990)}\r\n`
    return Buffer.from(line("-").repeat(98) + line(" "))
  }

  /** A relay that answers each RCPT, and the content, in 99 lines of 4,000 bytes; with PIPELINING, if it is offered. */
  const verbose = (extension: string) => {
    const [yes, content] = [longReply(250), longReply(250)]
    return RawRelay.make((socket) => {
      let isContent = false
      let rest = ""
      socket.write("220 verbose\r\n")
      socket.on("data", (bytes) => {
        const lines = (rest + bytes.toString("latin1")).split("\r\n")
        rest = lines.pop()!
        for (const line of lines) {
          if (isContent) {
            if (line !== ".") continue
            isContent = false
            socket.write(content)
          } else if (line.startsWith("EHLO")) socket.write(`250-verbose\r\n250 ${extension}\r\n`)
          else if (line.startsWith("RCPT")) socket.write(yes)
          else if (line === "DATA") {
            isContent = true
            socket.write("354 go on\r\n")
          } else socket.write(line === "QUIT" ? "221 bye\r\n" : "250 ok\r\n")
        }
      })
    })
  }

  for (const [extension, mails, recipients] of [
    ["HELP", 1, 1_800],
    ["PIPELINING", 500, 1]
  ] as const)
    it.live(
      `holds little of long replies: ${mails} messages to ${recipients} recipients, with ${extension}`,
      () =>
        Effect.gen(function* () {
          const { port } = yield* verbose(extension)
          const tight = ["--max-semi-space-size=4", "--max-old-space-size=64"]
          const printed = JSON.parse(yield* Child.run("keepDeliveries.ts", [port, mails, recipients], tight))
          assert.deepInclude(printed, { accepted: mails, texts: mails * (recipients + 1) })
          assert.isAtMost(printed.longest, 512)
        }),
      60_000
    )
})
