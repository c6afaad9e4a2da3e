/**
 * The mailbox behind `MailTransport.layerTest`: the messages that a program under test has sent, decoded, and the answers of a
 * relay that is not there.
 *
 * **When to use**
 *
 * In tests of an app. It opens no socket, so that a test is quick and runs under `TestClock`; `@mailrace/testing` has a server
 * on a real socket for tests of what goes over the wire.
 *
 * **Details**
 *
 * - Without rules, every recipient of every message is accepted.
 * - For each recipient the first rule that matches answers. A message of which no recipient is accepted fails, as a relay's
 *   refusals do; `Mailer` retries what may be retried, on the clock.
 * - `awaitSent` waits for messages that another fiber sends.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Mailer from "mailrace/Mailer"
 * import * as MailTransport from "mailrace/MailTransport"
 * import * as RetryPolicy from "mailrace/RetryPolicy"
 * import * as TestMailbox from "mailrace/TestMailbox"
 *
 * const digest = { from: "app@example.org", to: ["ann@example.org", "gone@example.net"], subject: "Digest", text: "…" }
 *
 * await Effect.gen(function* () {
 *   yield* TestMailbox.setRules([{ to: "*@example.net", answer: "refuse" }])
 *   const delivery = yield* Mailer.send(digest, { retry: RetryPolicy.none })
 *   const [mail] = yield* TestMailbox.sent
 *   console.log(delivery._tag, mail!.to) // Accepted [ "ann@example.org" ]
 * }).pipe(Effect.provide(MailTransport.layerTest()), Effect.runPromise)
 * ```
 *
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type * as Composed from "./Composed.ts"
import { type Gate, MailTransport, type Receipt } from "./internal/model/mailTransport.ts"
import * as MessageBody from "./internal/mime/messageBody.ts"
import * as MimeReader from "./internal/mime/reader.ts"
import * as MailError from "./MailError.ts"
import type * as Reply from "./Reply.ts"

/**
 * A message that the program has sent, decoded from its bytes.
 *
 * @since 0.1.0
 */
export interface SentMail {
  /** The caller's name for the message (`Mail.id`). */
  readonly id: string | undefined
  /** The Message-ID with its angle brackets; the same at each attempt. */
  readonly messageId: string
  /** The envelope's sender; empty for the null sender. */
  readonly from: string
  /** The envelope's recipients to whom this attempt went, those of Bcc included. In `sent`, those who were accepted. */
  readonly to: ReadonlyArray<string>
  /** The Subject, decoded; empty if there is none. */
  readonly subject: string
  /** All header fields in their order, decoded. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  /** The first field of this name, in any case. */
  readonly header: (name: string) => string | undefined
  /** The plain text; empty if there is none. */
  readonly text: string
  /** The HTML; empty if there is none. */
  readonly html: string
  readonly attachments: ReadonlyArray<SentAttachment>
  /** The message as the transport got it. */
  readonly composed: Composed.Composed
  /** When it was handed over, in milliseconds on the `Clock`. */
  readonly at: number
}

/**
 * A file in a message.
 *
 * @since 0.1.0
 */
export interface SentAttachment {
  readonly filename: string | undefined
  readonly contentType: string
  /** Content-ID without angle brackets, for a file that the HTML shows. */
  readonly contentId: string | undefined
  readonly isInline: boolean
  /** The file's bytes. */
  readonly content: Uint8Array
}

/**
 * One attempt at a message.
 *
 * @since 0.1.0
 */
export interface Attempt {
  readonly mail: SentMail
  /** The outcome of each recipient, in the envelope's order. */
  readonly recipients: ReadonlyArray<MailError.RecipientOutcome>
  /** The error that the attempt ended with; `undefined` if a recipient was accepted. */
  readonly error: MailError.MailError | undefined
}

/**
 * What the relay answers.
 *
 * - `accept`: 250.
 * - `refuse`: 550 5.1.1, for good.
 * - `defer`: 451 4.3.0, so that `Mailer` tries again.
 * - `lose`: the relay takes the message and the connection breaks before its reply, so that the outcome is `Unknown`. One such
 *   recipient is enough.
 * - An error fails the whole message with that.
 *
 * @since 0.1.0
 */
export type Answer = "accept" | "refuse" | "defer" | "lose" | MailError.MailError

/**
 * The relay's answer to some recipients or messages.
 *
 * @since 0.1.0
 */
export interface Rule {
  /** Addresses, in which `*` stands for any characters, as in `*@example.org`; case does not matter. Defaults to all. */
  readonly to?: string | ReadonlyArray<string> | undefined
  /** Restricts the rule to messages for which this is true. Defaults to all. */
  readonly when?: ((mail: SentMail) => boolean) | undefined
  /** Ends the rule after so many attempts, from 1. Defaults to never. */
  readonly times?: number | undefined
  /** Defaults to `accept`. */
  readonly answer?: Answer | undefined
  /** The reply to these recipients. Defaults to the one of `answer`. */
  readonly reply?: Reply.Reply | undefined
  /** How long the relay takes; of several rules for one message the longest counts. Defaults to 0. */
  readonly delay?: Duration.Input | undefined
}

/**
 * The options of the layer.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The first rules; `setRules` replaces them. Defaults to none. */
  readonly rules?: ReadonlyArray<Rule> | undefined
  /** How many messages `Mailer.sendAll` has in flight by default, from 1. Defaults to 10. */
  readonly concurrency?: number | undefined
}

/**
 * The messages of the program under test.
 *
 * @since 0.1.0
 */
export class TestMailbox extends Context.Service<
  TestMailbox,
  {
    /** All messages that were accepted, or lost on the way back, in the order in which that happened. */
    readonly sent: Effect.Effect<ReadonlyArray<SentMail>>
    /** All attempts, those that were refused included. */
    readonly attempts: Effect.Effect<ReadonlyArray<Attempt>>
    /** Waits until this many messages have been sent, and returns all of them. */
    readonly awaitSent: (count: number) => Effect.Effect<ReadonlyArray<SentMail>>
    /** Replaces the rules for attempts from now on. */
    readonly setRules: (rules: ReadonlyArray<Rule>) => Effect.Effect<void>
    /** Forgets all messages and attempts. */
    readonly clear: Effect.Effect<void>
  }
>()("mailrace/TestMailbox") {}

/**
 * All messages that were accepted, or lost on the way back, in the order in which that happened.
 *
 * @since 0.1.0
 */
export const sent: Effect.Effect<ReadonlyArray<SentMail>, never, TestMailbox> = Effect.flatMap(
  TestMailbox,
  (mailbox) => mailbox.sent
)

/**
 * All attempts, those that were refused included.
 *
 * @since 0.1.0
 */
export const attempts: Effect.Effect<ReadonlyArray<Attempt>, never, TestMailbox> = Effect.flatMap(
  TestMailbox,
  (mailbox) => mailbox.attempts
)

/**
 * Waits until this many messages have been sent, and returns all of them.
 *
 * @since 0.1.0
 */
export const awaitSent = (count: number): Effect.Effect<ReadonlyArray<SentMail>, never, TestMailbox> =>
  Effect.flatMap(TestMailbox, (mailbox) => mailbox.awaitSent(count))

/**
 * Replaces the rules for attempts from now on.
 *
 * @since 0.1.0
 */
export const setRules = (rules: ReadonlyArray<Rule>): Effect.Effect<void, never, TestMailbox> =>
  Effect.flatMap(TestMailbox, (mailbox) => mailbox.setRules(rules))

/**
 * Forgets all messages and attempts.
 *
 * @since 0.1.0
 */
export const clear: Effect.Effect<void, never, TestMailbox> = Effect.flatMap(TestMailbox, (mailbox) => mailbox.clear)

/**
 * A transport for tests and its mailbox; the same as `MailTransport.layerTest`.
 *
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<MailTransport | TestMailbox> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const sentMails: Array<SentMail> = []
      const allAttempts: Array<Attempt> = []
      // Wakes the fibers that wait for this number.
      const count = yield* SubscriptionRef.make(0)
      let rules = (options.rules ?? []).map(activeRule)
      const record = (attempt: Attempt, arrived: ReadonlyArray<string>) =>
        Effect.suspend(() => {
          allAttempts.push(attempt)
          if (arrived.length > 0) sentMails.push({ ...attempt.mail, to: arrived })
          return SubscriptionRef.set(count, sentMails.length)
        })

      const send: MailTransport["Service"]["send"] = (message, { gate, restore } = {}) =>
        Effect.uninterruptibleMask((own) =>
          Effect.gen(function* () {
            const wait = restore ?? own
            if (gate !== undefined) yield* wait(passGate(gate))
            const mail = yield* wait(decode(message))
            const matched = message.envelope.to.map((address) => rules.find((rule) => rule.matches(address, mail)))
            for (const rule of new Set(matched)) rule?.use()
            yield* wait(
              Effect.all(
                matched.map((rule) => Effect.sleep(rule?.delay ?? 0)),
                { concurrency: "unbounded" }
              )
            )
            const outcome = outcomeOf(mail, matched)
            yield* record({ mail, ...outcome }, outcome.arrived)
            return yield* outcome.error === undefined
              ? Effect.succeed<Receipt>({ reply: accepted, recipients: outcome.recipients, relay: "test" })
              : Effect.fail(outcome.error)
          })
        )

      return Context.make(MailTransport, MailTransport.of({ send, concurrency: options.concurrency })).pipe(
        Context.add(
          TestMailbox,
          TestMailbox.of({
            sent: Effect.sync(() => [...sentMails]),
            attempts: Effect.sync(() => [...allAttempts]),
            awaitSent: (wanted) =>
              SubscriptionRef.changes(count).pipe(
                Stream.takeUntil(() => sentMails.length >= wanted),
                Stream.runDrain,
                Effect.map(() => [...sentMails])
              ),
            setRules: (next) => Effect.sync(() => void (rules = next.map(activeRule))),
            clear: Effect.suspend(() => {
              sentMails.length = 0
              allAttempts.length = 0
              return SubscriptionRef.set(count, 0)
            })
          })
        )
      )
    })
  )

const passGate = (gate: Gate): Effect.Effect<void, MailError.MailError> =>
  Effect.suspend(() => (gate.isOpen ? Effect.void : Effect.andThen(gate.opened, passGate(gate))))

/** A rule that counts the attempts it has answered. */
interface ActiveRule {
  readonly answer: Answer
  readonly reply: Reply.Reply | undefined
  readonly delay: Duration.Input
  readonly matches: (address: string, mail: SentMail) => boolean
  readonly use: () => void
}

const activeRule = ({
  answer = "accept",
  delay = 0,
  reply,
  times = Number.POSITIVE_INFINITY,
  to,
  when
}: Rule): ActiveRule => {
  const patterns = to === undefined ? undefined : [to].flat().map(patternOf)
  let left = times
  return {
    answer,
    reply,
    delay,
    matches: (address, mail) =>
      left > 0 &&
      (patterns === undefined || patterns.some((pattern) => pattern.test(address))) &&
      (when === undefined || when(mail)),
    use: () => void left--
  }
}

/** A pattern in which `*` stands for any characters. */
const patternOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((text) => text.replace(/[\\^$.|?+()[\]{}/]/g, "\\$&"))
      .join(".*")}$`,
    "isu"
  )

const accepted: Reply.Reply = { code: 250, enhanced: "2.0.0", text: "accepted" }

const replies: Record<Exclude<Answer, MailError.MailError>, Reply.Reply> = {
  accept: accepted,
  lose: accepted,
  refuse: { code: 550, enhanced: "5.1.1", text: "no such mailbox" },
  defer: { code: 451, enhanced: "4.3.0", text: "try again later" }
}

interface Outcome {
  readonly recipients: ReadonlyArray<MailError.RecipientOutcome>
  readonly error: MailError.MailError | undefined
  /** The recipients that the message has reached. */
  readonly arrived: ReadonlyArray<string>
}

const outcomeOf = ({ to }: SentMail, matched: ReadonlyArray<ActiveRule | undefined>): Outcome => {
  const failure = matched.map((rule) => rule?.answer).find(MailError.isMailError)
  if (failure !== undefined) return { recipients: [], error: failure, arrived: [] }
  const recipients = to.map((address, index): MailError.RecipientOutcome => {
    const rule = matched[index]
    const answer = rule?.answer ?? "accept"
    const reply = rule?.reply ?? replies[answer as keyof typeof replies]
    const outcome = reply.code < 400 ? "accepted" : reply.code < 500 ? "deferred" : "rejected"
    return { address, outcome, reply }
  })
  const arrived = to.filter((_, index) => recipients[index]!.outcome === "accepted")
  if (matched.some((rule) => rule?.answer === "lose")) {
    const error = MailError.make(
      new MailError.OutcomeUnknown({ problem: "the connection broke before the final reply" })
    )
    return { recipients: recipients.map((one) => ({ ...one, outcome: "unknown" })), error, arrived }
  }
  if (arrived.length > 0) return { recipients, error: undefined, arrived }
  const reply = recipients[0]?.reply ?? replies.refuse
  return { recipients, error: MailError.make(new MailError.RecipientsRejected({ recipients, reply })), arrived }
}

/** Reads a message back from its bytes. */
const decode = (composed: Composed.Composed): Effect.Effect<SentMail, MailError.MailError> =>
  Effect.gen(function* () {
    const { content, envelope, id, messageId } = composed
    const bytes = content instanceof Uint8Array ? content : Buffer.concat(yield* Stream.runCollect(content.stream))
    const read = MimeReader.read(bytes)
    const { files = [], html = "", text = "" } = read === undefined ? {} : MessageBody.read(read)
    const headers = (read?.headers ?? []).map(({ name, value }) => [name, MimeReader.decodeText(value)] as const)
    const header = (name: string) => headers.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1]
    return {
      id,
      messageId,
      from: envelope.from ?? "",
      to: envelope.to,
      subject: header("Subject") ?? "",
      headers,
      header,
      text,
      html,
      attachments: files.map((part) => ({
        filename: part.filename,
        contentType: part.type,
        contentId: part.contentId,
        isInline: part.disposition === "inline",
        content: part.body
      })),
      composed,
      at: yield* Clock.currentTimeMillis
    }
  })
