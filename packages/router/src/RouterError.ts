/**
 * The error of options that no router can be made from.
 *
 * @since 0.1.0
 */

import * as Schema from "effect/Schema"

/**
 * The options of a router contradict each other or make no sense; nothing was sent.
 *
 * @since 0.1.0
 */
export class RouterError extends Schema.TaggedError<RouterError>("@mailrace/router/RouterError")("RouterError", {
  /** The place of the fault in the options, as `relays[1].weight`. */
  field: Schema.String,
  /** The fault, in words. */
  problem: Schema.String,
  /** What to do, as an imperative without a full stop. */
  remedy: Schema.String
}) {
  override get message() {
    return `${this.field}: ${this.problem}`
  }
}
