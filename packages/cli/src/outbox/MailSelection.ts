/**
 * The messages that a command's options select.
 */
import type * as OutboxEntry from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"
import type { Service } from "./OutboxLocation.ts"
import * as Times from "../text/Times.ts"

/** Conditions on messages; all of them must hold. */
export interface Options {
  readonly state: ReadonlyArray<OutboxEntry.State>
  readonly lane?: string | undefined
  readonly tenant?: string | undefined
  /** The first recipient's address. */
  readonly recipient?: string | undefined
  /** Enqueued since then: `1h`, `2d` or a date. */
  readonly since?: string | undefined
  readonly until?: string | undefined
  /** The most messages. */
  readonly limit?: number | undefined
}

/** A filter, and the most messages that it selects. */
export interface MailSelection {
  readonly filter: OutboxEntry.Filter
  readonly limit: number | undefined
  /** True without any condition: every message. */
  readonly isEverything: boolean
}

export const read = Effect.fnUntraced(function* (options: Options, ids: ReadonlyArray<string> = []) {
  const now = yield* Clock.currentTimeMillis
  const readTime = (flag: "since" | "until") => {
    const text = options[flag]
    return text === undefined
      ? Effect.succeed(undefined)
      : Effect.fromResult(
          Result.mapError(
            Times.parseTime(text, now, "ago"),
            (problem) => new CommandError({ problem: `--${flag}: ${problem}` })
          )
        )
  }
  const filter: OutboxEntry.Filter = {
    ids: ids.length === 0 ? undefined : ids,
    states: options.state.length === 0 ? undefined : options.state,
    tenant: options.tenant,
    lane: options.lane,
    recipient: options.recipient,
    since: yield* readTime("since"),
    until: yield* readTime("until")
  }
  const selection: MailSelection = {
    filter,
    limit: options.limit,
    isEverything: Object.values(filter).every((condition) => condition === undefined)
  }
  return selection
})

/** The messages of a selection. */
export const mails = (outbox: Service, { filter, limit }: MailSelection) => {
  const found = outbox.list(filter)
  return limit === undefined ? found : Stream.take(found, limit)
}

/** Fails if one of the ids does not exist. */
export const requireKnownIds = Effect.fnUntraced(function* (outbox: Service, ids: ReadonlyArray<string>) {
  if (ids.length === 0) return
  const known = new Set(yield* Stream.runCollect(Stream.map(outbox.list({ ids }), ({ id }) => id)))
  const unknown = ids.find((id) => !known.has(id))
  if (unknown !== undefined) {
    return yield* new CommandError({
      problem: `there is no message ${unknown} in ${outbox.name}`,
      remedy: "find its id with mailrace outbox list"
    })
  }
})
