/**
 * Turns a `Mail` into bytes and an envelope.
 *
 * The service has a default, so that sending needs no further layer: the native composer of `MimeComposer`. Replace it
 * with `Composer.layer(…)` of your own, or with nodemailer's from `@mailrace/nodemailer`.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Composed from "./Composed.ts"
import type * as Mail from "./Mail.ts"
import type * as MailError from "./MailError.ts"
import * as MimeComposer from "./MimeComposer.ts"

/**
 * The composing service.
 *
 * @since 0.1.0
 */
export interface ComposerService {
  /** Composes a message; fails with `InvalidMessage`, which names the field at fault. */
  readonly compose: (mail: Mail.Mail) => Effect.Effect<Composed.Composed, MailError.MailError>
  /**
   * A step for each composed message, such as signing it. `compose` runs it by itself. A template, which composes in its
   * own way, runs it on what it rendered and passes the parts that all its messages share.
   */
  readonly finish?:
    | ((
        message: Composed.Composed,
        body?: Composed.SharedBody
      ) => Effect.Effect<Composed.Composed, MailError.MailError>)
    | undefined
}

/**
 * A message that is composed when its turn comes, as from a template: an Effect that gives the bytes. `Mailer` treats it like a
 * mail, and its `id` names it even if composing fails.
 *
 * @since 0.1.0
 */
export interface Composing extends Effect.Effect<Composed.Composed, MailError.MailError> {
  /** The caller's name for the message; its `Delivery` carries it. */
  readonly id?: string | undefined
}

/**
 * The composer in use. Defaults to the native one.
 *
 * @since 0.1.0
 */
export const Composer = Context.Reference<ComposerService>("mailrace/Composer", {
  defaultValue: () => ({ compose: MimeComposer.compose })
})
