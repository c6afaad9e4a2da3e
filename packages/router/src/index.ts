/**
 * All public modules of `@mailrace/router`: several relays behind one transport. Each can be imported alone, as
 * `@mailrace/router/Router`.
 *
 * @since 0.1.0
 */

export * as Router from "./Router.ts"
export * as RouterError from "./RouterError.ts"
export * as RouterOptions from "./RouterOptions.ts"
