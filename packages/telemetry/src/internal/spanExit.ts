/**
 * What a span may say about its end.
 *
 * A failure's words become part of the span, and a relay's reply tends to repeat the recipient ("550 5.1.1
 * <ann@example.org>: unknown"). So replies lose their text and addresses their local part, wherever they stand in the
 * chain of causes. And a span that says `error.type` although its effect succeeded, as Mailrace's do because an end is
 * a value there, is marked as failed, so that a search for errors finds it.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"

/** The same tracer, whose spans are discreet about failures. */
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

/** A word with an `@` in it and a letter after that, as in no path of a package (`vitest@5.1.0`, `/@effect/sql`). */
const address = /(?<=^|[\s<>()[\]"',;:])[^\s<>()[\]"',;:]*[^\s<>()[\]"',;:/](@\p{L}[\p{L}\p{N}.-]*)/gu

type Secret = readonly [secret: string, shown: string]

/** What must not be shown of each `MailError` in the chain of causes, as it stands in its message. */
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
