/**
 * The requests and answers between the processes of the benchmark. Each request has one answer; values survive a structured
 * clone.
 */
import type * as Digest from "@mailrace/testing/Digest"
import type { Sample } from "./BenchReport.ts"
import type * as Messages from "./Messages.ts"

/** Tells a contestant how to send. */
export interface SendSpec {
  /** The contestant's name in `Contestants`. */
  readonly contestant: string
  readonly host: string
  readonly port: number
  readonly connections: number
  /** The number of messages in flight. Defaults to what suits the contestant's mode and connections. */
  readonly concurrency?: number | undefined
  readonly messageBytes: number
  /** With `composed`, the contestant composes messages within the timed part. */
  readonly content: "prebuilt" | "generated" | "composed"
  readonly recipients: number
  /** The parts of `composed` messages. Defaults to `text`. */
  readonly shape?: Messages.Shape | undefined
  readonly tls: "off" | "implicit" | "required"
  /** The certificate to trust, as PEM. */
  readonly ca?: string | undefined
  /** True for a new connection for every message. */
  readonly connectionPerMessage?: boolean | undefined
  /** With `connectionPerMessage` and TLS: true if later handshakes resume the session of an earlier one. */
  readonly resumeTls?: boolean | undefined
  /** The number of messages after which a connection is replaced. Defaults to infinity. */
  readonly maxMessages?: number | undefined
  /** True if each batch begins without a connection. Defaults to false. */
  readonly isCold?: boolean | undefined
  /** True if flow control stands before the relay: a rate, a window, a pace and a circuit. Defaults to false. */
  readonly flow?: boolean | undefined
  /** True if a router of one relay stands before the relay. Defaults to false. */
  readonly router?: boolean | undefined
  /** True to record metrics. Defaults to what an application without an exporter has. */
  readonly metrics?: boolean | undefined
  /** True to log in as `user` with the password `secret`. Defaults to false. */
  readonly login?: boolean | undefined
  /** The number of messages that wait in an outbox before the measurement. Defaults to 0. */
  readonly backlog?: number | undefined
  /** The number of lanes of these messages. Defaults to 1. */
  readonly lanes?: number | undefined
  /** The share of messages that are traced, and the port for their spans. Defaults to no tracer. */
  readonly tracing?: { readonly sampleRatio: number; readonly collectorPort: number } | undefined
}

/** Requests to the sender's process. */
export type SenderRequest =
  | { readonly _tag: "Open"; readonly spec: SendSpec }
  | {
      readonly _tag: "Run"
      readonly first: number
      readonly messages: number
      /** The number of messages to digest afterwards. */
      readonly digested: number
      readonly samples: boolean
    }
  | { readonly _tag: "Idle"; readonly milliseconds: number }
  | { readonly _tag: "Close" }

/** The sender is ready. */
export interface Opened {
  readonly concurrency: number
  readonly leastBatch: number
  readonly warmsUp: boolean
}

/** The result of one run. */
export interface RunResult {
  readonly messages: number
  readonly elapsedMs: number
  readonly cpuMicros: number
  readonly rssPeakBytes: number
  readonly minMs: number | null
  readonly p50Ms: number | null
  readonly p90Ms: number | null
  readonly p99Ms: number | null
  readonly p999Ms: number | null
  readonly meanMs: number | null
  readonly maxMs: number | null
  readonly eventLoopDelayP99Ms: number
  /** Null if another process has the sockets. */
  readonly sockets: number | null
  readonly storedBytesPerMessage: number | undefined
  readonly failures: number
  readonly firstProblem: string | undefined
  /** The digest of the contents that were sent. */
  readonly digest: Digest.Digest
  readonly samples: ReadonlyArray<Sample>
  /** From the start of the process to the first message's end, in milliseconds. */
  readonly firstEndMs: number
}

/** The cost of doing nothing. */
export interface IdleResult {
  readonly cpuMicros: number
  readonly elapsedMs: number
}

/** The settings of the sink. */
export interface SinkSpec {
  /** True if the sink offers CHUNKING. */
  readonly chunking: boolean
  readonly tls: "off" | "implicit" | "required"
  /** The time that the sink thinks about each content before it answers, in milliseconds. */
  readonly thinkMs: number
  /** The number of connections that it takes at once, and where it refuses the others. Defaults to all. */
  readonly limit?: { readonly connections: number; readonly toldAt: "greeting" | "auth" } | undefined
}

/** Requests to the sink's process. */
export type SinkRequest =
  | { readonly _tag: "Open"; readonly spec: SinkSpec }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Read" }

/** The sink listens. */
export interface SinkOpened {
  readonly port: number
  /** The certificate to trust, as PEM. */
  readonly ca?: string | undefined
}

/** The messages that arrived since the last reset. */
export interface SinkReading {
  readonly digest: Digest.Digest
  readonly cpuMicros: number
}

/** Requests to the relay's process. */
export type RelayRequest =
  | {
      readonly _tag: "Open"
      readonly targetPort: number
      readonly rttMs: number
      readonly connectDelayMs: number
    }
  | { readonly _tag: "Read" }

/** The relay listens. */
export interface RelayOpened {
  readonly port: number
}

/** The round trip that the relay really gave. */
export interface RelayReading {
  readonly rttMs: number
}

/** Requests to the collector's process. */
export type CollectorRequest = { readonly _tag: "Open" } | { readonly _tag: "Read" }

/** The collector listens. */
export interface CollectorOpened {
  readonly port: number
}

/** What the collector has received so far. */
export interface CollectorReading {
  readonly exports: number
}
