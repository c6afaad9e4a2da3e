/** A test server: listens, and runs a connection for each client. */
import * as net from "node:net"
import type * as tls from "node:tls"
import { Connection } from "./connection.ts"
import type { Config } from "./options.ts"
import { maxNoted, ServerState } from "./serverState.ts"

export class Server extends ServerState {
  readonly #listener: net.Server
  readonly #live = new Set<Connection>()
  #nextId = 1

  /** Throws when a directory for messages cannot be made. */
  constructor(config: Config, secureContext: tls.SecureContext | undefined) {
    super(config, secureContext)
    this.#listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
  }

  get port(): number {
    const address = this.#listener.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }

  /** Starts to listen; rejects as `listen` does. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject)
      this.#listener.listen(this.config.port, this.config.host, 1024, () => {
        this.#listener.off("error", reject)
        resolve()
      })
    })
  }

  /** Breaks off every connection and stops listening; resolves when no socket and no file is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()))
    const gone = new Promise<void>((resolve) => {
      const stop = this.watch(() => {
        if (this.#live.size > 0) return
        stop()
        resolve()
      })
    })
    for (const connection of this.#live) connection.destroy()
    this.changed()
    await Promise.all([closed, gone])
    await this.mailbox.close()
  }

  #accept(socket: net.Socket): void {
    const id = this.#nextId++
    this.counters.connections++
    this.counters.open++
    this.counters.peak = Math.max(this.counters.peak, this.counters.open)
    if (this.connections.size < maxNoted) {
      this.connections.set(id, { id, clientName: undefined, quit: false, open: true })
    }
    const connection: Connection = new Connection(id, this, socket, () => this.#closed(connection))
    this.#live.add(connection)
    this.changed()
  }

  #closed(connection: Connection): void {
    this.#live.delete(connection)
    this.counters.open--
    const info = this.connections.get(connection.id)
    if (info !== undefined) info.open = false
    this.changed()
  }
}
