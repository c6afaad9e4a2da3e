/**
 * Converts requests for delivery status notifications (RFC 3461) between nodemailer's options and Mailrace's.
 */
import type * as Envelope from "mailrace/Envelope"
import type { SendMailOptions } from "nodemailer"

type Given = NonNullable<SendMailOptions["dsn"]>

/** Writes the option `dsn`. */
export const write = (dsn: Envelope.Dsn): Given => ({
  ...(dsn.return === undefined ? {} : { ret: dsn.return === "full" ? "FULL" : "HDRS" }),
  ...(dsn.envelopeId === undefined ? {} : { envid: dsn.envelopeId }),
  ...(dsn.notify === undefined ? {} : { notify: dsn.notify === "never" ? "never" : [...dsn.notify] })
})

/** Reads the option `dsn` in all of its spellings and drops unknown ones. */
export const read = (given: SendMailOptions["dsn"]): Envelope.Dsn | undefined => {
  if (given === undefined || given === null) return undefined
  const back = String(given.ret ?? given.return ?? "").toUpperCase()
  const notify = [given.notify ?? []].flat().flatMap((text) => String(text).toLowerCase().split(","))
  const events = (["success", "failure", "delay"] as const).filter((event) =>
    notify.some((one) => one.trim() === event)
  )
  const id = given.envid ?? given.id ?? undefined
  return {
    return: /^(?:FULL|BODY)$/.test(back) ? "full" : /^(?:HDRS|HEADERS)$/.test(back) ? "headers" : undefined,
    envelopeId: id === undefined ? undefined : String(id),
    notify: notify.some((one) => one.trim() === "never") ? "never" : events.length === 0 ? undefined : events
  }
}
