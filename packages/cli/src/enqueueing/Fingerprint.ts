/**
 * A message's fingerprint: 32 bits of everything that makes it. It recognises a message wherever its input lies, and tells
 * a different message at the same position.
 */
import * as Composed from "mailrace/Composed"
import type { Template } from "mailrace/Template"
import { createHash, hash } from "node:crypto"
import type { InputMail } from "../input/Entry.ts"
import { pathsAsWritten } from "../internal/mailJson.ts"

/**
 * The fingerprint, never 0. Paths of attachments count as written, because they are resolved relative to the input; a
 * Message-ID that was generated while reading does not count.
 */
export const make = (inputMail: InputMail): number => digest(inputMail, pathsAsWritten)

/** True if a stored fingerprint is this message's; older ones hold resolved paths of attachments. */
export const matches = (fingerprint: number, made: number, inputMail: InputMail): boolean =>
  fingerprint === made || (namesFiles(inputMail) && fingerprint === digest(inputMail, asTheyAre))

type Paths = <A>(attachment: A) => A

const asTheyAre: Paths = (attachment) => attachment

const namesFiles = ({ mail, template }: InputMail): boolean =>
  [mail, template?.source].some(
    (part) =>
      part !== undefined &&
      "attachments" in part &&
      part.attachments?.some((attachment) => "path" in attachment && attachment.path !== undefined) === true
  )

/** Hashed at once, which costs a third of an object that is fed piece by piece; in hexadecimal half of a `Buffer`. */
const digest = (inputMail: InputMail, paths: Paths): number =>
  Number.parseInt(hash("sha256", makingOf(inputMail, paths), "hex").slice(0, 8), 16) || 1

/** Everything that makes a message. */
const makingOf = (inputMail: InputMail, paths: Paths): string | Uint8Array => {
  const { mail, template } = inputMail
  if (template !== undefined) {
    const own = JSON.stringify([withPaths(mail, paths), inputMail.own])
    return Buffer.concat([templateDigest(template, paths), Buffer.from(own)])
  }
  if (!Composed.isComposed(mail)) return JSON.stringify(withPaths(mail, paths))
  const content = mail.content instanceof Uint8Array ? mail.content : new Uint8Array()
  const made = Buffer.from(`Message-ID: ${mail.messageId}\r\n`)
  const kept = made.equals(content.subarray(0, made.length)) ? content.subarray(made.length) : content
  return Buffer.concat([Buffer.from(JSON.stringify(mail.envelope)), kept])
}

const withPaths = <A extends { readonly attachments?: ReadonlyArray<object> | undefined }>(mail: A, paths: Paths): A =>
  mail.attachments === undefined || paths === asTheyAre ? mail : { ...mail, attachments: mail.attachments.map(paths) }

const templateDigests = new Map<Paths, WeakMap<Template, Uint8Array>>([
  [asTheyAre, new WeakMap()],
  [pathsAsWritten, new WeakMap()]
])

/** A template's digest, computed once, because a template may hold files. */
const templateDigest = (template: Template, paths: Paths): Uint8Array => {
  const known = templateDigests.get(paths)?.get(template)
  if (known !== undefined) return known
  const { attachments = [], ...rest } = template.source
  const sha = createHash("sha256").update(JSON.stringify(rest))
  for (const { content, ...file } of attachments.map(paths))
    sha.update(JSON.stringify(file)).update(content instanceof Uint8Array ? content : String(content))
  const made = sha.digest()
  templateDigests.get(paths)?.set(template, made)
  return made
}
