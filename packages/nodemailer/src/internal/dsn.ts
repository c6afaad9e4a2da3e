/**
 * Converts requests for delivery status notifications (RFC 3461) between nodemailer's options and Mailrace's.
 */
import type * as Envelope from "mailrace/Envelope"
import * as MailError from "mailrace/MailError"
import * as Result from "effect/Result"
import type { Dsn } from "./peer.ts"

/** Writes the option `dsn`. */
export const write = (dsn: Envelope.Dsn) => ({
  ...(dsn.return === undefined ? {} : { ret: dsn.return === "full" ? "FULL" : "HDRS" }),
  ...(dsn.envelopeId === undefined ? {} : { envid: dsn.envelopeId }),
  ...(dsn.notify === undefined ? {} : { notify: dsn.notify === "never" ? "never" : [...dsn.notify] }),
  ...(dsn.originalRecipient === undefined ? {} : { orcpt: dsn.originalRecipient })
})

/** Reads the option `dsn` in all of its spellings. Fails for a word that nodemailer does not know either. */
export const read = (given: Dsn | null | undefined): Result.Result<Envelope.Dsn | undefined, MailError.MailError> => {
  if (given === undefined || given === null) return Result.succeed(undefined)
  const back = returned[String(given.ret || given.return || "").toUpperCase()]
  if (back === undefined) return invalid("dsn.return", `"${given.ret || given.return}" is neither FULL nor HDRS`)
  const words = [given.notify || []].flat().flatMap((text) => String(text).split(","))
  const notify = words.map((word) => word.trim().toLowerCase())
  const events = notify.filter((word): word is Event => (known as ReadonlyArray<string>).includes(word))
  const isNever = notify.length === 1 && notify[0] === "never"
  if (events.length < notify.length && !isNever)
    return invalid("dsn.notify", `"${words.join(",")}" is neither NEVER nor a list of SUCCESS, FAILURE and DELAY`)
  const dsn: Envelope.Dsn = {
    return: back || undefined,
    envelopeId: text(given.envid || given.id),
    notify: isNever ? "never" : events.length === 0 ? undefined : events,
    originalRecipient: text(given.recipient || given.orcpt)
  }
  return Object.values(dsn).every((value) => value === undefined) ? Result.succeed(undefined) : Result.succeed(dsn)
}

const known = ["success", "failure", "delay"] as const

type Event = (typeof known)[number]

const returned: { readonly [word: string]: "full" | "headers" | "" | undefined } = {
  "": "",
  FULL: "full",
  BODY: "full",
  HDRS: "headers",
  HEADERS: "headers"
}

const text = (value: unknown): string | undefined => (value ? String(value) : undefined)

const invalid = (field: string, problem: string) => Result.fail(MailError.invalid(field, problem))
