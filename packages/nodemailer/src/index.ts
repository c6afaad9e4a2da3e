export * as MailraceTransport from "./MailraceTransport.ts"
export * as NodemailerComposer from "./NodemailerComposer.ts"
export * as NodemailerTransport from "./NodemailerTransport.ts"
