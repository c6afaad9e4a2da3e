/**
 * `mailrace outbox enqueue`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional } from "../flags.ts"
import { messageFlags } from "../messageFlags.ts"
import { outcomeFlags } from "../outcomeFlags.ts"
import { json, mode, location } from "../outboxFlags.ts"

const { otlp, traceSample } = outcomeFlags

const flags = {
  ...location,
  mode,
  ...messageFlags,
  idempotencyKeyField: optional(
    Flag.String("idempotency-key-field").pipe(
      Flag.withMetavar("FIELD"),
      Flag.withDescription(
        "Enqueue each message once, named by this field: id, a column of the CSV, or a field of the line's data. A message whose name is in already is not stored again"
      )
    )
  ),
  sendAt: optional(
    Flag.String("send-at").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "Do not send before this time, such as 2026-08-01T09:00, or 2h for in two hours. Default: now"
      )
    )
  ),
  expiresIn: optional(
    Flag.String("expires-in").pipe(
      Flag.withMetavar("SPAN"),
      Flag.withDescription("Give up this long after the message is due, such as 6h or 2d. Default: 5d")
    )
  ),
  priority: optional(
    Flag.Literals("priority", ["high", "normal", "bulk"]).pipe(
      Flag.withDescription("The share of the turns within a lane: 16, 4 or 1. Default: normal")
    )
  ),
  lane: optional(
    Flag.String("lane").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The lane in which the messages wait. Default: the domain of each message's first recipient")
    )
  ),
  tenant: optional(
    Flag.String("tenant").pipe(Flag.withMetavar("NAME"), Flag.withDescription("The tenant of messages that name none"))
  ),
  json: json("Print one JSON object for each message that is in"),
  otlp,
  traceSample
}

/** Puts messages into the outbox. */
export const enqueue = Command.make("enqueue", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/enqueue.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Put a file of messages into the outbox; a message reported as in is on the disk. mailrace outbox run sends them. The exit status is 0 if every message is in (apart from those dropped as asked), 1 if some are not, and 2 if the command or its input is wrong."
  ),
  Command.withShortDescription("Put messages in, for run to send"),
  Command.withExamples([
    {
      command: "mailrace outbox enqueue --db outbox.db --input people.ndjson --idempotency-key-field id",
      description: "Enqueue each message once, however often this is run"
    },
    {
      command: "mailrace outbox enqueue --db outbox.db --template hello.eml --input people.csv",
      description: "Enqueue a campaign: the template is stored once, and each message only as its recipients and values"
    },
    {
      command: "generate | mailrace outbox enqueue --db outbox.db --input - --send-at 2026-08-01T09:00 --priority bulk",
      description: "Enqueue a program's output for later, behind more urgent messages"
    }
  ])
)
