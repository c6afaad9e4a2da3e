/** A message that wants a session of the pool. */
import type * as MailError from "mailrace/MailError"
import type { SmtpSession } from "../../SmtpSession.ts"
import { Place } from "./messageScheduler.ts"

/** A message that wants a session. The pool calls `onPlaced` or `onRefused`, once and at any time from `borrow` on. */
export abstract class Borrower extends Place<SmtpSession> {
  /** There is no session for it, and none to come. */
  abstract onRefused(error: MailError.MailError): void
}
