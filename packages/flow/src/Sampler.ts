/**
 * The sampler of `mailrace/Sampler`, by which the `LoadGuard` goes.
 *
 * @since 0.1.0
 */

export * from "mailrace/Sampler"
