/**
 * The report of a run: one JSON object, for `--report` and `--json`.
 */
import type { HeldBack, RecipientOutcome, Tally } from "./Tally.ts"

/** Figures of the connections to the relay. */
export interface Connections {
  /** Sessions that were opened. */
  readonly opened: number
  /** Messages that found a session already open. */
  readonly reused: number
  /** The most sessions at one time. */
  readonly peak: number
  /** Sessions that could not be opened. */
  readonly failed: number
}

/** A run in one JSON object. Times are in milliseconds but for CPU, sizes in bytes. */
export interface Report {
  /** Messages and bad lines that were read, without what was dropped. */
  readonly total: number
  /** Messages that the relay accepted for at least one recipient. */
  readonly accepted: number
  readonly rejected: number
  readonly deferred: number
  readonly unknown: number
  readonly invalid: number
  /** Messages of an outbox that expired before they could be tried. */
  readonly expired: number
  /** Accepted messages that the outbox could not record, so that its next run sends them again. */
  readonly unrecorded: number
  /** Recipients of the messages that were handed to the relay, by how each of them ended. */
  readonly recipients: Readonly<Record<RecipientOutcome, number>>
  /** Messages that were not sent because all their recipients were dropped; `total` excludes them. */
  readonly dropped: number
  /** Dropped recipients: on a suppression list, duplicate, or of a role. */
  readonly suppressed: number
  readonly duplicates: number
  readonly roles: number
  /** Addresses of a role that were sent to with a warning. */
  readonly roleWarnings: number
  readonly durationMs: number
  /** Messages that were handed to the relay and ended, a second. */
  readonly ratePerSecond: number
  /** Bytes of the accepted messages' content. */
  readonly bytes: number
  readonly retries: number
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  readonly connections: Connections
  /** The mode in use: `off`, `envelope`, `overlap` or `speculative`. */
  readonly pipelining: string
  /** Why pipelining stepped down to `envelope`, if sending ahead of the replies failed; otherwise `null`. */
  readonly steppedDown: string | null
  /** Why messages went in clear although the relay offers TLS; `null` if none did. */
  readonly tlsFailure: string | null
  /** What held messages back, such as `--rate` or a recipient domain, and for how long; times overlap. */
  readonly waits: ReadonlyArray<HeldBack>
  /** User and system time of the whole process, divided by the messages. */
  readonly cpuMicrosPerMessage: number
  /** The largest resident set of the process so far. */
  readonly rssPeakBytes: number
  readonly errors: ReadonlyArray<{
    readonly reason: string
    readonly code: number | null
    readonly enhanced: string | null
    readonly count: number
    readonly example: string
  }>
}

/** True if every message was accepted for each of its recipients, and that is recorded. */
export const isAllAccepted = ({ accepted, recipients, total, unrecorded }: Report): boolean =>
  accepted === total && unrecorded === 0 && recipients.rejected + recipients.deferred + recipients.unknown === 0

/** Figures that the tally does not have. */
export interface Circumstances {
  readonly durationMs: number
  readonly connections: Connections
  readonly pipelining: string
  readonly steppedDown: string | undefined
  readonly tlsFailure: string | undefined
  readonly cpuMicros: number
  readonly rssPeakBytes: number
}

/** Makes the report of a run. */
export const make = (tally: Tally, circumstances: Circumstances): Report => {
  const { durationMs, connections, pipelining, steppedDown, tlsFailure, cpuMicros, rssPeakBytes } = circumstances
  const { duplicates, mails: dropped, roleWarnings, roles, suppressed } = tally.screening.counts
  return {
    total: tally.total,
    ...tally.counts,
    expired: tally.expired,
    unrecorded: tally.unrecorded,
    recipients: { ...tally.recipients },
    dropped,
    suppressed,
    duplicates,
    roles,
    roleWarnings,
    durationMs: round(durationMs),
    ratePerSecond: durationMs === 0 ? 0 : round((tally.sent / durationMs) * 1000),
    bytes: tally.bytes,
    retries: tally.retries,
    latencyMs: {
      p50: round(tally.latency.quantile(0.5)),
      p90: round(tally.latency.quantile(0.9)),
      p99: round(tally.latency.quantile(0.99)),
      max: round(tally.latency.max)
    },
    connections: {
      opened: connections.opened,
      reused: connections.reused,
      peak: connections.peak,
      failed: connections.failed
    },
    pipelining,
    steppedDown: steppedDown ?? null,
    tlsFailure: tlsFailure ?? null,
    waits: tally.waits,
    cpuMicrosPerMessage: tally.total === 0 ? 0 : round(cpuMicros / tally.total),
    rssPeakBytes,
    errors: tally.errors.map(({ reason, code, enhanced, count, example }) => ({
      reason,
      code,
      enhanced,
      count,
      example
    }))
  }
}

const round = (value: number): number => Math.round(value * 1000) / 1000
