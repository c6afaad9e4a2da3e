/**
 * Finds the fields that many messages share: those of a body that repeats.
 */
import type * as Mail from "mailrace/Mail"
import { share } from "./storedAttachment.ts"
import type { Shared } from "../store/storedContent.ts"

/** Shared fields below this size in characters are not worth a row of their own. */
const smallestCommon = 128

/** The number of bodies that are remembered. */
export const rememberedBodies = 64

type Json = { readonly [field: string]: unknown }

/** Marks, in JSON, fields that are a difference from shared fields. */
export const commonMark = "~"

/** Fields that many messages share. */
export interface Common {
  /** The comparable form of each field. */
  readonly looks: { readonly [field: string]: string }
  readonly shared: Shared
}

/**
 * Finds bodies that repeat. The first message with a body is only remembered; the second shows which fields they share.
 */
export class CommonBodies {
  private readonly seen = new Map<string, { first: Looks | undefined; common: Common | undefined }>()

  find(mail: Mail.Mail): Common | undefined {
    const body = mail.html ?? mail.text
    if (body === undefined) return undefined
    const known = this.seen.get(body)
    if (known === undefined) {
      if (this.seen.size >= rememberedBodies) this.seen.delete(this.seen.keys().next().value!)
      this.seen.set(body, { first: looksOf(mail), common: undefined })
      return undefined
    }
    if (known.first !== undefined) {
      known.common = makeCommon(known.first, mail)
      known.first = undefined
      // Keeps the campaign's body while one-off messages pass by.
      this.seen.delete(body)
      this.seen.set(body, known)
    }
    return known.common
  }
}

/** The message without its shared fields. */
export const difference = (mail: Mail.Mail, { looks }: Common): Json => {
  const own: Record<string, unknown> = { [commonMark]: 1 }
  const fields = mail as unknown as Json
  for (const field in fields) {
    const value = fields[field]
    if (value !== undefined && (ownFields.has(field) || look(value) !== looks[field])) own[field] = value
  }
  for (const field in looks) if (fields[field] === undefined) own[field] = null
  return own
}

/** Fields that belong to the message alone, whatever they hold: two recipients of one campaign may share a name. */
const ownFields: ReadonlySet<string> = new Set(["id", "to", "data", "messageId"])

type Looks = { readonly [field: string]: string }

/**
 * The comparable form of a field. A text is itself, which costs nothing to compare. An object is compared by its JSON
 * and never by identity, because a caller may change it between two messages.
 */
const look = (value: unknown): string => (typeof value === "string" ? value : `\0${JSON.stringify(value)}`)

const looksOf = (mail: Mail.Mail): Looks => {
  const looks: Record<string, string> = {}
  for (const [field, value] of Object.entries(mail)) {
    if (value !== undefined && !ownFields.has(field)) looks[field] = look(value)
  }
  return looks
}

const makeCommon = (first: Looks, second: Mail.Mail): Common | undefined => {
  const looks: Record<string, string> = {}
  const fields: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(second)) {
    if (value === undefined || first[field] === undefined || look(value) !== first[field]) continue
    looks[field] = first[field]
    fields[field] = value
  }
  const content = JSON.stringify(fields)
  return content.length < smallestCommon ? undefined : { looks, shared: share(content) }
}
