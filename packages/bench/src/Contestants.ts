/**
 * Who takes part. No contestant is written in another language than this project's; Postfix's smtp-source takes part
 * where it is installed.
 */
import type { MakeContestant } from "./Contestant.ts"

/** What is known of a contestant before it is loaded. */
export interface Contestant {
  readonly name: string
  /** One line for a reader of the report. */
  readonly description: string
  readonly load: () => Promise<{ readonly make: MakeContestant }>
}

/** Everybody, in the order of the report. */
export const all: ReadonlyArray<Contestant> = [
  {
    name: "mailrace-session",
    description: "one Mailrace session a connection, without stream, pool and retry; the bound of the others",
    load: () => import("./contestants/session.ts")
  },
  {
    name: "mailrace-speculative",
    description: "Mailer.sendAll, transactions many deep by BDAT",
    load: () => import("./contestants/mailrace.ts")
  },
  {
    name: "mailrace-overlap",
    description: "Mailer.sendAll, content and the next envelope in one write",
    load: () => import("./contestants/mailrace.ts")
  },
  {
    name: "mailrace-envelope",
    description: "Mailer.sendAll, envelope in one write, then content",
    load: () => import("./contestants/mailrace.ts")
  },
  {
    name: "mailrace-off",
    description: "Mailer.sendAll, one command at a time",
    load: () => import("./contestants/mailrace.ts")
  },
  {
    name: "nodemailer-pool",
    description: "nodemailer with pool: true",
    load: () => import("./contestants/nodemailer.ts")
  },
  {
    name: "nodemailer",
    description: "nodemailer, a connection a message",
    load: () => import("./contestants/nodemailer.ts")
  },
  {
    name: "smtp-source",
    description: "Postfix's load generator in C, one content for all messages",
    load: () => import("./contestants/smtpSource.ts")
  },
  {
    name: "mailrace-composer",
    description: "Mailrace's composer, without sending",
    load: () => import("./contestants/composing.ts")
  },
  {
    name: "nodemailer-composer",
    description: "nodemailer's MailComposer, without sending",
    load: () => import("./contestants/composing.ts")
  }
]

/** Loads a contestant by name. */
export const load = async (name: string): Promise<MakeContestant> => {
  const contestant = all.find((each) => each.name === name)
  if (contestant === undefined) throw new Error(`there is no contestant "${name}"`)
  return (await contestant.load()).make
}
