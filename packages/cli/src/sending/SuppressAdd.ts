/**
 * Appends permanently refused addresses to a suppression list, for `--suppress` in the next run.
 *
 * Each address is appended as soon as its refusal arrives, so a killed run loses none. Addresses that the list already
 * holds are not repeated. If the list cannot be written, for example on a full disk, the run continues and reports it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
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
  const bytes = yield* read(fs, file)
  const known = yield* SuppressionList.parse(file, Stream.make(bytes))
  const appending = new Appending(fs, file, known, bytes.length > 0 && bytes.at(-1) !== LF)
  const oneAtATime = yield* Semaphore.make(1)
  const addAll = (addresses: ReadonlyArray<string>): Effect.Effect<void> =>
    addresses.length === 0
      ? Effect.void
      : oneAtATime.withPermits(1)(Effect.forEach(addresses, (address) => appending.add(address), { discard: true }))
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
    summary: Effect.sync(() => appending.summary)
  }
  return list
})

/** The content of a list that can be appended to; anything else is refused before a message is sent. */
const read = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, file: string) {
  // Asked before it is opened, because a pipe opens only when somebody reads it.
  const there = Option.getOrUndefined(yield* Effect.option(fs.stat(file)))
  if (there !== undefined && there.type !== "File" && there.type !== "Directory") {
    return yield* new CommandError({ problem: `--suppress-add ${file} is not a regular file`, remedy: "name a file" })
  }
  yield* Effect.mapError(Effect.scoped(fs.open(file, { flag: "a", mode: 0o600 })), (error) => unwritable(file, error))
  const bytes = yield* Effect.mapError(fs.readFile(file), (error) => unreadable(file, error))
  const unfit = new CommandError({
    problem: `--suppress-add ${file} is not a list of one address a line in UTF-8`,
    remedy: "name another file; --suppress accepts several"
  })
  if (Utf16.encodingOf(bytes) !== undefined) return yield* unfit
  const takes = yield* SuppressionList.parse(file, Stream.make(firstLineOf(bytes), Buffer.from(`\n${probe}\n`)))
  if ((yield* find(takes, probe)) === undefined) return yield* unfit
  return bytes
})

/** Appends addresses to an open list, each once. */
class Appending {
  private readonly fs: FileSystem.FileSystem
  private readonly file: string
  private readonly known: SuppressionList.List
  private readonly added = new Set<string>()
  private isWithinLine: boolean
  private problem: string | undefined

  constructor(fs: FileSystem.FileSystem, file: string, known: SuppressionList.List, isWithinLine: boolean) {
    this.fs = fs
    this.file = file
    this.known = known
    this.isWithinLine = isWithinLine
  }

  add(address: string): Effect.Effect<void> {
    const key = address.toLowerCase()
    if (this.added.has(key)) return Effect.void
    return Effect.flatMap(find(this.known, address), (found) => {
      if (found !== undefined) return Effect.void
      this.added.add(key)
      const line = `${this.isWithinLine ? "\n" : ""}${entryOf(address)}\n`
      return Effect.match(this.fs.writeFileString(this.file, line, { flag: "a", mode: 0o600 }), {
        onSuccess: () => void (this.isWithinLine = false),
        onFailure: (error) => {
          this.added.delete(key)
          this.problem ??= unwritable(this.file, error).problem
        }
      })
    })
  }

  get summary(): string | undefined {
    const { size } = this.added
    const parts = [
      size > 0 &&
        `${Format.plural(size, "address", "addresses")} added to ${this.file}: the relay calls ${size === 1 ? "it" : "them"} non-existent`,
      this.problem !== undefined &&
        `some permanently refused addresses are missing from the suppression list: ${this.problem}`
    ].filter((part) => part !== false)
    return parts.length === 0 ? undefined : parts.join("\n")
  }
}

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

/** The entry that means an address alone: `*@` would be its whole domain, and `#` begins a remark. Quotes change no address. */
const entryOf = (address: string): string => {
  const at = address.lastIndexOf("@")
  const local = address.slice(0, at)
  return /^#|^[^"]*\*/.test(local) ? `"${local}"${address.slice(at)}` : address
}

const firstLineOf = (bytes: Uint8Array): Uint8Array => {
  const end = bytes.indexOf(LF)
  return end === -1 ? bytes : bytes.subarray(0, end)
}

/** An address that no list contains (RFC 2606). */
const probe = "nobody@suppress-add.invalid"

const LF = 10
