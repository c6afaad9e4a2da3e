/**
 * What the processes of the benchmark say to each other. One request has one answer; values survive a structured clone.
 */
import type * as Digest from "@mailrace/testing/Digest"
import type { Sample } from "./BenchReport.ts"
import type * as Messages from "./Messages.ts"

/** How a contestant is to send. */
export interface SendSpec {
  /** The contestant's name in `Contestants`. */
  readonly contestant: string
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Messages in flight; what suits the contestant's mode and connections when left out. */
  readonly concurrency?: number | undefined
  readonly messageBytes: number
  /** `composed` messages are composed by the contestant within the timed part. */
  readonly content: "prebuilt" | "generated" | "composed"
  readonly recipients: number
  /** What `composed` messages are made of. Defaults to `text`. */
  readonly shape?: Messages.Shape | undefined
  readonly tls: "off" | "implicit" | "required"
  /** The certificate to trust, as PEM. */
  readonly ca?: string | undefined
  /** A new connection for every message. */
  readonly connectionPerMessage?: boolean | undefined
  /** With `connectionPerMessage` and TLS: whether later handshakes take up the session of an earlier one. */
  readonly resumeTls?: boolean | undefined
  /** After how many messages a connection is replaced. Defaults to never. */
  readonly maxMessages?: number | undefined
  /** Whether each batch begins without a connection. Defaults to false. */
  readonly isCold?: boolean | undefined
  /** Whether flow control stands before the relay: a rate, a window, a pace and a circuit. Defaults to false. */
  readonly flow?: boolean | undefined
  /** Whether a router of one relay stands before the relay. Defaults to false. */
  readonly router?: boolean | undefined
  /** Whether metrics are recorded. Defaults to what an application without an exporter has. */
  readonly metrics?: boolean | undefined
  /** Whether to log in as `user` by `secret`. Defaults to false. */
  readonly login?: boolean | undefined
  /** Messages that wait in an outbox before anything is measured. Defaults to 0. */
  readonly backlog?: number | undefined
  /** Over how many lanes they go. Defaults to 1. */
  readonly lanes?: number | undefined
  /** The share of messages that are traced, and where the spans go. No tracer when left out. */
  readonly tracing?: { readonly sampleRatio: number; readonly collectorPort: number } | undefined
}

/** Asked of the sender's process. */
export type SenderRequest =
  | { readonly _tag: "Open"; readonly spec: SendSpec }
  | {
      readonly _tag: "Run"
      readonly first: number
      readonly messages: number
      /** How many of them to digest afterwards. */
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

/** What one run gave. */
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
  /** Null when the sockets are another process's. */
  readonly sockets: number | null
  readonly storedBytesPerMessage: number | undefined
  readonly failures: number
  readonly firstProblem: string | undefined
  /** Of the contents that were sent. */
  readonly digest: Digest.Digest
  readonly samples: ReadonlyArray<Sample>
  /** From the start of the process to the first message's end, in milliseconds. */
  readonly firstEndMs: number
}

/** What doing nothing cost. */
export interface IdleResult {
  readonly cpuMicros: number
  readonly elapsedMs: number
}

/** How the sink is to be. */
export interface SinkSpec {
  /** Whether CHUNKING is offered. */
  readonly chunking: boolean
  readonly tls: "off" | "implicit" | "required"
  /** How long the sink thinks about each content before it answers, in milliseconds. */
  readonly thinkMs: number
  /** Connections that it takes at once, and where it tells the others. Defaults to all. */
  readonly limit?: { readonly connections: number; readonly toldAt: "greeting" | "auth" } | undefined
}

/** Asked of the sink's process. */
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

/** What arrived since the last reset. */
export interface SinkReading {
  readonly digest: Digest.Digest
  readonly cpuMicros: number
}

/** Asked of the relay's process. */
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

/** Asked of the collector's process. */
export type CollectorRequest = { readonly _tag: "Open" } | { readonly _tag: "Read" }

/** The collector listens. */
export interface CollectorOpened {
  readonly port: number
}

/** What the collector took since it listens. */
export interface CollectorReading {
  readonly exports: number
}
