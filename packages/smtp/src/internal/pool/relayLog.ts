/**
 * The log's lines about a relay: one for each change that concerns all its messages, and limits once a minute.
 */
import * as LogEvent from "mailrace/LogEvent"
import type * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as Effect from "effect/Effect"
import type { SessionLimit } from "../session/sessionLimit.ts"

/** A limit is logged again after this many milliseconds. */
const againMs = 60_000

/** Remembers what was logged. */
export class RelayLog {
  private readonly relay: string
  private hasOpened = false
  private isDown = false
  private heldBackAt: number | undefined
  private readonly toldAt = new Map<SessionLimit, number>()

  constructor(relay: string) {
    this.relay = relay
  }

  /** A session has opened. */
  readonly opened: Effect.Effect<void> = Effect.suspend(() => {
    this.hasOpened = true
    if (!this.isDown) return Effect.void
    this.isDown = false
    return LogEvent.info("relay.back", `${this.relay} takes sessions again`, { relay: this.relay })
  })

  /**
   * No session could be opened, and none is open. Whoever opens the first one learns that by its error, and hears of it here
   * only once sessions have opened before.
   */
  unreachable({ reason, remedy }: MailError.MailError): Effect.Effect<void> {
    if (this.isDown || !this.hasOpened) return Effect.void
    this.isDown = true
    return LogEvent.warning("relay.down", `${this.relay} takes no sessions any more: ${reason.message}; ${remedy}`, {
      relay: this.relay,
      reason: reason._tag
    })
  }

  /** The relay tells a limit. */
  throttled(limit: SessionLimit, now: number, reply?: Reply.Reply): Effect.Effect<void> {
    const at = this.toldAt.get(limit)
    if (at !== undefined && now - at < againMs) return Effect.void
    this.toldAt.set(limit, now)
    const words = reply === undefined ? "" : `: "${Reply.format(reply)}"`
    return LogEvent.info(
      "relay.throttled",
      limit === "connections"
        ? `${this.relay} allows no more connections${words}`
        : `${this.relay} allows no more messages on a session${words}`,
      { relay: this.relay, limit }
    )
  }

  /** `connectionRate` lets no connection be opened for so long, and messages wait for one. */
  heldBack(now: number, holdMs: number): Effect.Effect<void> {
    if (this.heldBackAt !== undefined && now - this.heldBackAt < againMs) return Effect.void
    this.heldBackAt = now
    return LogEvent.info(
      "relay.connections_held",
      `the limit on new connections to ${this.relay} is used up for ${Math.ceil(holdMs / 1000)} s; messages wait for it or for a connection that is open`,
      { relay: this.relay, holdMs: Math.ceil(holdMs) }
    )
  }

  /** Pipelining goes no further than the envelope any more. */
  steppedDown(why: string): Effect.Effect<void> {
    return LogEvent.warning("relay.stepped_down", `${this.relay} is sent to in mode envelope from now on: ${why}`, {
      relay: this.relay,
      mode: "envelope"
    })
  }
}
