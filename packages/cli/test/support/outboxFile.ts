/**
 * An outbox's file as another process finds it: filled and looked at without the command.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import type { EnqueueOptions } from "@mailrace/outbox/EnqueueOptions"
import type { Entry } from "@mailrace/outbox/OutboxEntry"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { enableCompileCache } from "node:module"

// Each use starts a thread that loads its modules anew; compiled before, they take a third of the time.
enableCompileCache()

/** Uses a file's outbox; it is closed afterwards. */
export const using = <A, E>(file: string, use: Effect.Effect<A, E, Outbox.Outbox>) =>
  Effect.provide(use, Outbox.layerSqlite(file))

/** All mails of a file. */
export const entries = (file: string): Effect.Effect<ReadonlyArray<Entry>, unknown> =>
  using(file, Stream.runCollect(Outbox.list()))

/** How many mails are in which state. */
export const states = (file: string) =>
  using(
    file,
    Effect.map(Outbox.stats, ({ states }) => states)
  )

/**
 * Puts a mail to each address in; one whose local part is `ok`, `gone`, `busy` or `lost` is then accepted, rejected,
 * deferred or dead. Gives the ids in the order of the addresses.
 */
export const fill = (file: string, addresses: ReadonlyArray<string>, options?: EnqueueOptions) =>
  using(
    file,
    Effect.gen(function* () {
      const receipts = yield* Effect.forEach(addresses.filter(isTried), (to) => Outbox.enqueue(mailTo(to), options))
      if (receipts.length > 0)
        yield* Effect.provideService(
          Outbox.run({ until: "idle", poll: "20 millis", retry: RetryPolicy.none, onUnknown: "giveUp" }),
          MailTransport,
          relay
        )
      const waiting = yield* Effect.forEach(
        addresses.filter((to) => !isTried(to)),
        (to) => Outbox.enqueue(mailTo(to), options)
      )
      return addresses.map((to) => (isTried(to) ? receipts.shift()! : waiting.shift()!).id)
    })
  )

const mailTo = (to: string): Mail.Mail => ({
  from: "News <news@x.example>",
  to,
  subject: `For ${to}`,
  text: `Dear ${to}`
})

const isTried = (to: string): boolean => /^(ok|gone|busy|lost)/.test(to)

const relay = MailTransport.of({
  send: ({ envelope: { to } }) => {
    const address = to[0]!
    const reply = (code: number, enhanced: string) => ({ code, enhanced, text: `<${address}>: that is how it is` })
    if (address.startsWith("gone")) {
      return Effect.fail(MailError.make(new MailError.MessageRejected({ reply: reply(550, "5.7.1") })))
    }
    if (address.startsWith("busy")) {
      return Effect.fail(MailError.make(new MailError.MessageRejected({ reply: reply(451, "4.3.0") })))
    }
    if (address.startsWith("lost")) {
      return Effect.fail(MailError.make(new MailError.OutcomeUnknown({ problem: "the connection broke" })))
    }
    return Effect.succeed({
      reply: reply(250, "2.0.0"),
      recipients: [{ address, outcome: "accepted" as const }],
      relay: "relay.test:25"
    })
  }
})
