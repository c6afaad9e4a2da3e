/**
 * A page of `--report-html`, from a real run over a relay that says hostile things.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import { folder, mail } from "./command.ts"
import { mailrace } from "./inProcess.ts"

/** What the relay says to the recipients at gone.example; it is to be read as text. */
export const hostileReply = `</script><script>alert(1)</script><img src=x onerror=alert(2)> & "ann" <!-- \u202Ereversed`

/** Sends `accepted` messages and 3 that are refused, by the command that `args` begins. */
export const pageOf = (accepted: number, args: (input: string, db: string) => ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make({ faults: [`rcpt:550 5.1.1 ${hostileReply}:to=*@gone.example`] })
    const dir = yield* folder
    const lines = Array.from({ length: accepted + 3 }, (_, index) =>
      mail(`r${index}@${index < 3 ? "gone" : "in"}.example`)
    )
    const input = dir.write("in.ndjson", lines.join(""))
    const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
    const files = ["--report", dir.path("run.json"), "--report-html", dir.path("run.html")]
    const ended = yield* mailrace([...args(input, dir.path("q.db")), ...relay, ...files])
    const html = dir.read("run.html")
    return { ended, dir, server, html, report: JSON.parse(dir.read("run.json")), data: dataOf(html) }
  })

/** The data that the page's script reads. */
export const dataOf = (html: string) =>
  JSON.parse(/<script type="application\/json" id="run">(.*?)<\/script>/s.exec(html)![1]!) as {
    readonly report: unknown
    readonly errors: ReadonlyArray<{ readonly remedy: string }>
    readonly x: ReadonlyArray<number>
    readonly plots: ReadonlyArray<{
      readonly id: string
      readonly series: ReadonlyArray<{ readonly label: string; readonly values: ReadonlyArray<number | null> }>
    }>
  }
