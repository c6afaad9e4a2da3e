/**
 * The native composer: a `Mail` as the bytes of an Internet message (RFC 5322, RFC 2045–2049).
 */
import type * as Effect from "effect/Effect"
import type * as Composed from "./Composed.ts"
import type * as Mail from "./Mail.ts"
import type * as MailError from "./MailError.ts"

/** Composes a mail; fails with `InvalidMessage` naming the field that is at fault. */
export declare const compose: (mail: Mail.Mail) => Effect.Effect<Composed.Composed, MailError.MailError>
