/**
 * A relay between sender and sink that only adds a delay: it writes the bytes of one side to the other half a round trip
 * later, in order, without any limit of rate.
 *
 * A new connection is carried on after one and a half round trips, when the last packet of a real TCP handshake would have
 * reached the server. Timers are exact only to a millisecond, so the relay measures its average lateness and schedules that
 * much earlier: single chunks are off by up to a millisecond, but the mean is right.
 */
import * as Net from "node:net"
import { performance } from "node:perf_hooks"

/** Options for the relay. */
export interface Options {
  readonly targetPort: number
  /** The round trip to simulate, in milliseconds. */
  readonly rttMs: number
  /** The extra time that a new connection takes, in milliseconds. Defaults to 0. */
  readonly connectDelayMs?: number | undefined
}

/** A relay that listens on 127.0.0.1. */
export interface RoundTrip {
  readonly port: number
  /** The mean round trip that chunks really had, in milliseconds; NaN before the first chunk. */
  readonly measuredRttMs: () => number
  readonly close: () => Promise<void>
}

/** The bytes that may queue for one peer before the relay stops reading from the other: enough for 64 MB/s at 1 s. */
const queueLimit = 64 * 1024 * 1024

/** Starts a relay on a free port. */
export const start = (options: Options): Promise<RoundTrip> => {
  const line = new DelayLine(options.rttMs / 2)
  const open = new Set<Net.Socket>()
  const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const target = new Net.Socket({ allowHalfOpen: true })
    for (const socket of [client, target]) {
      open.add(socket)
      socket.on("error", () => {
        client.destroy()
        target.destroy()
      })
      socket.on("close", () => open.delete(socket))
    }
    target.setNoDelay(true)
    const held: Array<() => void> = []
    pipe(line, client, target, (write) => (target.pending ? held.push(write) : write()))
    pipe(line, target, client, (write) => write())
    target.on("connect", () => held.forEach((write) => write()))
    const handshakeMs = 1.5 * options.rttMs + (options.connectDelayMs ?? 0)
    const connect = () => {
      if (!client.destroyed) target.connect(options.targetPort, "127.0.0.1")
    }
    if (handshakeMs === 0) connect()
    else setTimeout(connect, handshakeMs)
  })
  return new Promise((resolve, reject) => {
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      resolve({
        port: (server.address() as Net.AddressInfo).port,
        measuredRttMs: () => 2 * line.meanDelayMs,
        close: () =>
          new Promise((done) => {
            for (const socket of open) socket.destroy()
            server.close(() => done())
          })
      })
    })
  })
}

/** `whenOpen` holds bytes that are due before the target is connected, as when TLS lets the client speak first. */
const pipe = (line: DelayLine, from: Net.Socket, to: Net.Socket, whenOpen: (write: () => void) => unknown): void => {
  let queued = 0
  const resume = () => {
    if (from.isPaused() && queued + to.writableLength < queueLimit / 2) from.resume()
  }
  from.on("data", (chunk: Buffer) => {
    queued += chunk.length
    if (queued + to.writableLength > queueLimit) from.pause()
    line.push(() => {
      queued -= chunk.length
      whenOpen(() => {
        if (!to.destroyed) to.write(chunk)
      })
      resume()
    })
  })
  to.on("drain", resume)
  from.on("end", () => line.push(() => whenOpen(() => to.end())))
  from.on("close", (hadError) => {
    if (hadError) line.push(() => to.destroy())
  })
}

interface Entry {
  readonly arrival: number
  readonly deliver: () => void
}

/**
 * Runs the pushed actions after a fixed delay, in order; all connections share one line, since their delay is the same.
 */
class DelayLine {
  readonly #delayMs: number
  #entries: Array<Entry> = []
  #head = 0
  #timer: NodeJS.Timeout | undefined
  #lateness = 0
  #delivered = 0
  #delays = 0

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  get meanDelayMs(): number {
    return this.#delays / this.#delivered
  }

  push(deliver: () => void): void {
    if (this.#delayMs === 0) return deliver()
    this.#entries.push({ arrival: performance.now(), deliver })
    if (this.#timer === undefined) this.#schedule(this.#delayMs - this.#lateness)
  }

  #schedule(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, milliseconds))
  }

  #flush(): void {
    this.#timer = undefined
    const now = performance.now()
    const due = now - this.#delayMs + Math.max(0, this.#lateness)
    while (this.#head < this.#entries.length && this.#entries[this.#head]!.arrival <= due + 0.25) {
      const entry = this.#entries[this.#head++]!
      entry.deliver()
      this.#delivered++
      this.#delays += now - entry.arrival
      this.#lateness = Math.min(5, this.#lateness + 0.01 * (now - entry.arrival - this.#delayMs))
    }
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
      return
    }
    if (this.#head > 4096) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    this.#schedule(this.#entries[this.#head]!.arrival - due)
  }
}
