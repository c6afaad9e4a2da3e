/**
 * All public modules of `@mailrace/testing`: an SMTP server and a DNS server to test against.
 *
 * @since 0.1.0
 */

export * as Certificate from "./Certificate.ts"
export * as Digest from "./Digest.ts"
export * as DnsServer from "./DnsServer.ts"
export * as Fault from "./Fault.ts"
export * as Inbox from "./Inbox.ts"
export * as Sink from "./Sink.ts"
export * as TestServer from "./TestServer.ts"
