/**
 * Probes a relay: why is my mail slow, or refused?
 *
 * A probe walks through the phases of a session as the transport does, one after the other: the name, the connection, TLS, the
 * greeting, EHLO, the login, and test messages if they are wanted. It times each phase and names the one that fails, or is
 * too slow, with its cause and what to do. It is safe to run against a relay that is in use: it opens two connections, one
 * after the other, logs in once, and sends nothing unless told to. The self-test of pipelining that it runs is a refused
 * transaction without a sender.
 *
 * @example
 * ```ts
 * import * as Probe from "@mailrace/smtp/Probe"
 * import * as Console from "effect/Console"
 * import * as Effect from "effect/Effect"
 *
 * export const program = Effect.gen(function* () {
 *   const { diagnosis, ok } = yield* Probe.run({ host: "mail.example.com", port: 587 })
 *   yield* Console.log(ok, diagnosis.phase, diagnosis.cause, diagnosis.advice)
 * })
 * ```
 *
 * @since 0.2.0
 */

import * as Effect from "effect/Effect"
import type { Report } from "./internal/probe/report.ts"
import { walk } from "./internal/probe/walk.ts"
import * as SmtpOptions from "./SmtpOptions.ts"

export type {
  Address,
  Auth,
  Certificate,
  Diagnosis,
  Encryption,
  Exchanger,
  Extension,
  Limits,
  Phase,
  PhaseName,
  PipeliningReport,
  Report,
  TestMessage
} from "./internal/probe/report.ts"

/**
 * The relay, and how far the probe goes.
 *
 * @since 0.2.0
 */
export interface Options extends SmtpOptions.Options {
  /** The recipient of test messages, an address of your own. Defaults to none: nothing is sent. */
  readonly to?: string | undefined
  /** The sender of test messages. Defaults to the user who logs in, if that is an address, else to the recipient. */
  readonly from?: string | undefined
  /** How many test messages are sent to `to`, from 1. Defaults to 1. */
  readonly count?: number | undefined
  /**
   * Ends after EHLO, so that it may be repeated every few seconds: no login, no self-test, no message, and one connection.
   * Defaults to false.
   */
  readonly connectsOnly?: boolean | undefined
  /** Name servers to ask in place of the system's, as `192.0.2.53` or `192.0.2.53:5353`. */
  readonly nameServers?: ReadonlyArray<string> | undefined
}

/**
 * Probes a relay. What goes wrong there is in the report; fails only for options that cannot be used.
 *
 * @since 0.2.0
 */
export const run = (options: Options): Effect.Effect<Report, SmtpOptions.SmtpOptionsError> =>
  Effect.flatMap(
    Effect.try({
      try: () => SmtpOptions.resolve(options),
      catch: (error) => {
        if (error instanceof SmtpOptions.SmtpOptionsError) return error
        throw error
      }
    }),
    (settings) =>
      walk(settings, {
        nameServers: options.nameServers,
        connectsOnly: options.connectsOnly ?? false,
        messages:
          options.to === undefined
            ? undefined
            : { from: senderOf(options, options.to), to: options.to, count: Math.max(1, options.count ?? 1) }
      })
  )

const senderOf = ({ auth, from }: Options, to: string): string => {
  const user = auth?.username ?? ""
  return from ?? (user.includes("@") ? user : to)
}
