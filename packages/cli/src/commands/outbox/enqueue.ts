/**
 * `mailrace outbox enqueue`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional } from "../flags.ts"
import { messageFlags } from "../messageFlags.ts"
import { outcomeFlags } from "../outcomeFlags.ts"
import { json, mode, location } from "./flags.ts"

const { otlp, traceSample } = outcomeFlags

const flags = {
  ...location,
  mode,
  ...messageFlags,
  idempotencyKeyField: optional(
    Flag.String("idempotency-key-field").pipe(
      Flag.withMetavar("FIELD"),
      Flag.withDescription(
        "Enqueue each mail once, named by this: id, a column of the CSV, or a field of the line's data. What is in under that name is not stored again"
      )
    )
  ),
  sendAt: optional(
    Flag.String("send-at").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("Not to be sent before, as 2026-08-01T09:00, or 2h for in two hours. Default: now")
    )
  ),
  expiresIn: optional(
    Flag.String("expires-in").pipe(
      Flag.withMetavar("SPAN"),
      Flag.withDescription("Give up so long after it is due, as 6h or 2d. Default: 5d")
    )
  ),
  priority: optional(
    Flag.Literals("priority", ["high", "normal", "bulk"]).pipe(
      Flag.withDescription("Who goes first within a lane: 16, 4 and 1 shares. Default: normal")
    )
  ),
  lane: optional(
    Flag.String("lane").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The line in which the mails wait. Default: the domain of each mail's first recipient")
    )
  ),
  tenant: optional(
    Flag.String("tenant").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Whose mails these are, where a mail does not say")
    )
  ),
  json: json("Print one JSON object for each mail that is in"),
  otlp,
  traceSample
}

/** Puts mails into the outbox. */
export const enqueue = Command.make("enqueue", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/enqueue.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Put a file of messages into the outbox; what is said to be in is on the disk. mailrace outbox run sends them. Exits with 0 when every message is in (or left out as asked), 1 when some are not, 2 when the command or its input is wrong."
  ),
  Command.withShortDescription("Put messages in, to be sent by run"),
  Command.withExamples([
    {
      command: "mailrace outbox enqueue --db outbox.db --input people.ndjson --idempotency-key-field id",
      description: "Each message once, however often this is run"
    },
    {
      command: "mailrace outbox enqueue --db outbox.db --template hello.eml --input people.csv",
      description: "A campaign: the template is stored once, and for each message who it is for and its values"
    },
    {
      command: "generate | mailrace outbox enqueue --db outbox.db --input - --send-at 2026-08-01T09:00 --priority bulk",
      description: "From a program, for later, behind what is more urgent"
    }
  ])
)
