/**
 * All public modules of `@mailrace/smtp`: the wire and the transport over it. Each can be imported alone, as
 * `@mailrace/smtp/SmtpTransport`.
 *
 * @since 0.1.0
 */

export * as Capabilities from "./Capabilities.ts"
export * as LineEndings from "./LineEndings.ts"
export * as Pipelining from "./Pipelining.ts"
export * as Probe from "./Probe.ts"
export * as RelayMemory from "./RelayMemory.ts"
export * as RelayUrl from "./RelayUrl.ts"
export * as ReplyClassification from "./ReplyClassification.ts"
export * as ReplyDecoder from "./ReplyDecoder.ts"
export * as SmtpAuth from "./SmtpAuth.ts"
export * as SmtpOpening from "./SmtpOpening.ts"
export * as SmtpOptions from "./SmtpOptions.ts"
export * as SmtpPool from "./SmtpPool.ts"
export * as SmtpSession from "./SmtpSession.ts"
export * as SmtpTls from "./SmtpTls.ts"
export * as SmtpTransport from "./SmtpTransport.ts"
export * as Transcript from "./Transcript.ts"
