/**
 * `mailrace top`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional } from "./flags.ts"
import { json, location } from "./outboxFlags.ts"

const flags = {
  urls: Argument.String("url").pipe(
    Argument.withDescription(
      "A run, by the address of its --metrics; several are added up. Default: none if an outbox is named, else http://127.0.0.1:9464"
    ),
    Argument.variadic()
  ),
  ...location,
  interval: optional(
    Flag.String("interval").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "How often to look, such as 500ms or 5s; less often where a look at a large outbox takes long. Default: 2s"
      )
    )
  ),
  sort: Flag.Literals("sort", ["waiting", "oldest", "trouble", "name"]).pipe(
    Flag.withDescription(
      "Which lanes come first: the fullest, those with the oldest message due, those that are paused or slowed down, or by name. Default: waiting"
    ),
    Flag.withDefault("waiting" as const)
  ),
  once: Flag.Boolean("once").pipe(
    Flag.withDescription("Print what is going on once, and end; so it does without a terminal"),
    Flag.withDefault(false)
  ),
  json: json("Print what is going on once as one JSON object, with every lane of the outbox")
}

/** Shows runs and their outbox. */
export const top = Command.make("top", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../programs/top.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Watch a running send or outbox run: rate, outcomes, relays, windows, circuit, lanes and errors from the run, if it was started with --metrics; lanes, states and the oldest message due from its outbox; or both. Several runs are added up, and listed one by one: the dispatchers of an outbox, or sends to the same relay. Keys: q quits, s sorts the lanes by something else, up and down choose a lane, p pauses it and r resumes it in the outbox, for every process and until it is resumed."
  ),
  Command.withShortDescription("Watch runs and their outbox"),
  Command.withExamples([
    {
      command: "mailrace top http://127.0.0.1:9464",
      description: "Watch a run that was started with --metrics 127.0.0.1:9464"
    },
    {
      command: "mailrace top --db outbox.db --sort oldest",
      description: "Watch an outbox, and pause and resume its lanes"
    },
    {
      command: "mailrace top 127.0.0.1:9464 --db outbox.db",
      description: "Watch the run and its outbox together"
    },
    {
      command: "mailrace top mail-1:9464 mail-2:9464 mail-3:9464 --postgres postgres://mail@db/mail",
      description: "Watch three dispatchers as one, and their outbox; each of them runs with --metrics-public"
    },
    {
      command: "mailrace top --db outbox.db --json | jq .outbox.oldestDueAt",
      description: "Print what is going on once, for a program"
    }
  ])
)
