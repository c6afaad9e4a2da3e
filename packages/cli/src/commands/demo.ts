/**
 * `mailrace demo`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { atLeast } from "./flags.ts"

const flags = {
  messages: atLeast("messages", 1).pipe(
    Flag.withAlias("n"),
    Flag.withDescription("The number of messages. Default: 10000"),
    Flag.withDefault(10_000)
  )
}

/** Sends generated messages to a relay inside this process. */
export const demo = Command.make("demo", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../programs/demo.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Start a relay inside this process that fails now and then, and send messages to it. No mail leaves this machine."
  ),
  Command.withShortDescription("Try sending without a relay of your own"),
  Command.withExamples([
    { command: "mailrace demo", description: "10,000 messages" },
    { command: "mailrace demo --messages 100000", description: "100,000 messages" }
  ])
)
