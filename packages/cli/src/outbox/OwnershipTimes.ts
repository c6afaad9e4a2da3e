/**
 * The intervals at which dispatchers that share a PostgreSQL outbox watch each other.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { CommandError } from "../CommandError.ts"
import * as Times from "../text/Times.ts"

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

const read = (flag: string, text: string | undefined): Effect.Effect<number | undefined, CommandError> =>
  text === undefined
    ? Effect.undefined
    : Effect.fromResult(
        Result.mapError(
          Times.parseInterval(text),
          (problem) => new CommandError({ problem: `${flag}: ${problem}`, remedy: "write it as 500ms or 15s" })
        )
      )

const defaultHeartbeat = 500
