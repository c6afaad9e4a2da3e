/**
 * Reads and changes the rows of one dispatcher in `mailrace_bucket` and `mailrace_dispatcher`.
 */
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { Statements } from "./dispatch.ts"
import { integer, integers, number } from "./session.ts"

/** A dispatcher's rows. */
export interface OwnershipRows {
  /** Reports that the dispatcher is alive. */
  readonly renew: (inFlight: number) => Effect.Effect<void, OutboxError>
  /** Those of the given buckets that it owns, with their epochs. */
  readonly mine: (buckets: ReadonlyArray<number>) => Effect.Effect<ReadonlyMap<number, number>, OutboxError>
  /** Records that buckets have no owner. */
  readonly yieldUp: (buckets: ReadonlyArray<number>) => Effect.Effect<void, OutboxError>
  /** True if there are buckets without an owner. */
  readonly isAnyFree: Effect.Effect<boolean, OutboxError>
  /** Deletes its row. */
  readonly leave: Effect.Effect<void, OutboxError>
}

/** The rows of the dispatcher `owner`. */
export const make = ({ rows }: Statements, owner: string, leaseMs: number): OwnershipRows => ({
  renew: (inFlight) => Effect.asVoid(rows(renewing(1), [owner, number(leaseMs), integer(inFlight)])),
  mine: (buckets) =>
    Effect.map(
      rows<{ bucket: number; epoch: number }>(
        `SELECT bucket::int4 AS bucket, epoch::float8 AS epoch FROM mailrace_bucket
         WHERE bucket = ANY ($1::int4[]) AND owner = $2::text`,
        [integers(buckets), owner]
      ),
      (found) => new Map(found.map(({ bucket, epoch }) => [bucket, epoch]))
    ),
  yieldUp: (buckets) =>
    Effect.asVoid(
      rows(
        `WITH mine AS (
           SELECT bucket FROM mailrace_bucket WHERE bucket = ANY ($1::int4[]) AND owner = $2::text ORDER BY bucket FOR UPDATE
         )
         UPDATE mailrace_bucket AS b SET owner = NULL FROM mine WHERE b.bucket = mine.bucket`,
        [integers(buckets), owner]
      )
    ),
  isAnyFree: Effect.map(
    rows<{ free: boolean }>("SELECT EXISTS (SELECT 1 FROM mailrace_bucket WHERE owner IS NULL) AS free"),
    ([row]) => row!.free
  ),
  leave: Effect.asVoid(rows("DELETE FROM mailrace_dispatcher WHERE id = $1::text", [owner]))
})

/** Renews a row; its name, lease and number of claimed messages are three parameters from `first` on. */
export const renewing = (first: number): string => `
INSERT INTO mailrace_dispatcher (id, since, beat_at, lease, in_flight)
SELECT $${first}::text, now, now, $${first + 1}::float8::bigint, $${first + 2}::int4
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, lease = excluded.lease, in_flight = excluded.in_flight`
