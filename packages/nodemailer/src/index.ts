export * as NodemailerTransport from "./NodemailerTransport.ts"
