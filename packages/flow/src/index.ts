/**
 * All public modules of `@mailrace/flow`: rate limits, a rate that follows the relay, circuit breaking, fairness.
 *
 * @since 0.1.0
 */

export * as AskedLimits from "./AskedLimits.ts"
export * as CircuitBreaker from "./CircuitBreaker.ts"
export * as CongestionWindow from "./CongestionWindow.ts"
export * as ConnectionRate from "./ConnectionRate.ts"
export * as FairQueue from "./FairQueue.ts"
export * as Feedback from "./Feedback.ts"
export * as LeasedRate from "./LeasedRate.ts"
export * as Ledgers from "./Ledgers.ts"
export * as Limit from "./Limit.ts"
export * as LoadGuard from "./LoadGuard.ts"
export * as PaceController from "./PaceController.ts"
export * as ProviderRule from "./ProviderRule.ts"
export * as ProviderRules from "./ProviderRules.ts"
export * as RateLeasing from "./RateLeasing.ts"
export * as RateLimit from "./RateLimit.ts"
export * as Sampler from "./Sampler.ts"
export * as SlidingCount from "./SlidingCount.ts"
export * as TokenBucket from "./TokenBucket.ts"
export * as WarmUp from "./WarmUp.ts"
export * as FlowChange from "./FlowChange.ts"
export * as FlowControl from "./FlowControl.ts"
export * as FlowMetrics from "./FlowMetrics.ts"
export * as FlowOptions from "./FlowOptions.ts"
export * as FlowTransport from "./FlowTransport.ts"
