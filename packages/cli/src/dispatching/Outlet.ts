/**
 * The way out of a run of the dispatcher: a transport that another one can replace while messages are in flight.
 *
 * The messages that were begun end at the old transport, which closes after the last of them; later ones go by the new one.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { MailTransport } from "mailrace/MailTransport"
import { type ConnectionStats, sumOf } from "../sending/Meter.ts"

type Transport = MailTransport["Service"]

/** A transport at work. */
export interface Way {
  readonly transport: Transport
  readonly connections: ConnectionStats
}

interface Generation extends Way {
  readonly scope: Scope.Closeable
  inFlight: number
}

/** A transport over the one that is current, of which there must be one before the first message. */
export class Outlet {
  /** The connections of all transports that there were. */
  readonly connections: ConnectionStats = {
    stats: Effect.suspend(() => sumOf(this.all).stats),
    limits: Effect.suspend(() => sumOf(this.all).limits),
    reconsider: Effect.suspend(() => sumOf(this.all).reconsider),
    // Those that a configuration does not name any more are of no interest now.
    relays: Effect.suspend(() => this.current?.connections.relays ?? Effect.succeed([]))
  }
  private readonly all: Array<ConnectionStats> = []
  private current: Generation | undefined

  /** Makes a transport the current one. If that fails, the old one stays. */
  replace<W extends Way, E, R>(make: Effect.Effect<W, E, R>): Effect.Effect<W, E, Exclude<R, Scope.Scope>> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const scope = yield* Scope.make()
        const way = yield* Effect.onError(restore(Scope.provide(make, scope)), (cause) =>
          Scope.close(scope, Exit.failCause(cause))
        )
        const old = this.current
        this.current = { ...way, scope, inFlight: 0 }
        this.all.push(way.connections)
        if (old !== undefined) yield* this.closeWhenIdle(old)
        return way
      })
    )
  }

  /** Sends each message by the transport that is current then. */
  readonly transport: Transport = MailTransport.of({
    admission: Effect.suspend(() => this.current!.transport.admission ?? Effect.void),
    send: (message, options) =>
      Effect.suspend(() => {
        const generation = this.current!
        generation.inFlight++
        return Effect.ensuring(
          generation.transport.send(message, options),
          Effect.suspend(() => {
            generation.inFlight--
            return generation === this.current ? Effect.void : this.closeWhenIdle(generation)
          })
        )
      })
  })

  /** Closes the transport. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    this.current === undefined ? Effect.void : Scope.close(this.current.scope, Exit.void)
  )

  private closeWhenIdle({ inFlight, scope }: Generation): Effect.Effect<void> {
    return inFlight > 0 ? Effect.void : Scope.close(scope, Exit.void)
  }
}
