/**
 * How mails are signed (DKIM), as the flags and the environment say.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Composed from "mailrace/Composed"
import { Composer, type Composing } from "mailrace/Composer"
import * as Dkim from "mailrace/Dkim"
import type { Sendable } from "mailrace/Mailer"
import { CommandError } from "../CommandError.ts"
import { readText } from "../internal/files.ts"
import { fromEnvironment } from "./Relay.ts"

/** What the flags say of signing. */
export interface SigningFlags {
  readonly dkimDomain: string | undefined
  readonly dkimSelector: string | undefined
  /** A file with the private key, as PEM. */
  readonly dkimKey: string | undefined
}

/** Makes a mail into one that signs itself when it is composed. */
export type Sign = (mail: Sendable) => Composing

/** Reads the key; `undefined` when nothing is to be signed. A key in the environment alone does not ask for it. */
export const resolve = Effect.fnUntraced(function* ({ dkimDomain, dkimKey, dkimSelector }: SigningFlags) {
  if (dkimDomain === undefined && dkimSelector === undefined && dkimKey === undefined) return undefined
  if (dkimDomain === undefined || dkimSelector === undefined) {
    return yield* new CommandError({
      problem: `to sign, --dkim-${dkimDomain === undefined ? "domain" : "selector"} is missing`,
      remedy: "pass --dkim-domain and --dkim-selector as they are in the DNS: SELECTOR._domainkey.DOMAIN"
    })
  }
  const privateKey =
    dkimKey === undefined
      ? yield* fromEnvironment("MAILRACE_DKIM_KEY")
      : Redacted.make(yield* readText(dkimKey), { label: "DKIM key" })
  if (privateKey === undefined) {
    return yield* new CommandError({
      problem: "to sign, the private key is missing",
      remedy: "pass --dkim-key FILE, or set MAILRACE_DKIM_KEY to its text; for a new one run: mailrace dkim keygen"
    })
  }
  const signer = yield* Effect.mapError(
    Dkim.make({ domain: dkimDomain, selector: dkimSelector, privateKey }),
    ({ problem, remedy }) =>
      new CommandError({
        problem: `${dkimKey ?? "the DKIM key"} for ${dkimSelector} at ${dkimDomain}: ${problem}`,
        remedy
      })
  )
  return signWith(signer)
})

const signWith = (signer: Dkim.Signer): Sign => {
  const sign = Dkim.sign(signer)
  return (mail) =>
    Object.assign(
      Composed.isComposed(mail)
        ? sign(mail)
        : Effect.flatMap(
            Effect.flatMap(Composer, (composer) => composer.compose(mail)),
            (message) => sign(message)
          ),
      { id: mail.id }
    )
}
