/**
 * How closely dispatchers that share a PostgreSQL outbox watch each other, as the flags say.
 */
import * as Effect from "effect/Effect"
import { CommandError } from "../CommandError.ts"

/** How closely, as a length of time like `500ms` or `15s`; the outbox's own defaults hold for what is not given. */
export interface Options {
  readonly heartbeat?: string | undefined
  readonly lease?: string | undefined
}

/** What the outbox is told, in milliseconds. */
export interface OwnershipTimes {
  readonly heartbeat: number | undefined
  readonly lease: number | undefined
}

/** Reads the flags; the outbox's own defaults hold for those that are not given. */
export const parse = Effect.fnUntraced(function* (options: Options) {
  const times: OwnershipTimes = {
    heartbeat: yield* read("--heartbeat", options.heartbeat),
    lease: yield* read("--lease", options.lease)
  }
  const shortest = 3 * (times.heartbeat ?? defaultHeartbeat)
  if (times.lease !== undefined && times.lease < shortest) {
    return yield* new CommandError({
      problem: `--lease ${options.lease} is shorter than three heartbeats, which are ${shortest / 1000} s`,
      remedy: "give a longer --lease, or a shorter --heartbeat"
    })
  }
  return times
})

/** Fails when a flag is given and the outbox is a file. */
export const withoutDatabase = Effect.fnUntraced(function* ({ heartbeat, lease }: Options) {
  const given = heartbeat !== undefined ? "--heartbeat" : lease !== undefined ? "--lease" : undefined
  if (given === undefined) return
  return yield* new CommandError({
    problem: `${given} is for an outbox in PostgreSQL; from a file one process at a time sends`,
    remedy: `leave out ${given}, or name a database with --postgres`
  })
})

const read = (flag: string, text: string | undefined): Effect.Effect<number | undefined, CommandError> => {
  if (text === undefined) return Effect.undefined
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text.trim())
  const ms = parts === null ? 0 : Number(parts[1]) * unitMs[parts[2] as keyof typeof unitMs]
  return ms > 0
    ? Effect.succeed(ms)
    : Effect.fail(
        new CommandError({ problem: `${flag}: "${text}" is no length of time`, remedy: "write it like 500ms or 15s" })
      )
}

const unitMs = { ms: 1, s: 1000, m: 60_000 }

const defaultHeartbeat = 1000
