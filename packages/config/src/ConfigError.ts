/**
 * The error of a configuration that cannot be used.
 *
 * @since 0.1.0
 */

import * as Schema from "effect/Schema"

/**
 * One fault of a configuration.
 *
 * @since 0.1.0
 */
export class Fault extends Schema.Class<Fault>("@mailrace/config/Fault")({
  /** The file's name, as the caller gave it. */
  file: Schema.String,
  /** From 1; 0 if the fault has no place in the file. */
  line: Schema.Int,
  /** From 1, in UTF-16 units; 0 if the fault has no place in the file. */
  column: Schema.Int,
  /** The fault in words, with the setting that has it. */
  problem: Schema.String,
  /** What to do, as an imperative without a full stop. */
  remedy: Schema.String
}) {
  /** Place and fault in one line. */
  override toString(): string {
    return this.line === 0
      ? `${this.file}: ${this.problem}`
      : `${this.file}, line ${this.line}, column ${this.column}: ${this.problem}`
  }
}

/**
 * The configuration cannot be used, and nothing was sent.
 *
 * @since 0.1.0
 */
export class ConfigError extends Schema.TaggedError<ConfigError>("@mailrace/config/ConfigError")("ConfigError", {
  /** The faults in the order of the file, at least one. */
  faults: Schema.Array(Fault)
}) {
  override get message() {
    return this.faults.map(String).join("\n")
  }

  /** What to do about the first fault. */
  get remedy(): string {
    return this.faults[0]?.remedy ?? ""
  }
}
