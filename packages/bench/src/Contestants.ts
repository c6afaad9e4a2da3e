/**
 * Lists the contestants. None is written in another language than this project's; Postfix's smtp-source takes part where it
 * is installed.
 */
import type { MakeContestant } from "./Contestant.ts"

/** The description of a contestant, available before it is loaded. */
export interface Contestant {
  readonly name: string
  /** One line for a reader of the report. */
  readonly description: string
  readonly load: () => Promise<{ readonly make: MakeContestant }>
}

/** All contestants, in the order of the report. */
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
    name: "mailrace-auto",
    description: "Mailer.sendAll without a requested mode: envelope if there is no CHUNKING, else speculative",
    load: () => import("./contestants/mailrace.ts")
  },
  {
    name: "mailrace-overlap",
    description: "Mailer.sendAll, content and the next envelope in one write; only on request",
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
    name: "mailrace-cut",
    description:
      "Mailer.sendAll with connections that are cut: messages handed over and not answered, for each connection",
    load: () => import("./contestants/relayEvents.ts")
  },
  {
    name: "mailrace-urgent-alone",
    description: "Mailer.send each 100 ms",
    load: () => import("./contestants/relayEvents.ts")
  },
  {
    name: "mailrace-urgent-beside",
    description: "the same beside Mailer.sendAll of a campaign",
    load: () => import("./contestants/relayEvents.ts")
  },
  {
    name: "mailrace-interrupt",
    description: "Mailer.sendAll, interrupted: the time until all started messages have ended",
    load: () => import("./contestants/relayEvents.ts")
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
    name: "mailrace-gates",
    description: "all gates of flow control, asked about a message that is not sent",
    load: () => import("./contestants/gates.ts")
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
  },
  {
    name: "mailrace-template",
    description: "a compiled template, rendered without sending",
    load: () => import("./contestants/templating.ts")
  },
  {
    name: "mailrace-attachment",
    description: "Mailrace's composer, a mail with an attachment of 1 MB",
    load: () => import("./contestants/attaching.ts")
  },
  {
    name: "nodemailer-attachment",
    description: "nodemailer's MailComposer, a mail with an attachment of 1 MB",
    load: () => import("./contestants/attaching.ts")
  },
  {
    name: "mailrace-dkim-ed25519",
    description: "Mailrace signing composed mails by Ed25519",
    load: () => import("./contestants/signing.ts")
  },
  {
    name: "mailrace-dkim-rsa",
    description: "Mailrace signing composed mails by RSA-2048",
    load: () => import("./contestants/signing.ts")
  },
  {
    name: "nodemailer-dkim-rsa",
    description: "nodemailer signing the same mails by RSA-2048",
    load: () => import("./contestants/signing.ts")
  },
  {
    name: "mailrace-outbox",
    description: "Outbox.enqueue and Outbox.run over SmtpTransport, in SQLite",
    load: () => import("./contestants/outbox.ts")
  },
  {
    name: "mailrace-outbox-enqueue",
    description: "Outbox.enqueue alone, in SQLite",
    load: () => import("./contestants/outbox.ts")
  },
  {
    name: "mailrace-outbox-enqueue-plain",
    description: "the same, nothing compressed",
    load: () => import("./contestants/outbox.ts")
  },
  {
    name: "mailrace-outbox-enqueue-normal",
    description: "the same, without waiting for the disk",
    load: () => import("./contestants/outbox.ts")
  },
  {
    name: "mailrace-outbox-enqueue-alone",
    description: "the same, a commit for each mail",
    load: () => import("./contestants/outbox.ts")
  },
  {
    name: "sqlite-bodies-apart",
    description: "the outbox's tables on node:sqlite: mails stored, claimed and settled",
    load: () => import("./contestants/bodies.ts")
  },
  {
    name: "sqlite-bodies-within",
    description: "the same with each mail's body in its row",
    load: () => import("./contestants/bodies.ts")
  },
  {
    name: "mailrace-outbox-campaign",
    description: "Outbox.enqueueAll of a campaign from one template, in SQLite",
    load: () => import("./contestants/campaign.ts")
  },
  {
    name: "mailrace-outbox-claim",
    description: "claims of 250 mails from a backlog in SQLite",
    load: () => import("./contestants/backlog.ts")
  },
  {
    name: "mailrace-outbox-recovery",
    description: "a dispatcher's start on the file of one that died",
    load: () => import("./contestants/backlog.ts")
  },
  {
    name: "mailrace-outbox-sweep",
    description: "housekeeping beside waiting mails, in SQLite",
    load: () => import("./contestants/million.ts")
  },
  {
    name: "mailrace-outbox-sweep-overdue",
    description: "housekeeping with a tenth of the waiting mails overdue",
    load: () => import("./contestants/million.ts")
  },
  {
    name: "mailrace-outbox-beside-sweep",
    description: "Outbox.enqueue by one caller beside a dispatcher that sweeps each second",
    load: () => import("./contestants/million.ts")
  },
  {
    name: "mailrace-outbox-beside-drain",
    description: "the same beside a dispatcher that drains",
    load: () => import("./contestants/million.ts")
  },
  {
    name: "mailrace-outbox-drain",
    description: "Outbox.run over a transport that takes everything at once",
    load: () => import("./contestants/million.ts")
  },
  {
    name: "mailrace-outbox-purge",
    description: "Outbox.purge of settled mails",
    load: () => import("./contestants/million.ts")
  },
  {
    name: "mailrace-fleet-kill",
    description: "dispatchers over PostgreSQL: one is killed, until another has its buckets",
    load: () => import("./contestants/fleet.ts")
  },
  {
    name: "mailrace-fleet-join",
    description: "the same: one joins, until it has its share",
    load: () => import("./contestants/fleet.ts")
  },
  {
    name: "mailrace-fleet-leave",
    description: "the same: one leaves, until another has its buckets",
    load: () => import("./contestants/fleet.ts")
  },
  {
    name: "mailrace-fleet-restart",
    description: "the same: PostgreSQL restarts, until a mail is sent",
    load: () => import("./contestants/fleet.ts")
  },
  {
    name: "mailrace-fleet-idle",
    description: "the same: nothing to do, between two transactions of a dispatcher",
    load: () => import("./contestants/fleet.ts")
  },
  {
    name: "mailrace-fleet-dispatch",
    description: "Outbox.run over SmtpTransport, in PostgreSQL",
    load: () => import("./contestants/fleetDispatch.ts")
  },
  {
    name: "mailrace-command-durable",
    description: "mailrace send --durable of an input that the outbox has, with one new line: until that is sent",
    load: () => import("./contestants/durable.ts")
  },
  {
    name: "disk-fsync",
    description: "4 KB written into a file, then flushed; the bound of a caller that commits one by one",
    load: () => import("./contestants/fsync.ts")
  }
]

/** Loads a contestant by name. */
export const load = async (name: string): Promise<MakeContestant> => {
  const contestant = all.find((each) => each.name === name)
  if (contestant === undefined) throw new Error(`there is no contestant "${name}"`)
  return (await contestant.load()).make
}
