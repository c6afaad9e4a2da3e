/**
 * TCP to each address of a relay at once; the first that answers carries the session.
 */
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import { SmtpConnection } from "../connection/smtpConnection.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as Causes from "./networkCauses.ts"
import type { Address, Problem } from "./report.ts"
import type { Found } from "./resolve.ts"

/** An open connection. */
export interface Reached {
  readonly connection: SmtpConnection
  readonly address: string
  /** How long it took to open, in milliseconds. */
  readonly ms: number
  /** Waits a moment for the other addresses, and reports all of them. */
  readonly survey: Effect.Effect<Survey>
}

/** The outcome of each address. */
export interface Survey {
  readonly addresses: ReadonlyArray<Address>
  /** Addresses that take no connection although another one does. */
  readonly problem: Problem | undefined
}

/** The most addresses that are tried. */
const maxAddresses = 8

/** How much longer than the first address the others may take, in milliseconds. */
const extraMs = 500

/** The ports that mail servers usually listen on. */
const usualPorts = [587, 465, 25, 2525]

interface Attempt extends Found {
  /** How long the connection took, in milliseconds, or the code of why there is none. */
  readonly result: number | string
}

/** Connects to each address. The connection belongs to the caller. */
export const reach = (settings: Settings, found: ReadonlyArray<Found>): Effect.Effect<Reached, Problem> =>
  Effect.flatMap(
    Effect.callback<Reached | ReadonlyArray<Attempt>>((resume) => {
      const race = new Race(settings, found.slice(0, maxAddresses), (reached) => resume(Effect.succeed(reached)))
      return Effect.sync(() => race.stop())
    }),
    (end) =>
      "connection" in end
        ? Effect.succeed(end)
        : Effect.flatMap(lookAround(settings, found[0]!), (others) =>
            Effect.fail(Causes.unreachable(settings, failedOf(end), others))
          )
  )

/** Connections to all addresses at once. */
class Race {
  private readonly attempts = new Map<Found, Attempt>()
  private readonly sockets: ReadonlyMap<Found, Net.Socket>
  private readonly started = performance.now()
  private readonly onEnd: (end: Reached | ReadonlyArray<Attempt>) => void
  private timer: NodeJS.Timeout
  private hasWinner = false
  private onSettled: (() => void) | undefined

  constructor(settings: Settings, found: ReadonlyArray<Found>, onEnd: (end: Reached | ReadonlyArray<Attempt>) => void) {
    const { localAddress, port, timeouts } = settings
    this.onEnd = onEnd
    this.timer = setTimeout(() => this.stop(), timeouts.connect)
    this.sockets = new Map(
      found.map((one) => [one, Net.connect({ host: one.address, port, localAddress, noDelay: true })])
    )
    for (const [one, socket] of this.sockets) {
      socket.on("error", (error: NodeJS.ErrnoException) => this.settle(one, error.code ?? error.message))
      socket.once("connect", () => this.connected(one, socket))
    }
  }

  /** Gives up on the addresses that have not answered. */
  stop(): void {
    for (const one of this.sockets.keys()) this.settle(one, Causes.timedOut)
  }

  private connected(found: Found, socket: Net.Socket): void {
    if (this.attempts.has(found)) return
    const ms = performance.now() - this.started
    if (this.hasWinner) socket.destroy()
    else {
      this.hasWinner = true
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.stop(), extraMs + 2 * ms)
      this.onEnd({ connection: new SmtpConnection(socket), address: found.address, ms, survey: this.survey })
    }
    this.settle(found, ms)
  }

  private settle(found: Found, result: number | string): void {
    if (this.attempts.has(found)) return
    this.attempts.set(found, { ...found, result })
    if (typeof result === "string") this.sockets.get(found)!.destroy()
    if (this.attempts.size < this.sockets.size) return
    clearTimeout(this.timer)
    this.onSettled?.()
    if (!this.hasWinner) this.onEnd([...this.attempts.values()])
  }

  private readonly survey: Effect.Effect<Survey> = Effect.callback((resume) => {
    const end = (): void =>
      resume(Effect.succeed(surveyOf([...this.sockets.keys()].map((one) => this.attempts.get(one)!))))
    if (this.attempts.size === this.sockets.size) end()
    else this.onSettled = end
  })
}

const failedOf = (attempts: ReadonlyArray<Attempt>): ReadonlyArray<Causes.Unreached> =>
  attempts.flatMap(({ address, family, result }) =>
    typeof result === "string" ? [{ address, family, code: result }] : []
  )

const surveyOf = (attempts: ReadonlyArray<Attempt>): Survey => {
  const failed = failedOf(attempts)
  return {
    addresses: attempts.map(({ address, result, ttl }) => ({
      address,
      ttl,
      connectMs: typeof result === "number" ? result : null,
      problem: typeof result === "string" ? result : null
    })),
    problem: failed.length === 0 ? undefined : Causes.partlyUnreachable(failed, attempts.length)
  }
}

/** True if the host answers on other ports. */
const lookAround = (settings: Settings, { address }: Found): Effect.Effect<Causes.OtherPorts> =>
  Effect.map(
    Effect.forEach(
      usualPorts.filter((port) => port !== settings.port),
      (port) => Effect.map(knock(address, port, Math.min(1000, settings.timeouts.connect)), (code) => ({ code, port })),
      { concurrency: "unbounded" }
    ),
    (answers) => ({
      open: answers.flatMap(({ code, port }) => (code === "open" ? port : [])),
      isHostUp: answers.some(({ code }) => code === "open" || code === "ECONNREFUSED")
    })
  )

const knock = (host: string, port: number, limitMs: number): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host, port })
    const end = (code: string): void => {
      clearTimeout(timer)
      socket.destroy()
      resume(Effect.succeed(code))
    }
    const timer = setTimeout(() => end(Causes.timedOut), limitMs)
    socket.once("connect", () => end("open"))
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    return Effect.sync(() => end("interrupted"))
  })
