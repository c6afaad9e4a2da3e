/**
 * Sends through a provider's HTTP API. Everything before the transport is the same: templates, retries, DKIM, an outbox.
 *
 *     PROVIDER_API=https://api.provider.example/messages PROVIDER_KEY=… pnpm --filter @mailrace/example-provider start
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Mailer from "mailrace/Mailer"
import * as HttpProvider from "./HttpProvider.ts"

const { PROVIDER_API: api = "http://127.0.0.1:8080/messages", PROVIDER_KEY: key = "" } = process.env

Mailer.send({ from: "app@example.org", to: "ann@example.org", subject: "Hi", text: "Over HTTP" }).pipe(
  Effect.flatMap(({ reply }) => Console.log(`accepted: ${reply.text}`)),
  Effect.catchTag("MailError", (error) => Console.error(`${error.message}; ${error.remedy}`)),
  Effect.provide(HttpProvider.layer(api, key)),
  NodeRuntime.runMain
)
