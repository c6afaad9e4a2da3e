/**
 * Facts about a relay that outlive one connection to it.
 *
 * @since 0.1.0
 */

import { turnTime } from "./internal/connection/turnClock.ts"
import { AddressRecord } from "./internal/open/addressRecord.ts"
import { LoginRecord } from "./internal/open/login.ts"
import { NameLookup } from "./internal/open/nameLookup.ts"
import { PipeliningRecord } from "./internal/session/pipeliningRecord.ts"
import * as SmtpTls from "./SmtpTls.ts"

/**
 * Facts about a relay that all connections of a transport share, for the transport's life.
 *
 * @since 0.1.0
 */
export interface RelayMemory extends SmtpTls.Memory {
  /** What its connections have shown about pipelining. */
  readonly pipelining: PipeliningRecord
  /** Opportunistic TLS failed, so new connections skip it. */
  isTlsBroken: boolean
  /** Why mail was first sent in clear although the relay offers TLS. */
  tlsFailure: string | undefined
  /** The relay drops connections after several refusals, so they are replaced before that. */
  countsRefusals: boolean
  /** The number of messages after which the relay ended a session; infinite until one shows it. */
  messagesPerSession: number
  /** A limit on the messages of a session for a time, if one is set; `until` is on the clock of `turnTime`. */
  messagesAsked: { readonly most: number; readonly until: number } | undefined
  /** Which of its addresses have lately failed. */
  readonly addresses: AddressRecord
  /** The questions to the resolver that are under way. */
  readonly names: NameLookup
  /** How its connections log in. */
  readonly login: LoginRecord
  /** How many connections have been begun. */
  connections: number
  /** The transcript's sink has thrown, so nothing is recorded any more. */
  isTranscriptBroken: boolean
}

/**
 * The memory before the first connection. `onStepDown` is called when the relay steps down to `envelope`.
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
  messagesPerSession: Number.POSITIVE_INFINITY,
  messagesAsked: undefined,
  addresses: new AddressRecord(),
  names: new NameLookup(),
  login: new LoginRecord(),
  connections: 0,
  isTranscriptBroken: false
})

/**
 * The number of messages after which a session is to end now; infinite if nothing limits it.
 *
 * @since 0.2.0
 */
export const messagesAllowed = ({ messagesAsked, messagesPerSession }: RelayMemory): number =>
  messagesAsked === undefined || turnTime() >= messagesAsked.until
    ? messagesPerSession
    : Math.min(messagesPerSession, messagesAsked.most)
