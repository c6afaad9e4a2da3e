/**
 * Signs messages (DKIM) with the key that the options or the environment name.
 */
import type * as MailraceConfig from "@mailrace/config/MailraceConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Composed from "mailrace/Composed"
import { Composer, type ComposerService, type Composing } from "mailrace/Composer"
import * as Dkim from "mailrace/Dkim"
import type { Source } from "mailrace/Mailer"
import { CommandError } from "../CommandError.ts"
import { readSecret } from "../internal/environment.ts"
import { readText } from "../internal/files.ts"
import * as Configuration from "./Configuration.ts"

/** The key that signs. */
export interface Options {
  readonly dkimDomain?: string | undefined
  readonly dkimSelector?: string | undefined
  /** A file with the private key, as PEM. */
  readonly dkimKey?: string | undefined
  /** The configuration whose keys sign where no flag names one. */
  readonly configuration?: MailraceConfig.MailraceConfig | undefined
}

/** Turns a message into one that is signed when it is composed. */
export type Sign = (mail: Source) => Composing

/** Reads the key; `undefined` if messages are not signed. A key in the environment alone does not turn signing on. */
export const resolve = Effect.fnUntraced(function* ({ configuration, dkimDomain, dkimKey, dkimSelector }: Options) {
  if (dkimDomain === undefined && dkimSelector === undefined && dkimKey === undefined) {
    if (configuration?.settings.dkim === undefined) return undefined
    return composeWith(yield* Configuration.composer(configuration))
  }
  if (dkimDomain === undefined || dkimSelector === undefined) {
    return yield* new CommandError({
      problem: `to sign, --dkim-${dkimDomain === undefined ? "domain" : "selector"} is missing`,
      remedy: "pass --dkim-domain and --dkim-selector as they are in the DNS: SELECTOR._domainkey.DOMAIN"
    })
  }
  const privateKey =
    dkimKey === undefined
      ? yield* readSecret("MAILRACE_DKIM_KEY")
      : Redacted.make(yield* readText(dkimKey), { label: "DKIM key" })
  if (privateKey === undefined) {
    return yield* new CommandError({
      problem: "to sign, the private key is missing",
      remedy: "pass --dkim-key FILE, or set MAILRACE_DKIM_KEY to its text; mailrace dkim keygen makes a new one"
    })
  }
  const signing = yield* Effect.mapError(
    Effect.scoped(Layer.build(Dkim.layer({ domain: dkimDomain, selector: dkimSelector, privateKey }))),
    ({ problem, remedy }) =>
      new CommandError({
        problem: `${dkimKey ?? "the DKIM key"} for ${dkimSelector} at ${dkimDomain}: ${problem}`,
        remedy
      })
  )
  return composeWith(Context.get(signing, Composer))
})

/** Composes each message with a composer, which also finishes messages that are composed already. */
export const composeWith =
  (composer: ComposerService): Sign =>
  (mail) => {
    if (Effect.isEffect(mail)) return Object.assign(Effect.provideService(mail, Composer, composer), { id: mail.id })
    return Object.assign(
      !Composed.isComposed(mail)
        ? composer.compose(mail)
        : composer.finish === undefined
          ? Effect.succeed(mail)
          : composer.finish(mail),
      { id: mail.id }
    )
  }
