/**
 * A process that dispatches an outbox's file, over a transport that takes everything at once, until its parent ends it. It
 * sends `ready` once it is the dispatcher.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as Effect from "effect/Effect"
import { MailTransport } from "mailrace/MailTransport"
import { takingAll } from "../internal/takingAll.ts"

const path = process.argv[2]!
process.on("disconnect", () => process.exit(0))

await Outbox.run({ sweepInterval: "1 second", onStart: () => Effect.sync(() => process.send!("ready")) }).pipe(
  Effect.provideService(MailTransport, takingAll),
  Effect.provide(Outbox.layerSqlite(path)),
  Effect.runPromise
)
