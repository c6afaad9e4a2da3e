/**
 * The intervals at which dispatchers that share a PostgreSQL outbox watch each other.
 */
import * as Effect from "effect/Effect"
import { CommandError } from "../CommandError.ts"

/** Lengths of time such as `500ms` or `15s`. Default to the outbox's own. */
export interface Options {
  readonly heartbeat?: string | undefined
  readonly lease?: string | undefined
}

/** The intervals in milliseconds. */
export interface OwnershipTimes {
  readonly heartbeat: number | undefined
  readonly lease: number | undefined
}

/** Reads the options. */
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

/** Fails if an interval is given for an outbox in a file. */
export const withoutDatabase = Effect.fnUntraced(function* ({ heartbeat, lease }: Options) {
  const given = heartbeat !== undefined ? "--heartbeat" : lease !== undefined ? "--lease" : undefined
  if (given === undefined) return
  return yield* new CommandError({
    problem: `${given} is for an outbox in PostgreSQL; only one process at a time sends from a file`,
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
        new CommandError({ problem: `${flag}: "${text}" is not a length of time`, remedy: "write it as 500ms or 15s" })
      )
}

const unitMs = { ms: 1, s: 1000, m: 60_000 }

const defaultHeartbeat = 1000
