/**
 * A digest by Cron. The issues are made up here; a real program would ask a database.
 *
 *     pnpm mailrace sink                                    # in one terminal
 *     pnpm --filter @mailrace/example-digest start          # in another; waits until seven in the morning
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Digest from "./Digest.ts"

const issues = Stream.make(
  { reader: "ann@example.org", headlines: ["The library opens again", "Rain on Friday"] },
  { reader: "bob@example.org", headlines: [] }
)

Digest.everyMorning(issues).pipe(
  Effect.provide(SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")),
  NodeRuntime.runMain
)
