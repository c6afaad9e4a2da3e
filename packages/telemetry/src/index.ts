/**
 * All public modules of `@mailrace/telemetry`: OpenTelemetry's SDK as a layer, and metrics for Prometheus.
 *
 * @since 0.1.0
 */

export * as MetricsEndpoint from "./MetricsEndpoint.ts"
export * as Telemetry from "./Telemetry.ts"
