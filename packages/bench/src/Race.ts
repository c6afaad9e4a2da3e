/**
 * Who runs against whom, and in what circumstances.
 */
import type * as Protocol from "./Protocol.ts"

/** Who takes the messages: the project's own server, Postfix's smtp-sink (DATA only, counts only), or nobody. */
export type SinkChoice = "mailrace" | "smtp-sink" | "none"

/** Who runs, and how. Figures left out are those of the race. */
export interface Contender {
  readonly contestant: string
  /** Replaces the race's variant. */
  readonly variant?: string | undefined
  /** Defaults to 10. */
  readonly connections?: number | undefined
  /** Messages in flight. Defaults to what suits the contestant. */
  readonly concurrency?: number | undefined
  /** Defaults to 1024. */
  readonly messageBytes?: number | undefined
  /** Defaults to `prebuilt`. */
  readonly content?: Protocol.SendSpec["content"] | undefined
  readonly shape?: Protocol.SendSpec["shape"]
  /** Defaults to 1. */
  readonly recipients?: number | undefined
  /** Defaults to the race's. A sink that offers TLS takes messages in clear too. */
  readonly tls?: Protocol.SendSpec["tls"] | undefined
  readonly connectionPerMessage?: boolean | undefined
  readonly resumeTls?: boolean | undefined
  /** The share of messages that are traced. Defaults to no tracer at all. */
  readonly traceSampling?: number | undefined
  /** After how many messages a connection is replaced. Defaults to never. */
  readonly maxMessages?: number | undefined
  /** Whether each run begins without a connection. Defaults to false. */
  readonly isCold?: boolean | undefined
  /** Whether flow control stands before the relay. Defaults to false. */
  readonly flow?: boolean | undefined
  /** Whether a router of one relay stands before the relay. Defaults to false. */
  readonly router?: boolean | undefined
  /** Whether metrics are recorded. Defaults to what an application without an exporter has. */
  readonly metrics?: boolean | undefined
  /** Runs on the libraries of the commit that the lab compares with. Defaults to false. */
  readonly isAgainst?: boolean | undefined
  /** Messages that wait in an outbox before anything is measured. Defaults to 0. */
  readonly backlog?: number | undefined
  /** Over how many lanes they go. Defaults to 1. */
  readonly lanes?: number | undefined
  /** Exactly this many messages a run. Defaults to what it sends in the time of a run. */
  readonly messages?: number | undefined
  /** Whether its timed runs are its first ones, where `messages` says how many it sends. Defaults to false. */
  readonly skipsWarmUp?: boolean | undefined
  /** Timed runs. Defaults to those of the pace. */
  readonly rounds?: number | undefined
  /** Keeps samples of memory over time. Defaults to false. */
  readonly samples?: boolean | undefined
}

/** Contenders in the same circumstances. */
export interface Race {
  readonly workload: string
  readonly variant: string
  readonly contenders: ReadonlyArray<Contender>
  /** Defaults to `mailrace`. */
  readonly sink?: SinkChoice | undefined
  /** Defaults to `off`. */
  readonly tls?: Protocol.SendSpec["tls"] | undefined
  /** How long the sink thinks about each content before it answers, in milliseconds. Defaults to 0. */
  readonly thinkMs?: number | undefined
  /** Connections that the sink takes at once, and where it tells the others. Defaults to all. */
  readonly limit?: Protocol.SinkSpec["limit"]
  /** Simulated round trip in milliseconds. Defaults to 0: none, and no relay in between. */
  readonly rttMs?: number | undefined
  /** How much longer a new connection takes, in milliseconds. Defaults to 0. */
  readonly connectDelayMs?: number | undefined
}
