/**
 * Removes personal data from the end of a span.
 *
 * A failure's words become part of the span, and a relay's reply often repeats the recipient ("550 5.1.1
 * <ann@example.org>: unknown"). So replies lose their text and addresses their local part, anywhere in the chain of causes.
 * In Mailrace, a failed message is a value, so its span has `error.type` although its effect succeeded. Such a span is marked as
 * failed, so that a search for errors finds it.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"

/** The same tracer, with spans that hide personal data in failures. */
export const discreet = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (options) => {
      const span = tracer.span(options)
      const end = span.end
      span.end = (endTime, exit) => end.call(span, endTime, spanExit(span, exit))
      return span
    }
  })

const spanExit = (span: Tracer.Span, exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> => {
  if (Exit.isSuccess(exit)) {
    const type = span.attributes.get("error.type")
    return typeof type === "string" ? Exit.fail({ name: type, message: type }) : exit
  }
  if (Cause.hasInterruptsOnly(exit.cause)) return exit
  const secrets = exit.cause.reasons.flatMap((reason) =>
    Cause.isFailReason(reason) ? secretsOf(reason.error) : Cause.isDieReason(reason) ? secretsOf(reason.defect) : []
  )
  const hide = (text: string): string =>
    secrets.reduce((rest, [secret, shown]) => rest.replaceAll(secret, shown), text).replace(address, "…$1")
  return Exit.failCause(
    Cause.fromReasons(
      Cause.prettyErrors(exit.cause, { includeCauseInStack: true }).map((error) =>
        Cause.makeFailReason({ name: error.name, message: hide(error.message), stack: hide(error.stack ?? "") })
      )
    )
  )
}

/** A word with an `@` and a letter after it, which no path of a package has (`vitest@5.1.0`, `/@effect/sql`). */
const address = /(?<=^|[\s<>()[\]"',;:])[^\s<>()[\]"',;:]*[^\s<>()[\]"',;:/](@\p{L}[\p{L}\p{N}.-]*)/gu

type Secret = readonly [secret: string, shown: string]

/** The texts to hide from the message of each `MailError` in the chain of causes. */
const secretsOf = (error: unknown, depth = 0): ReadonlyArray<Secret> => {
  if (typeof error !== "object" || error === null || depth > 8) return []
  const deeper = "cause" in error ? secretsOf(error.cause, depth + 1) : []
  if (!MailError.isMailError(error)) return deeper
  const { reason, reply } = error
  const own: Array<Secret> = []
  if (reply !== undefined) own.push([Reply.format(reply), Reply.format({ ...reply, text: withheld })])
  if (reason._tag === "InvalidMessage" && reason.problem !== "") own.push([reason.problem, withheld])
  return [...own, ...deeper]
}

const withheld = "(text withheld)"
