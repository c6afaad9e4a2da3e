/**
 * All public modules of `@mailrace/config`: relays, limits and routes in one file. Each can be imported alone, as
 * `@mailrace/config/MailraceConfig`.
 *
 * @since 0.1.0
 */

export * as ConfigError from "./ConfigError.ts"
export * as ConfigSchema from "./ConfigSchema.ts"
export * as MailraceConfig from "./MailraceConfig.ts"
