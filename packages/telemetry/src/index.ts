/**
 * All public modules of `@mailrace/telemetry`: OpenTelemetry's SDK as a layer.
 */

export * as Telemetry from "./Telemetry.ts"
