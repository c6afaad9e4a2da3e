/**
 * Flags and behaviour that the commands which change messages share: ids or conditions, and a confirmation.
 */
import * as Effect from "effect/Effect"
import type { Options } from "../../programs/outbox/change.ts"
import { all, ids, json, location, selection, yes } from "../outboxFlags.ts"

/** Ids or conditions, and a confirmation. */
export const changing = {
  id: ids,
  ...location,
  ...selection,
  all,
  yes,
  json: json("Print the numbers of chosen and changed messages as JSON")
}

/** Runs a change. */
export const change = (name: "retry" | "cancel" | "purge", options: Options) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/change.ts")),
    (program) => program.run(program[name], options)
  )
