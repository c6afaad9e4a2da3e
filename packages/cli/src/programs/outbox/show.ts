/**
 * The program of `mailrace outbox show`: shows everything about one message, its addresses included.
 */
import type { Attempt, Entry, Recipient } from "@mailrace/outbox/OutboxEntry"
import type { Details } from "@mailrace/outbox/Outbox"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Composed from "mailrace/Composed"
import type * as Mail from "mailrace/Mail"
import { CommandError } from "../../CommandError.ts"
import * as Format from "../../text/format.ts"
import * as Printable from "../../text/printable.ts"
import * as EntryView from "../../output/EntryView.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as Times from "../../text/Times.ts"

/** Which message is shown. */
export interface Options extends OutboxLocation.Options {
  readonly id: string
  readonly json: boolean
}

/** Shows a message. */
export const run = Effect.fnUntraced(
  function* (options: Options) {
    const outbox = yield* OutboxLocation.open(options, { create: false })
    const details = yield* outbox.get(options.id)
    if (details === undefined) {
      return yield* new CommandError({
        problem: `there is no message ${options.id} in ${outbox.name}`,
        remedy: "find its id with mailrace outbox list"
      })
    }
    const now = yield* Clock.currentTimeMillis
    const { colors } = yield* Terminal.style
    yield* Terminal.print(
      options.json ? `${Printable.json(toJson(details, now))}\n` : draw(details, now, Format.paint(colors))
    )
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

const toJson = ({ attempts, entry, mail }: Details, now: number) => ({
  ...EntryView.toJson(entry, { now, addresses: true }),
  ...(mail === undefined
    ? { from: null, to: null, subject: null }
    : Composed.isComposed(mail)
      ? { from: mail.envelope.from ?? null, to: mail.envelope.to, subject: null }
      : { from: mail.from, to: mail.to, cc: mail.cc, bcc: mail.bcc, envelope: mail.envelope, subject: mail.subject }),
  attempts: entry.attempts,
  history: attempts.map(EntryView.attemptToJson)
})

const draw = ({ attempts, entry, mail }: Details, now: number, paint: Format.Paint): string => {
  const facts = [...envelope(mail, entry), ...standing(entry, now)]
  const width = Math.max(...facts.map(([name]) => name.length))
  return [
    `${paint.bold(entry.id)}  ${EntryView.colorOf(entry.state, paint)(stateOf(entry))}`,
    "",
    ...facts.map(([name, value]) => `  ${paint.dim(name.padEnd(width))}  ${Printable.line(value)}`),
    ...recipients(entry.recipients, paint),
    ...history(attempts, entry, paint)
  ]
    .map((line) => `${line}\n`)
    .join("")
}

type Fact = readonly [name: string, value: string]

const stateOf = ({ attempts, state }: Entry): string =>
  state === "due" && attempts > 0 ? "due again" : state === "claimed" ? "claimed: in flight" : state

const envelope = (mail: Details["mail"], entry: Entry): ReadonlyArray<Fact> => {
  if (mail === undefined)
    return [
      [
        "to",
        `${entry.recipient} (the other addresses were deleted with the body, which is kept until a message is finished)`
      ]
    ]
  if (Composed.isComposed(mail)) {
    return [
      ["from", mail.envelope.from ?? "<>"],
      ["to", mail.envelope.to.join(", ")]
    ]
  }
  const facts: Array<Fact> = [
    ["from", mailboxes(mail.from)],
    ["to", mailboxes(mail.to)]
  ]
  if (mail.cc !== undefined) facts.push(["cc", mailboxes(mail.cc)])
  if (mail.bcc !== undefined) facts.push(["bcc", mailboxes(mail.bcc)])
  if (mail.envelope !== undefined) {
    facts.push([
      "envelope",
      `from ${mail.envelope.from ?? "the sender"}, to ${mail.envelope.to?.join(", ") ?? "all of these"}`
    ])
  }
  facts.push(["subject", mail.subject])
  return facts
}

const standing = (entry: Entry, now: number): ReadonlyArray<Fact> => {
  const at = (date: Date): string => `${Times.absolute(date)}, ${Times.relative(date, now)}`
  const facts: Array<Fact> = [
    ["message-id", entry.messageId],
    ["lane", `${entry.lane}, priority ${entry.priority}`]
  ]
  if (entry.tenant !== undefined) facts.push(["tenant", entry.tenant])
  if (entry.idempotencyKey !== undefined) facts.push(["key", entry.idempotencyKey])
  if (entry.traceId !== undefined) facts.push(["trace", entry.traceId])
  facts.push(["size", Format.bytes(entry.size)], ["enqueued", at(entry.createdAt)])
  if (entry.settledAt !== undefined) facts.push([entry.state, at(entry.settledAt)])
  else if (entry.state === "due") facts.push(["due", at(entry.dueAt)])
  else facts.push(["claimed", at(entry.updatedAt)])
  if (entry.settledAt === undefined) facts.push(["expires", at(entry.expiresAt)])
  return facts
}

const recipients = (all: ReadonlyArray<Recipient>, paint: Format.Paint): ReadonlyArray<string> =>
  all.length === 0
    ? []
    : [
        "",
        paint.bold("Recipients"),
        ...all.map(({ address, outcome, reply }) =>
          Printable.line(`  ${outcome.padEnd(8)}  ${address}${reply === undefined ? "" : `: ${reply}`}`)
        )
      ]

const history = (attempts: ReadonlyArray<Attempt>, entry: Entry, paint: Format.Paint): ReadonlyArray<string> => {
  return [
    "",
    paint.bold("Attempts"),
    ...(entry.attempts === 0 ? [paint.dim("  none yet")] : []),
    ...attempts.flatMap(({ at, code, enhanced, number, outcome, relay, reply }) => {
      const code_ = EntryView.codeOf({ lastCode: code, lastEnhanced: enhanced })
      const head = [String(number).padStart(3), Times.absolute(at), outcome, relay, code_]
      const line = `  ${head.filter((part) => part !== undefined && part !== "").join("  ")}`
      return reply === undefined ? [line] : [line, paint.dim(`       ${Printable.line(reply)}`)]
    }),
    ...(entry.crashes > 0
      ? [paint.dim(`  ${Format.plural(entry.crashes, "process", "processes")} died while sending it`)]
      : [])
  ]
}

const mailboxes = (value: Mail.Mailboxes): string => (Array.isArray(value) ? value : [value]).map(mailbox).join(", ")

const mailbox = (value: Mail.Mailbox): string =>
  typeof value === "string" ? value : value.name === undefined ? value.address : `${value.name} <${value.address}>`
