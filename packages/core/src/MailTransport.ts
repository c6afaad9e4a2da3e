/**
 * The transport service: one method that hands a composed message to a relay and gives the outcome.
 *
 * Implementations are `SmtpTransport` (package `@mailrace/smtp`) and `NodemailerTransport`
 * (`@mailrace/nodemailer`). Tests of an app use `layerTest`, which keeps the messages for inspection; a transport of your own
 * is made with `MailTransport.of`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Mailer from "mailrace/Mailer"
 * import * as MailTransport from "mailrace/MailTransport"
 * import * as TestMailbox from "mailrace/TestMailbox"
 *
 * // The program under test.
 * const welcome = (to: string) =>
 *   Mailer.send({ from: "app@example.org", to, subject: "Welcome", text: "Good to see you." })
 *
 * await Effect.gen(function* () {
 *   yield* welcome("ann@example.org")
 *   const [mail] = yield* TestMailbox.awaitSent(1)
 *   console.log(mail!.subject, mail!.to) // Welcome [ "ann@example.org" ]
 * }).pipe(Effect.provide(MailTransport.layerTest()), Effect.runPromise)
 * ```
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MailTransport } from "./internal/model/mailTransport.ts"
import type * as TestMailbox from "./TestMailbox.ts"

export {
  type Gate,
  MailTransport,
  type Moments,
  type Priority,
  type Receipt,
  type SendOptions,
  type TracedSession
} from "./internal/model/mailTransport.ts"

/**
 * A transport for tests that accepts every message, except where `options.rules` refuse, defer, lose or delay it. The messages
 * are read through `TestMailbox`. It opens no socket, and waits only on the `Clock`, which may be a `TestClock`.
 *
 * @since 0.1.0
 */
export const layerTest = (options?: TestMailbox.Options): Layer.Layer<MailTransport | TestMailbox.TestMailbox> =>
  // Loaded on demand, because it reads messages back and no program but a test needs that.
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./TestMailbox.ts")),
      ({ layer }) => layer(options)
    )
  )
