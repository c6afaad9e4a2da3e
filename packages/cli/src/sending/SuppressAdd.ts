/**
 * Appends permanently refused addresses to a suppression list, for `--suppress` in the next run.
 *
 * Each address is appended as soon as its refusal arrives, so a killed run loses none. Addresses that the list already
 * holds are not repeated. If the list cannot be written, for example on a full disk, the run continues and reports it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Address from "mailrace/Address"
import { MailTransport } from "mailrace/MailTransport"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"
import { unreadable, unwritable } from "../internal/files.ts"
import * as Utf16 from "mailrace/Utf16"
import * as SuppressionList from "../input/SuppressionList.ts"
import * as Format from "../text/format.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Printable from "../text/printable.ts"
import { goneOf } from "./mailboxGone.ts"

/** An open suppression list. */
export interface SuppressAdd {
  /** Wraps a transport so that its permanently refused recipients are appended. */
  readonly watch: (transport: MailTransport["Service"]) => MailTransport["Service"]
  /** Describes what was appended; `undefined` if nothing was. */
  readonly summary: Effect.Effect<string | undefined>
}

/** Opens a list. A new file is readable by its owner only. */
export const open = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const failed = Effect.mapError((error: Parameters<typeof unwritable>[1]) => unwritable(file, error))
  yield* failed(Effect.scoped(fs.open(file, { flag: "a", mode: 0o600 })))
  const info = yield* Effect.mapError(fs.stat(file), (error) => unreadable(file, error))
  if (info.type !== "File") {
    return yield* new CommandError({ problem: `--suppress-add ${file} is not a regular file`, remedy: "name a file" })
  }
  const bytes = yield* Effect.mapError(fs.readFile(file), (error) => unreadable(file, error))
  const unfit = new CommandError({
    problem: `--suppress-add ${file} is not a list of one address a line in UTF-8`,
    remedy: "name another file; --suppress accepts several"
  })
  if (Utf16.encodingOf(bytes) !== undefined) return yield* unfit
  const takes = yield* SuppressionList.parse(file, Stream.make(firstLineOf(bytes), Buffer.from(`\n${probe}\n`)))
  if ((yield* find(takes, probe)) === undefined) return yield* unfit
  const known = yield* SuppressionList.parse(file, Stream.make(bytes))
  const added = new Set<string>()
  let isWithinLine = bytes.length > 0 && bytes.at(-1) !== LF
  let problem: string | undefined
  const oneAtATime = yield* Semaphore.make(1)

  const add = Effect.fnUntraced(function* (address: string) {
    const key = address.toLowerCase()
    if (added.has(key) || (yield* find(known, address)) !== undefined) return
    added.add(key)
    const line = `${isWithinLine ? "\n" : ""}${address}\n`
    yield* Effect.matchEffect(fs.writeFileString(file, line, { flag: "a", mode: 0o600 }), {
      onSuccess: () => Effect.sync(() => (isWithinLine = false)),
      onFailure: (error) =>
        Effect.sync(() => {
          added.delete(key)
          problem ??= unwritable(file, error).problem
        })
    })
  })

  const addAll = (addresses: ReadonlyArray<string>): Effect.Effect<void> =>
    addresses.length === 0 ? Effect.void : oneAtATime.withPermits(1)(Effect.forEach(addresses, add, { discard: true }))

  const list: SuppressAdd = {
    watch: (transport) => ({
      ...transport,
      send: (message, options) =>
        transport.send(message, options).pipe(
          Effect.tap(({ recipients }) => addAll(goneOf(recipients, undefined, message.envelope.to))),
          Effect.tapError((error) => {
            const recipients = error.reason._tag === "RecipientsRejected" ? error.reason.recipients : []
            return addAll(goneOf(recipients, error, message.envelope.to))
          })
        )
    }),
    summary: Effect.sync(() => {
      const said = [
        ...(added.size === 0
          ? []
          : [
              `${Format.plural(added.size, "address", "addresses")} added to ${file}: the relay calls ${added.size === 1 ? "it" : "them"} non-existent`
            ]),
        ...(problem === undefined
          ? []
          : [`some permanently refused addresses are missing from the suppression list: ${problem}`])
      ]
      return said.length === 0 ? undefined : said.join("\n")
    })
  }
  return list
})

/** Wraps the transport among the services if there is a list. */
export const watched = <R>(
  services: Context.Context<MailTransport | R>,
  list: SuppressAdd | undefined
): Context.Context<MailTransport | R> =>
  list === undefined ? services : Context.add(services, MailTransport, list.watch(Context.get(services, MailTransport)))

/** Reports what was appended: below the summary, or on standard error if standard output carries JSON. */
export const conclude = ({ summary }: SuppressAdd, json: boolean) =>
  Effect.flatMap(summary, (text) => {
    if (text === undefined) return Effect.void
    const line = Printable.lines(text)
    return json ? Terminal.log(line) : Terminal.print(`${line}\n`)
  })

const find = ({ find }: SuppressionList.List, address: string) =>
  Effect.map(
    Effect.orElseSucceed(find([address as Address.Address]), () => []),
    ([match]) => match
  )

const firstLineOf = (bytes: Uint8Array): Uint8Array => {
  const end = bytes.indexOf(LF)
  return end === -1 ? bytes : bytes.subarray(0, end)
}

/** An address that no list contains (RFC 2606). */
const probe = "nobody@suppress-add.invalid"

const LF = 10
