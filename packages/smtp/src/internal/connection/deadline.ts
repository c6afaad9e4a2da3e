/**
 * Notices when a silence has lasted too long.
 *
 * One timer serves whatever is awaited on a connection. It is set when something begins to be awaited, and looks at the
 * last progress only when it fires, so that a reply costs no timer. Progress is a whole reply, or bytes that the peer
 * takes: a peer that trickles a reply byte by byte counts as silent. Bytes in the socket when the timer fires still count.
 */
import type * as Net from "node:net"
import type { ConnectionEnd } from "./connectionEnd.ts"

/** The longest tolerated silence in milliseconds, and the end of a connection that exceeds it. */
export interface Limit {
  readonly limitMs: number
  readonly ending: ConnectionEnd
}

/** The time by which something must be over whatever its progress, on the scale of `performance.now()`. */
export interface Bound {
  readonly dueAt: number
  readonly ending: ConnectionEnd
}

/** Calls back when a silence has lasted too long. */
export class Deadline {
  private readonly limit: () => Limit | undefined
  private readonly socket: () => Net.Socket
  private readonly onSilence: (ending: ConnectionEnd) => void
  private readonly bound: () => Bound | undefined
  private timer: NodeJS.Timeout | undefined
  private firesAt = 0
  private progressAt = 0
  private bytesTaken = 0
  private isStopped = false

  /**
   * `limit` returns the current limit, or `undefined` if nothing is awaited; `onSilence` is called at most once. `bound` is asked when the
   * timer fires, so it must be further away than the limit.
   */
  constructor(
    limit: () => Limit | undefined,
    socket: () => Net.Socket,
    onSilence: (ending: ConnectionEnd) => void,
    bound: () => Bound | undefined = () => undefined
  ) {
    this.limit = limit
    this.socket = socket
    this.onSilence = onSilence
    this.bound = bound
  }

  /** Restarts the count. Call it when something begins to be awaited, and with every progress. */
  readonly restart = (): void => {
    if (this.isStopped) return
    const limit = this.limit()
    if (limit === undefined) return
    this.progressAt = performance.now()
    if (this.timer === undefined || this.firesAt > this.progressAt + limit.limitMs) this.arm(limit.limitMs)
  }

  /** Never fires again. */
  stop(): void {
    this.isStopped = true
    clearTimeout(this.timer)
  }

  private arm(delayMs: number): void {
    clearTimeout(this.timer)
    this.firesAt = performance.now() + delayMs
    this.timer = setTimeout(this.onTimer, Math.max(1, Math.ceil(delayMs)))
  }

  private readonly onTimer = (): void => {
    this.timer = undefined
    const limit = this.limit()
    if (limit === undefined) return
    // Bytes that the peer takes are progress too: a long content is answered only at its end. When all are taken, the
    // socket has said so by draining, and only the reply counts.
    const { bytesWritten, writableLength } = this.socket()
    const taken = bytesWritten - writableLength
    if (writableLength > 0 && taken !== this.bytesTaken) {
      this.bytesTaken = taken
      this.progressAt = performance.now()
    }
    const rest = this.restOf(limit)
    if (rest > 0) this.arm(rest)
    // Where the whole process stood still, its timers come before what lies in the socket. This comes after it.
    else setImmediate(this.judge)
  }

  private readonly judge = (): void => {
    if (this.isStopped || this.timer !== undefined) return
    const limit = this.limit()
    if (limit === undefined) return
    const rest = this.restOf(limit)
    if (rest > 0) this.arm(rest)
    else this.onSilence((this.silenceLeft(limit) > 0 && this.bound()?.ending) || limit.ending)
  }

  private restOf(limit: Limit): number {
    const bound = this.bound()
    const left = this.silenceLeft(limit)
    return bound === undefined ? left : Math.min(left, bound.dueAt - performance.now())
  }

  private silenceLeft({ limitMs }: Limit): number {
    return this.progressAt + limitMs - performance.now()
  }
}
