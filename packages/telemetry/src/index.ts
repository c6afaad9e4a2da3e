/**
 * All public modules of `@mailrace/telemetry`: OpenTelemetry's SDK as a layer.
 *
 * @since 0.1.0
 */

export * as Telemetry from "./Telemetry.ts"
