/**
 * Access tokens for a login by OAuth2, as nodemailer obtains them: a fixed one, one by a refresh token or a service account, or
 * one from the callback that the app registers (`transporter.set("oauth2_provision_cb", …)`).
 */
import * as SmtpAuth from "@mailrace/smtp/SmtpAuth"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import XOAuth2 from "nodemailer/lib/xoauth2/index.js"
import type { Mailer } from "./peer.ts"
import type { Auth } from "./transportOptions.ts"

/** Obtains the tokens of one transport. */
export class AccessTokens {
  private source: XOAuth2 | undefined
  private mailer: Mailer | undefined

  /** True if the transport logs in by a token. */
  get isUsed(): boolean {
    return this.source !== undefined
  }

  /** Takes nodemailer's transporter, which has the app's callback and gets the event `token`. */
  set owner(mailer: Mailer) {
    this.mailer = mailer
  }

  /** The token at each run; a new one if the relay refused the one before. */
  get(auth: Auth): Effect.Effect<Redacted.Redacted<string>, Error> {
    const source = new XOAuth2({ ...auth } as ConstructorParameters<typeof XOAuth2>[0], false)
    source.on("token", (token: unknown) => void this.mailer?.emit?.("token", token))
    // Each failure comes to the callback too.
    source.on("error", () => {})
    this.source = source
    return Effect.flatMap(SmtpAuth.TokenWasRefused, (isRenewal) =>
      Effect.callback((resume) => {
        source.provisionCallback = this.mailer?.get?.("oauth2_provision_cb") || source.provisionCallback
        source.getToken(isRenewal, (error, token) =>
          resume(error ? Effect.fail(error) : Effect.succeed(Redacted.make(String(token), { label: "relay token" })))
        )
      })
    )
  }
}
