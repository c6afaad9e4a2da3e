/**
 * Says why there is no figure: a process failed, or the messages that arrived differ from those that were sent.
 */
import * as Schema from "effect/Schema"

export class BenchError extends Schema.TaggedError<BenchError>("@mailrace/bench/BenchError")("BenchError", {
  problem: Schema.String
}) {
  override get message() {
    return this.problem
  }
}
