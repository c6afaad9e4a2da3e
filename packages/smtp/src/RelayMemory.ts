/**
 * What has been learnt about a relay that outlives one connection to it.
 *
 * @since 0.1.0
 */

import { PipeliningRecord } from "./internal/session/pipeliningRecord.ts"
import * as SmtpTls from "./SmtpTls.ts"

/**
 * What is known about a relay beyond one connection, for the life of its transport.
 *
 * @since 0.1.0
 */
export interface RelayMemory extends SmtpTls.Memory {
  /** What it has shown of pipelining. */
  readonly pipelining: PipeliningRecord
  /** Opportunistic TLS was tried and failed, so it is left out. */
  isTlsBroken: boolean
  /** Why mail went in clear although the relay offers TLS, from the first time that it did. */
  tlsFailure: string | undefined
  /** The relay drops connections that see many refusals, so they are replaced in time. */
  countsRefusals: boolean
  /** After how many messages the relay takes no more on a session, as one has shown; infinite until then. */
  messagesPerSession: number
}

/**
 * What is known about a relay before it was spoken to; `onStepDown` is called when it steps down to `envelope`.
 *
 * @since 0.1.0
 */
export const make = (onStepDown?: (why: string) => void): RelayMemory => ({
  tlsContexts: new SmtpTls.ContextCache(),
  tlsSessions: new SmtpTls.SessionCache(),
  pipelining: new PipeliningRecord(onStepDown),
  isTlsBroken: false,
  tlsFailure: undefined,
  countsRefusals: false,
  messagesPerSession: Number.POSITIVE_INFINITY
})
