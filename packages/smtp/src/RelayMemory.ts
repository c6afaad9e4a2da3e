/**
 * What has been learnt about a relay that outlives one connection to it.
 */
import * as SmtpTls from "./SmtpTls.ts"
import type * as SpeculationTest from "./SpeculationTest.ts"

/** What is known about a relay beyond one connection, for the life of its transport. */
export interface RelayMemory extends SmtpTls.Memory {
  /** What the self-test found, once it has been run to its end. */
  verdict: SpeculationTest.Verdict | undefined
  /** How many self-tests in a row ended with the connection. */
  brokenTests: number
  /** Opportunistic TLS was tried and failed, so it is left out. */
  isTlsBroken: boolean
  /** Why mail went in clear although the relay offers TLS, from the first time that it did. */
  tlsFailure: string | undefined
  /** The relay drops connections that see many refusals, so they are replaced in time. */
  countsRefusals: boolean
}

/** What is known about a relay before it was spoken to. */
export const make = (): RelayMemory => ({
  tlsContexts: new SmtpTls.ContextCache(),
  tlsSessions: new SmtpTls.SessionCache(),
  verdict: undefined,
  brokenTests: 0,
  isTlsBroken: false,
  tlsFailure: undefined,
  countsRefusals: false
})
