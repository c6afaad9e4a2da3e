/**
 * Flags that the outbox's commands share: the outbox, and the messages to act on.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { atLeast, optional, path } from "./flags.ts"

/** The flags for the outbox's location. */
export const location = {
  db: optional(
    path("db").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The outbox's file (SQLite). Default: MAILRACE_OUTBOX from the environment")
    )
  ),
  postgres: optional(
    Flag.Redacted("postgres").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "An outbox in PostgreSQL instead, as postgres://user@host/database. Prefer MAILRACE_OUTBOX_POSTGRES in the environment, which other users cannot see"
      )
    )
  )
}

/** The permissions of a new file. */
export const mode = optional(
  Flag.String("mode").pipe(
    Flag.withMetavar("MODE"),
    Flag.withDescription(
      "Permissions of a new outbox file and the files beside it, whatever the umask: 0660 shares it with a group. An existing file keeps its own. Default: 0600"
    )
  )
)

/** The messages to act on; all conditions must hold. */
export const selection = {
  state: Flag.Literals("state", ["due", "claimed", "accepted", "rejected", "expired", "dead", "cancelled"]).pipe(
    Flag.withDescription("Only messages in this state; may be repeated"),
    Flag.atLeast(0)
  ),
  lane: optional(
    Flag.String("lane").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only messages of this lane: the recipient's domain unless it was named")
    )
  ),
  tenant: optional(
    Flag.String("tenant").pipe(Flag.withMetavar("NAME"), Flag.withDescription("Only this tenant's messages"))
  ),
  recipient: optional(
    Flag.String("recipient").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "Only messages whose first recipient is exactly this address. There is no index of recipients"
      )
    )
  ),
  since: optional(
    Flag.String("since").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("Only messages enqueued since then, such as 1h, 2d or 2026-08-01T09:00")
    )
  ),
  until: optional(
    Flag.String("until").pipe(Flag.withMetavar("TIME"), Flag.withDescription("Only messages enqueued before then"))
  ),
  limit: optional(atLeast("limit", 1).pipe(Flag.withDescription("At most this many messages")))
}

/** Messages by their ids. */
export const ids = Argument.String("id").pipe(
  Argument.withDescription("Messages by their ids, as list shows them"),
  Argument.variadic()
)

/** Prints data for programs. */
export const json = (what: string) => Flag.Boolean("json").pipe(Flag.withDescription(what), Flag.withDefault(false))

/** Acts without asking. */
export const yes = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Do not ask for confirmation; required without a terminal"),
  Flag.withDefault(false)
)

/** Every message, without another condition. */
export const all = Flag.Boolean("all").pipe(
  Flag.withDescription("Act on every message that the command applies to; otherwise ids or a condition are required"),
  Flag.withDefault(false)
)

/** Lanes by their names. */
export const lanes = Argument.String("lane").pipe(
  Argument.withDescription("Lanes by their names, as stats shows them: domains unless they were named"),
  Argument.atLeast(1)
)
