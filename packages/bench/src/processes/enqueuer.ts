/**
 * The process that fills an outbox in PostgreSQL for a dispatcher in another process, so that the dispatcher's figures
 * include only dispatching: neither the garbage that enqueueing leaves behind nor the code that it compiles.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import { composedFrom } from "../contestants/relay.ts"
import type { Server } from "../internal/enqueuer.ts"
import * as Messages from "../Messages.ts"
import { serve } from "./serve.ts"

const [server, messages] = process.argv.slice(2).map((text) => JSON.parse(text)) as [Server, Messages.Options]

const mail = composedFrom(Messages.make(messages))

const runtime = ManagedRuntime.make(Outbox.layerPostgres({ ...server, database: "postgres", username: "postgres" }))

serve<{ readonly first: number; readonly count: number }>(({ count, first }) => {
  const mails = Stream.map(Stream.range(first, first + count - 1), mail)
  return runtime.runPromise(Stream.runDrain(Outbox.enqueueAll(mails)))
})
