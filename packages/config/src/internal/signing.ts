/**
 * Signs messages by the domain of their From field, each with the key of that domain or of the nearest one above it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import { Composer, type ComposerService } from "mailrace/Composer"
import * as Dkim from "mailrace/Dkim"
import type * as Mail from "mailrace/Mail"
import * as Mailbox from "mailrace/Mailbox"
import { domainToASCII } from "node:url"
import type { ConfigError } from "../ConfigError.ts"
import { type Configured, readSecret } from "./secrets.ts"

/** The composer that signs; the one that is provided if there are no keys. */
export const composer = (
  config: Configured
): Effect.Effect<ComposerService, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const plain = yield* Composer
    const signing = new Map<string, ComposerService>()
    for (const [domain, { key, selector }] of Object.entries(config.settings.dkim ?? {})) {
      const privateKey = yield* readSecret(config, ["dkim", domain, "key"], key)
      const context = yield* Effect.mapError(
        Effect.scoped(Layer.build(Dkim.layer({ domain, selector, privateKey }))),
        ({ problem, remedy }) => config.faultAt(["dkim", domain], `the key of ${domain}: ${problem}`, remedy)
      )
      signing.set(asciiOf(domain), Context.get(context, Composer))
    }
    if (signing.size === 0) return plain
    const composerOf = (domain: string): ComposerService => {
      for (
        let rest = asciiOf(domain);
        rest !== "";
        rest = rest.includes(".") ? rest.slice(rest.indexOf(".") + 1) : ""
      ) {
        const found = signing.get(rest)
        if (found !== undefined) return found
      }
      return plain
    }
    return {
      compose: (mail) => composerOf(domainOf(mail.from)).compose(mail),
      finish: (message, body) => {
        const chosen = composerOf(domainInHeader(message.content) ?? domainOf(message.envelope.from))
        return chosen.finish === undefined ? Effect.succeed(message) : chosen.finish(message, body)
      }
    }
  })

/** The domain of the last address in a mailbox or a list of them. */
const domainOf = (from: Mail.Mail["from"] | undefined): string => {
  const last = Array.isArray(from) ? from.at(-1) : from
  const text = typeof last === "string" ? last : ((last as { readonly address?: string } | undefined)?.address ?? "")
  const mailboxes = Result.getOrElse(Mailbox.parseHeader(text), () => [])
  const address = mailboxes.at(-1)?.address
  return address === undefined ? "" : Address.domain(address)
}

/** A domain as the DNS has it, in lower case. */
const asciiOf = (domain: string): string => domainToASCII(domain) || domain.toLowerCase()

/** A header is at most so long before its From field. */
const headerBytes = 64 * 1024

/** The domain in the From field of bytes; `undefined` for streams, which are read once. */
const domainInHeader = (content: Composed.Content): string | undefined => {
  if (!(content instanceof Uint8Array)) return undefined
  const beginning = Buffer.from(content.buffer, content.byteOffset, Math.min(content.length, headerBytes))
  const text = beginning.toString("utf8")
  const end = text.search(/\r?\n\r?\n/)
  const field = /(?:^|\n)from[ \t]*:((?:.|\r?\n[ \t])*)/i.exec(end < 0 ? text : text.slice(0, end))
  return field === null ? undefined : domainOf(field[1]!.replace(/\r?\n/g, ""))
}
