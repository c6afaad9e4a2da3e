/**
 * All public modules of `@mailrace/preflight`. Each can be imported alone, as `@mailrace/preflight/Preflight`.
 *
 * @since 0.2.0
 */

export * as Preflight from "./Preflight.ts"
