/**
 * Which messages of an input are in the outbox, by the marks that they bear there.
 *
 * A message of `send --durable` is enqueued under an idempotency key that names its input, its place in it, and a digest
 * of it, as in `send:5f0c9a1e:12:77aa01fe`. So the outbox itself knows how far an input has come, whatever ends the
 * process, and a message that is not what it was at its place shows that the input has changed.
 *
 * The place is the entry's index, with its line behind an `@` where that is not the next number, or with its file behind
 * a `=`, by whose name it is then known.
 */
import type { Entry, State } from "@mailrace/outbox/OutboxEntry"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Composed from "mailrace/Composed"
import type { Template } from "mailrace/Template"
import { createHash } from "node:crypto"
import { realpathSync } from "node:fs"
import { type DroppedEntry, type Letter, type MailEntry, unscreened } from "../input/Entry.ts"
import type { Numbered } from "./Intake.ts"
import type { Service } from "./Place.ts"

/** Where a message stands in its input. */
export interface Mark {
  readonly index: number
  /** As in `line 3` or `file welcome.eml`. */
  readonly place: string
}

/** How a message stands: not in, in, or another one is in at its place. */
export type Standing = "new" | "known" | "changed"

/** The messages of one input that are in an outbox. */
export class InputMarks {
  /** How many there are. */
  known = 0
  /** How many of them are in which state, as the outbox said when it was asked. */
  readonly states = new Map<State, number>()
  /** How many mails are due in the whole outbox, of whatever input. */
  dueNow = 0
  /** When the first of those that wait is due. */
  firstDueAt: Date | undefined
  private readonly prefix: string
  private digests = new Uint32Array(1024)
  private readonly files = new Map<string, number>()

  private constructor(prefix: string) {
    this.prefix = prefix
  }

  /** What an outbox holds of an input, a path or `-`. */
  static load(outbox: Service, input: string, now: number) {
    const marks = new InputMarks(`send:${hash(input === "-" ? "-" : realpathSync(input))}:`)
    return Effect.as(
      Stream.runForEachArray(outbox.list(), (entries) =>
        Effect.sync(() => {
          for (const entry of entries) marks.note(entry, now)
        })
      ),
      marks
    )
  }

  /** How a message stands, whoever is left out of it. */
  check({ entry, index }: { readonly entry: MailEntry | DroppedEntry; readonly index: number }): Standing {
    const file = fileOf(entry.place)
    const digest = file === undefined ? (this.digests[index] ?? 0) : (this.files.get(file) ?? 0)
    if (digest === 0) return "new"
    return digest === digestOf(unscreened(entry)) ? "known" : "changed"
  }

  /** The key under which a message is enqueued. */
  keyOf({ entry, index }: Numbered): string {
    const file = fileOf(entry.place)
    const detail = file !== undefined ? `=${file}` : entry.line === index + 1 ? "" : `@${entry.line}`
    return `${this.prefix}${index}${detail}:${digestOf(unscreened(entry)).toString(16).padStart(8, "0")}`
  }

  /** Where the message of a key stands; `undefined` when it is not of this input. */
  markOf(key: string | undefined): Mark | undefined {
    const parsed = this.parse(key)
    if (parsed === undefined) return undefined
    const { file, index, line } = parsed
    return { index, place: file === undefined ? `line ${line}` : `file ${file}` }
  }

  private note({ dueAt, idempotencyKey, state }: Entry, now: number): void {
    if (state === "claimed" || (state === "due" && dueAt.getTime() <= now)) this.dueNow++
    const parsed = this.parse(idempotencyKey)
    if (parsed === undefined) return
    this.known++
    this.states.set(state, (this.states.get(state) ?? 0) + 1)
    if (state === "due" && (this.firstDueAt === undefined || dueAt < this.firstDueAt)) this.firstDueAt = dueAt
    const { digest, file, index } = parsed
    if (file !== undefined) {
      this.files.set(file, digest)
      return
    }
    if (index >= this.digests.length) {
      const grown = new Uint32Array(Math.max(index + 1, this.digests.length * 2))
      grown.set(this.digests)
      this.digests = grown
    }
    this.digests[index] = digest
  }

  private parse(key: string | undefined) {
    if (key === undefined || !key.startsWith(this.prefix)) return undefined
    const parts = /^(\d+)(?:@(\d+)|=(.*))?:([0-9a-f]{8})$/s.exec(key.slice(this.prefix.length))
    if (parts === null) return undefined
    const index = Number(parts[1])
    return {
      index,
      line: parts[2] === undefined ? index + 1 : Number(parts[2]),
      file: parts[3],
      digest: Number.parseInt(parts[4]!, 16)
    }
  }
}

const fileOf = (place: string | undefined): string | undefined =>
  place === undefined ? undefined : place.replace(/^file /, "")

const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8)

/** 32 bits, never 0. A Message-ID that was made up while reading is left out. */
const digestOf = (letter: Letter): number => {
  const { mail, template } = letter
  const sha = createHash("sha256")
  if (template !== undefined) {
    sha.update(templateDigest(template)).update(JSON.stringify([mail, letter.own]))
  } else if (Composed.isComposed(mail)) {
    sha.update(JSON.stringify(mail.envelope))
    const content = mail.content instanceof Uint8Array ? mail.content : new Uint8Array()
    const made = Buffer.from(`Message-ID: ${mail.messageId}\r\n`)
    sha.update(made.equals(content.subarray(0, made.length)) ? content.subarray(made.length) : content)
  } else sha.update(JSON.stringify(mail))
  return sha.digest().readUInt32BE(0) || 1
}

const templateDigests = new WeakMap<Template, Uint8Array>()

/** A template's own digest, made once: it may hold files. */
const templateDigest = (template: Template): Uint8Array => {
  const known = templateDigests.get(template)
  if (known !== undefined) return known
  const { attachments = [], ...rest } = template.source
  const sha = createHash("sha256").update(JSON.stringify(rest))
  for (const { content, ...file } of attachments)
    sha.update(JSON.stringify(file)).update(content instanceof Uint8Array ? content : String(content))
  const digest = sha.digest()
  templateDigests.set(template, digest)
  return digest
}
