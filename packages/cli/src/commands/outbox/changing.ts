/**
 * What the commands that change mails have in common: ids or conditions, a yes, and how they run.
 */
import * as Effect from "effect/Effect"
import type { Values } from "../flags.ts"
import { all, choice, ids, json, place, yes } from "./flags.ts"

/** Ids or conditions, and a yes. */
export const changing = {
  id: ids,
  ...place,
  ...choice,
  all,
  yes,
  json: json("Print how many were chosen and changed as JSON")
}

/** What the flags say. */
export type ChangeFlags = Values<Omit<typeof changing, "id">> & {
  readonly id: ReadonlyArray<string>
  /** Mails scheduled for later as well; `retry` alone has it. */
  readonly scheduled?: boolean | undefined
}

/** Runs what is to be done. */
export const change = (deed: "retry" | "cancel" | "purge", values: ChangeFlags) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/change.ts")),
    (program) => program.run(program[deed], values)
  )
