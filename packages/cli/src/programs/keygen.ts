/**
 * The program of `mailrace dkim keygen`: makes a key, stores its private half where only the user can read it, and
 * prints the DNS record.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as Dkim from "mailrace/Dkim"
import { CommandError } from "../CommandError.ts"
import { unwritable } from "../internal/files.ts"
import * as Terminal from "../output/Terminal.ts"

/** The key to make. */
export interface Options {
  /** The domain that signs. */
  readonly domain: string
  /** The key's name at that domain. */
  readonly selector: string
  readonly algorithm: "rsa" | "ed25519"
  /** The private key's file, or `-` for standard output. Defaults to `SELECTOR.DOMAIN.pem`. */
  readonly out?: string | undefined
}

/** Makes a key. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const { privateKey } = yield* Dkim.generateKeys(options.algorithm === "rsa" ? "rsa-sha256" : "ed25519-sha256")
  const { keys } = yield* Effect.mapError(
    Dkim.make({ domain: options.domain, selector: options.selector, privateKey }),
    ({ problem, remedy }) =>
      new CommandError({ problem: `${options.selector} at ${options.domain}: ${problem}`, remedy })
  )
  const [key] = keys
  const out = options.out ?? `${key!.selector}.${key!.domain}.pem`
  if (out === "-") {
    yield* Terminal.print(Redacted.value(privateKey))
    return yield* Terminal.log(instructions(key!, "FILE"))
  }
  const fs = yield* FileSystem.FileSystem
  // "wx" keeps an existing file: a lost key cannot be recovered.
  yield* Effect.mapError(fs.writeFileString(out, Redacted.value(privateKey), { flag: "wx", mode: 0o600 }), (error) =>
    error.reason._tag === "AlreadyExists"
      ? new CommandError({
          problem: `${out} exists already and is not overwritten`,
          remedy: "name another file with --out"
        })
      : unwritable(out, error)
  )
  yield* Terminal.print(
    `The private key is in ${out}. Keep it secret: anyone who has it can sign as ${key!.domain}.\n\n`
  )
  yield* Terminal.print(`${instructions(key!, out)}\n`)
})

const instructions = (key: Dkim.SigningKey, file: string): string => {
  const record = Dkim.dnsRecord(key)
  return `Add this record to the DNS of ${key.domain}:

  name   ${record.name}
  type   ${record.type}
  value  ${record.value}

or, as a line in a zone file:

${record.zone}

Once the record is visible (dig +short TXT ${record.name}), sign with it:

mailrace send --dkim-domain ${key.domain} --dkim-selector ${key.selector} --dkim-key ${file} ...`
}
