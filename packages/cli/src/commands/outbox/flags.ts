/**
 * Flags that the outbox's commands have in common: where the outbox is, and which mails are meant.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { atLeast, optional, path } from "../flags.ts"

/** Where the outbox is. */
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
        "An outbox in PostgreSQL in its place, as postgres://user@host/database. Better: MAILRACE_OUTBOX_POSTGRES in the environment, which no one else sees"
      )
    )
  )
}

/** Who may read and write a file that is made. */
export const mode = optional(
  Flag.String("mode").pipe(
    Flag.withMetavar("MODE"),
    Flag.withDescription(
      "Permissions of a new outbox file and what lies beside it, whatever the umask: 0660 for several users of a group. One that is there keeps its own. Default: 0600"
    )
  )
)

/** Which mails are meant; all conditions hold together. */
export const selection = {
  state: Flag.Literals("state", ["due", "claimed", "accepted", "rejected", "expired", "dead", "cancelled"]).pipe(
    Flag.withDescription("Only mails in this state; may be repeated"),
    Flag.atLeast(0)
  ),
  lane: optional(
    Flag.String("lane").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only mails of this lane, which is the recipient's domain unless named otherwise")
    )
  ),
  tenant: optional(
    Flag.String("tenant").pipe(Flag.withMetavar("NAME"), Flag.withDescription("Only this tenant's mails"))
  ),
  recipient: optional(
    Flag.String("recipient").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "Only mails whose first recipient this is, letter for letter. There is no index of recipients"
      )
    )
  ),
  since: optional(
    Flag.String("since").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("Only mails enqueued since then, as 1h, 2d or 2026-08-01T09:00")
    )
  ),
  until: optional(
    Flag.String("until").pipe(Flag.withMetavar("TIME"), Flag.withDescription("Only mails enqueued before then"))
  ),
  limit: optional(atLeast("limit", 1).pipe(Flag.withDescription("So many mails at most")))
}

/** Mails by their ids. */
export const ids = Argument.String("id").pipe(
  Argument.withDescription("Mails by their ids, as list shows them"),
  Argument.variadic()
)

/** Prints data for programs. */
export const json = (what: string) => Flag.Boolean("json").pipe(Flag.withDescription(what), Flag.withDefault(false))

/** Does it without asking. */
export const yes = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Do it without asking; needed where nobody can be asked"),
  Flag.withDefault(false)
)

/** Every mail, when no other condition is given. */
export const all = Flag.Boolean("all").pipe(
  Flag.withDescription("Every mail that this can be done to; without it, ids or a condition are needed"),
  Flag.withDefault(false)
)

/** Lanes by their names. */
export const lanes = Argument.String("lane").pipe(
  Argument.withDescription("Lanes by their names, as stats shows them: domains, unless they were named otherwise"),
  Argument.atLeast(1)
)
