/**
 * The remedies of the libraries in the words of the command: flags and environment variables instead of options.
 *
 * The libraries speak of their own options, which the user of the command does not have. `byReason` replaces a remedy
 * as a whole where the command offers something else; `flagOf` translates the options that other remedies name.
 */
import type * as MailError from "mailrace/MailError"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import { CommandError } from "./CommandError.ts"

type Reason = MailError.MailError["reason"]

/** The command's remedy for a reason; `undefined` leaves it to the library. */
const byReason: {
  readonly [Tag in Reason["_tag"]]?: (reason: Extract<Reason, { readonly _tag: Tag }>) => string | undefined
} = {
  Throttled: ({ reply }) =>
    ReplyMeaning.of(reply, "rcpt").remedy === undefined ? "send more slowly: lower --rate or --connections" : undefined,
  AuthenticationFailed: ({ hint, isRetryable, reply }) => {
    if (hint?.includes("smtp://user") === true)
      return "name the user in --relay, as in smtp://user@host, and set MAILRACE_PASSWORD"
    const isKnown = reply !== undefined && ReplyMeaning.of(reply, "auth").remedy !== undefined
    return hint !== undefined || isRetryable || isKnown
      ? undefined
      : "check the user name and the password (--relay, MAILRACE_PASSWORD), and which login the provider wants"
  },
  TlsFailed: ({ hint }) =>
    hint?.includes("tls.ca") === true
      ? "trust the authority's certificate with --tls-ca FILE; or, for a relay of your own, pin its certificate: tlsVerify=false&tlsPin=… in its URL, with the SHA-256 fingerprint"
      : undefined,
  ConnectFailed: ({ hint, kind, reply }) =>
    hint === undefined &&
    kind === "greeting" &&
    (reply === undefined || ReplyMeaning.of(reply, "greeting").remedy === undefined)
      ? "the relay does not want this client now: read its reply, lower --connections, or try later"
      : undefined,
  OutcomeUnknown: () => "look for the Message-ID in the relay's log before sending again",
  Withdrawn: ({ state }) =>
    state === "expired"
      ? "look at the refusals before it expired; enqueue such messages with a longer --expires-in"
      : undefined,
  ProtocolViolation: () => "check that the port speaks SMTP; if it does, try --pipelining off and report the relay"
}

/** The flags and variables for the libraries' options, which the libraries quote with backticks. */
const flagOf: ReadonlyArray<readonly [option: RegExp, flag: string]> = [
  ...["dns", "connect", "tls", "greeting", "command", "content", "finalReply", "session", "quit"].map(
    (step) =>
      [
        new RegExp(`\`timeouts\\.${step}\``, "g"),
        `timeout${step[0]!.toUpperCase()}${step.slice(1)} in the relay's URL (such as timeout${step[0]!.toUpperCase()}${step.slice(1)}=10m)`
      ] as const
  ),
  [/`name`(?: \(name=… in the URL\))?/g, "name in the relay's URL"],
  [/`maxMessages`/g, "maxMessages in the relay's URL"],
  [/`auth\.mechanism`/g, "auth in the relay's URL (such as auth=plain)"],
  [/\(`auth\.token`\)/g, "(auth=xoauth2 in the relay's URL, and the token in MAILRACE_PASSWORD)"],
  [/\(`auth`\)/g, "(the user in --relay, and MAILRACE_PASSWORD)"],
  // Those to the database: the command opens no more of them than it needs.
  [/ from each process \(`maxConnections`\)$/g, " by running fewer processes"],
  [/`maxConnections`/g, "--connections"],
  [/`concurrency`/g, "--concurrency"],
  [/`rate`/g, "--rate"],
  [/`auth\.password`/g, "MAILRACE_PASSWORD"],
  [/`pipelining`/g, "--pipelining"],
  [/`tls\.ca`/g, "--tls-ca"],
  [/`localAddress`/g, "--local-address"],
  [/`serverName` \(tlsName in the URL\)/g, "tlsName in the relay's URL"],
  [/`Outbox\.retry`/g, "mailrace outbox retry"],
  [/`Dkim\.dnsRecord`/g, "mailrace dkim keygen prints it"],
  [/`listUnsubscribe`/g, "--list-unsubscribe"],
  [/`sendingAddress`/g, "--sending-address"],
  [/`ehloName`/g, "--ehlo"],
  [/`isPublic`/g, "--metrics-public"],
  [/, or as `username`$/g, ""],
  [/^set `prepare: false` behind a pooler .*/g, "connect to PostgreSQL itself, or through a pooler in session mode"]
]

/** A library's remedy with flags in the place of options. */
export const inFlags = (remedy: string): string =>
  flagOf.reduce((text, [option, flag]) => text.replaceAll(option, flag), remedy)

/** The remedy for an error, for the user of the command. */
export const of = ({ reason, remedy }: MailError.MailError): string => {
  const own = byReason[reason._tag] as ((reason: Reason) => string | undefined) | undefined
  return own?.(reason) ?? inFlags(remedy)
}

/** An error that ends the command. */
export const toCommandError = (error: MailError.MailError): CommandError =>
  new CommandError({ problem: error.reason.message, remedy: of(error) })

/**
 * True for errors that every later message would meet: without TLS or a login (RFC 3207 §4, RFC 4954 §6). A login that may
 * succeed later is not one of them.
 */
export const concernsEveryMessage = ({ reason }: MailError.MailError): boolean =>
  reason._tag === "TlsFailed" || (reason._tag === "AuthenticationFailed" && !reason.isRetryable)
