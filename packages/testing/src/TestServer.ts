/**
 * An SMTP server on a real socket, to test senders against.
 *
 * It takes mail as a strict server does (RFC 5321, with the extensions of `Extensions`), keeps it to be looked at, and misbehaves
 * exactly as configured: by `faults` (see `Fault`), by a `decide` function, or by the `quirks` of servers that exist. It notes
 * what a client must not do in `protocolErrors`, so that a test can assert that there was nothing.
 *
 * It shares no code with the client of `@mailrace/smtp`: each is the other's independent witness.
 *
 * @example
 * ```ts
 * import * as TestServer from "@mailrace/testing/TestServer"
 * import * as Effect from "effect/Effect"
 *
 * export const program = Effect.gen(function* () {
 *   const server = yield* TestServer.make({ faults: ["rcpt:450:to=busy@*"] })
 *   // … send something to 127.0.0.1:server.port …
 *   const [message] = yield* server.awaitMessages(1)
 *   return message!.to
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as tls from "node:tls"
import * as Certificate from "./Certificate.ts"
import type * as Digest from "./Digest.ts"
import type * as Fault from "./Fault.ts"
import type * as Inbox from "./Inbox.ts"
import type { Config, Options } from "./internal/options.ts"
import { readFaults, resolve } from "./internal/options.ts"
import type { ConnectionInfo, ProtocolError, TranscriptLine } from "./internal/serverState.ts"
import { Server } from "./internal/server.ts"

export type { Event, Extensions, Limits, Mechanism, Options, Quirks, TlsOptions } from "./internal/options.ts"
export type { ConnectionInfo, ProtocolError, TranscriptLine } from "./internal/serverState.ts"

/**
 * Counts since the start or the last `reset`.
 *
 * @since 0.1.0
 */
export interface Stats {
  /** Connections taken. */
  readonly connections: number
  /** Connections open now. */
  readonly open: number
  /** The most connections that were open at once. */
  readonly peak: number
  /** Messages taken and answered so. */
  readonly messages: number
  /** Messages whose content was complete, but whose final reply a fault kept back. */
  readonly unanswered: number
  readonly commands: number
  /** Bytes received, commands and content. */
  readonly bytesReceived: number
  /** Faults that happened. */
  readonly faults: number
  /** Protocol errors of clients. */
  readonly violations: number
}

/**
 * The settings by which a client trusts the server.
 *
 * @since 0.1.0
 */
export interface TlsIdentity {
  /** The authority's certificate as PEM: give it to the client as its only trusted one. */
  readonly ca: string
  /** The server's certificate as PEM. */
  readonly certificate: string
  /** SHA-256 of the server's certificate, upper-case hexadecimal with colons. */
  readonly fingerprint256: string
}

/**
 * A running test server.
 *
 * @since 0.1.0
 */
export interface TestServerService {
  readonly host: string
  readonly port: number
  /** The certificate in use, when `tls` is on. */
  readonly tls: TlsIdentity | undefined
  /** The messages taken and answered, when they are kept. */
  readonly messages: ReadonlyArray<Inbox.Message>
  /** The messages taken whose final reply a fault kept back (drop, reset, hang, partial or garbage at `final`). */
  readonly unanswered: ReadonlyArray<Inbox.Message>
  /** A digest over the answered messages; without its sums when discarding without `digest`. */
  readonly digest: Digest.Digest
  /** Everything a client must not do and did, up to 10,000. */
  readonly protocolErrors: ReadonlyArray<ProtocolError>
  /** The conversation without content, if `transcript` is on. */
  readonly transcript: ReadonlyArray<TranscriptLine>
  /** The connections since the last `reset`, up to 10,000. */
  readonly connections: ReadonlyArray<ConnectionInfo>
  /** The counts at this moment. */
  readonly stats: Stats
  /** Waits until the counts are as wanted, without polling. */
  readonly until: (wanted: (stats: Stats) => boolean) => Effect.Effect<Stats>
  /** Waits until this many messages were taken and answered since the last `reset`; gives those that are kept. */
  readonly awaitMessages: (count: number) => Effect.Effect<ReadonlyArray<Inbox.Message>>
  /** Waits until no connection is open. */
  readonly awaitIdle: Effect.Effect<void>
  /** Replaces the faults, and starts their counts and odds anew. A text that cannot be read is a defect. */
  readonly setFaults: (faults: ReadonlyArray<Fault.Fault | string>) => Effect.Effect<void>
  /** Forgets everything taken, counted and noted; connections and faults stay. */
  readonly reset: Effect.Effect<void>
}

/**
 * A running test server, as a service.
 *
 * @since 0.1.0
 */
export class TestServer extends Context.Service<TestServer, TestServerService>()("@mailrace/testing/TestServer") {}

/**
 * The server cannot start: its port is taken or not allowed, or its mailbox directory cannot be made.
 *
 * @since 0.1.0
 */
export class StartError extends Schema.TaggedError<StartError>("@mailrace/testing/StartError")("StartError", {
  host: Schema.String,
  port: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message() {
    const reason = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `cannot start the server on ${this.host}:${this.port}: ${reason}`
  }
}

/**
 * Starts a server; when the scope closes, every connection is broken off and the port is free again.
 *
 * @since 0.1.0
 */
export const start = (options: Options = {}): Effect.Effect<TestServerService, StartError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const config = resolve(options)
      return Effect.tryPromise({
        try: () => open(config),
        catch: (cause) => new StartError({ host: config.host, port: config.port, cause })
      })
    }),
    ({ server }) => Effect.promise(() => server.close())
  ).pipe(Effect.map(({ server, identity }) => makeService(server, identity)))

/**
 * Starts a server as `start` does; that it cannot start is a defect.
 *
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<TestServerService, never, Scope.Scope> =>
  Effect.orDie(start(options))

/**
 * A layer with a server of its own.
 *
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<TestServer> => Layer.effect(TestServer, make(options))

interface Opened {
  readonly server: Server
  readonly identity: TlsIdentity | undefined
}

const open = async (config: Config): Promise<Opened> => {
  if (config.tls === undefined) {
    const server = new Server(config, undefined)
    await server.listen()
    return { server, identity: undefined }
  }
  const { names, expired, selfSigned, minVersion, maxVersion, ciphers } = config.tls
  const authority = Certificate.authority()
  const issued = authority.issue({ names: names ?? ["localhost", "127.0.0.1", "::1"], expired, selfSigned })
  const context = tls.createSecureContext({
    key: issued.key,
    cert: issued.certificate,
    sessionIdContext: "mailrace-testing",
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ...(ciphers === undefined ? {} : { ciphers })
  })
  const server = new Server(config, context)
  await server.listen()
  const { certificate, fingerprint256 } = issued
  return { server, identity: { ca: authority.certificate, certificate, fingerprint256 } }
}

const makeService = (server: Server, identity: TlsIdentity | undefined): TestServerService => {
  const until = (wanted: (stats: Stats) => boolean) =>
    Effect.callback<Stats>((resume) => {
      if (wanted(server.counters)) return resume(Effect.succeed({ ...server.counters }))
      const stop = server.watch(() => {
        if (!wanted(server.counters)) return
        stop()
        resume(Effect.succeed({ ...server.counters }))
      })
      return Effect.sync(stop)
    })
  return {
    host: server.config.host,
    port: server.port,
    tls: identity,
    get messages() {
      return server.mailbox.messages
    },
    get unanswered() {
      return server.mailbox.unanswered
    },
    get digest() {
      return server.mailbox.digest
    },
    get protocolErrors() {
      return server.violations
    },
    get transcript() {
      return server.transcript
    },
    get connections() {
      return [...server.connections.values()]
    },
    get stats() {
      return { ...server.counters }
    },
    until,
    awaitMessages: (count) =>
      Effect.map(
        until((stats) => stats.messages >= count),
        () => server.mailbox.messages
      ),
    awaitIdle: Effect.asVoid(until((stats) => stats.open === 0)),
    setFaults: (faults) => Effect.sync(() => server.setFaults(readFaults(faults))),
    reset: Effect.sync(() => server.reset())
  }
}
