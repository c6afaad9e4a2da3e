/**
 * A statement that the project makes about itself, judged by the rows of one run.
 */
import type { Row, TargetResult } from "./BenchReport.ts"

/** A statement and how its value follows from the rows. */
export interface Target {
  /** Short and stable, as in `rtt.overlap`. */
  readonly id: string
  /** One sentence without a full stop. */
  readonly statement: string
  readonly target: number
  /**
   * The most that the machine allows, according to another row. If this is less than the target, it replaces the target.
   */
  readonly allowed?: ((rows: ReadonlyArray<Row>) => number | undefined) | undefined
  /** Tells whether the value must reach the target or stay under it. Defaults to `atLeast`. */
  readonly direction?: "atLeast" | "atMost" | undefined
  /** As in `×`, `msg/s`, `µs`, `MB`. */
  readonly unit: string
  /** The value, or `undefined` when a row that it needs is missing. */
  readonly measure: (rows: ReadonlyArray<Row>) => number | undefined
}

/** Judges one target. A target without a measured value is neither met nor missed. */
export const evaluate = (target: Target, rows: ReadonlyArray<Row>): TargetResult => {
  const measured = target.measure(rows)
  const value = measured === undefined || !Number.isFinite(measured) ? null : measured
  const direction = target.direction ?? "atLeast"
  const wanted = Math.min(target.target, target.allowed?.(rows) ?? Infinity)
  return {
    id: target.id,
    statement: target.statement,
    value,
    target: wanted,
    direction,
    unit: target.unit,
    met: value === null ? null : direction === "atLeast" ? value >= wanted : value <= wanted
  }
}
