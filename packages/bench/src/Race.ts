/**
 * Describes which contestants run against each other, and in what circumstances.
 */
import type * as Protocol from "./Protocol.ts"

/** The server that takes the messages: the project's own, Postfix's smtp-sink (DATA only, counts only), or none. */
export type SinkChoice = "mailrace" | "smtp-sink" | "none"

/** A contestant, and how it runs. Figures left out are those of the race. */
export interface Contender {
  readonly contestant: string
  /** Replaces the race's variant. */
  readonly variant?: string | undefined
  /** Defaults to 10. */
  readonly connections?: number | undefined
  /** The number of messages in flight. Defaults to what suits the contestant. */
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
  /** The number of messages after which a connection is replaced. Defaults to infinity. */
  readonly maxMessages?: number | undefined
  /** True if each run begins without a connection. Defaults to false. */
  readonly isCold?: boolean | undefined
  /** True if flow control stands before the relay. Defaults to false. */
  readonly flow?: boolean | undefined
  /** True if a router of one relay stands before the relay. Defaults to false. */
  readonly router?: boolean | undefined
  /** True to record metrics. Defaults to what an application without an exporter has. */
  readonly metrics?: boolean | undefined
  /** True to run on the libraries of the commit that the lab compares with. Defaults to false. */
  readonly isAgainst?: boolean | undefined
  /** The number of messages that wait in an outbox before the measurement. Defaults to 0. */
  readonly backlog?: number | undefined
  /** The number of lanes of these messages. Defaults to 1. */
  readonly lanes?: number | undefined
  /** The exact number of messages of a run. Defaults to as many as it sends in the time of a run. */
  readonly messages?: number | undefined
  /** True if its timed runs are its first ones, which needs `messages`. Defaults to false. */
  readonly skipsWarmUp?: boolean | undefined
  /** The number of timed runs. Defaults to that of the pace. */
  readonly rounds?: number | undefined
  /** True to keep samples of memory over time. Defaults to false. */
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
  /** The time that the sink thinks about each content before it answers, in milliseconds. Defaults to 0. */
  readonly thinkMs?: number | undefined
  /** The number of connections that the sink takes at once, and where it refuses the others. Defaults to all. */
  readonly limit?: Protocol.SinkSpec["limit"]
  /** Simulated round trip in milliseconds. Defaults to 0: none, and no relay in between. */
  readonly rttMs?: number | undefined
  /** The extra time that a new connection takes, in milliseconds. Defaults to 0. */
  readonly connectDelayMs?: number | undefined
}
