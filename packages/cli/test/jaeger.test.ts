/**
 * The traces of `mailrace send` in a real Jaeger, by the queries of the page on tracing.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import * as Jaeger from "./support/jaeger.ts"

describe("mailrace send --otlp, with a Jaeger (MAILRACE_JAEGER names the binary)", () => {
  it.live.skipIf(Jaeger.binary === undefined)(
    "shows the tree of a message, and finds messages by what the page says",
    () =>
      Effect.gen(function* () {
        const jaeger = yield* Jaeger.make
        const dir = yield* folder
        const server = yield* TestServer.make({
          users: { ann: "secret" },
          requireAuth: true,
          faults: ["rcpt:550 5.1.1 no such user:to=gone@*", "rcpt:450 4.2.1 come back:first=1:to=late@*"]
        })
        const relay = `smtp://ann@127.0.0.1:${server.port}?tls=off&allowInsecureAuth=true`
        const input = dir.write(
          "in.ndjson",
          mail("bob@x.example", { id: "order-7", tenant: "acme" }) + mail("gone@x.example") + mail("late@x.example")
        )
        const { status, stderr } = yield* mailrace(
          ["send", "-r", relay, "-i", input, "--otlp", jaeger.url, "--deliveries", dir.path("out.ndjson")],
          { env: { MAILRACE_PASSWORD: "secret" } }
        )
        assert.strictEqual(status, 1, stderr)
        const lines = dir.lines("out.ndjson")
        const lineOf = (to: string) => lines.find(({ recipients }) => JSON.stringify(recipients).includes(to))!
        const traceOf = (to: string) => String(lineOf(to)["traceId"])

        const children = (spans: ReadonlyArray<Jaeger.Span>, parent: Jaeger.Span) =>
          spans.filter(({ references }) =>
            references.some(({ refType, spanID }) => refType === "CHILD_OF" && spanID === parent.spanID)
          )
        const named = (spans: ReadonlyArray<Jaeger.Span>, name: string) =>
          spans.find(({ operationName }) => operationName === name)!
        const tagsOf = ({ tags }: Jaeger.Span) => Object.fromEntries(tags.map(({ key, value }) => [key, value]))

        const spans = yield* jaeger.trace(traceOf("bob@"), "mailrace.send")
        const root = named(spans, "mailrace.send")
        assert.deepInclude(tagsOf(root), { "mailrace.id": "order-7", "mailrace.outcome": "accepted" })
        const transactions = children(spans, root)
        assert.deepStrictEqual(
          transactions.map(({ operationName }) => operationName),
          ["smtp.transaction"]
        )
        const link = transactions[0]!.references.find(({ refType }) => refType === "FOLLOWS_FROM")!
        const connection = yield* jaeger.trace(link.traceID, "smtp.connect")
        const connect = named(connection, "smtp.connect")
        assert.strictEqual(connect.spanID, link.spanID)
        assert.includeMembers(
          children(connection, connect).map(({ operationName }) => operationName),
          ["tcp", "greeting", "ehlo", "auth"]
        )
        const late = yield* jaeger.trace(traceOf("late@"), "mailrace.send")
        assert.lengthOf(children(late, named(late, "mailrace.send")), 2)
        yield* jaeger.trace(traceOf("gone@"), "mailrace.send")

        for (const [operation, tags, to] of [
          ["mailrace.send", { "mailrace.id": "order-7" }, "bob@"],
          ["mailrace.send", { "messaging.message.id": String(lineOf("bob@")["messageId"]) }, "bob@"],
          ["mailrace.send", { "mailrace.tenant": "acme" }, "bob@"],
          ["mailrace.send", { "mailrace.attempts": "2" }, "late@"],
          ["mailrace.send", { error: "true" }, "gone@"],
          ["mailrace.send", { "error.type": "RecipientsRejected", error: "true" }, "gone@"],
          ["mailrace.send", { "mailrace.relay": `127.0.0.1:${server.port}`, error: "true" }, "gone@"],
          ["smtp.transaction", { "smtp.reply.enhanced_code": "5.1.1" }, "gone@"]
        ] as const)
          assert.deepStrictEqual(yield* jaeger.search(operation, tags), [traceOf(to)], JSON.stringify(tags))
        // The failed attempt of a message that was accepted later is an event of the same span.
        assert.sameMembers(yield* jaeger.search("mailrace.send", { "error.type": "RecipientsRejected" }), [
          traceOf("gone@"),
          traceOf("late@")
        ])
      }),
    60_000
  )
})
