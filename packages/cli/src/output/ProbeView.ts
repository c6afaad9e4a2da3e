/**
 * A probe's report for a person: the phases as a waterfall, what the relay offers, and the diagnosis.
 */
import type * as Probe from "@mailrace/smtp/Probe"
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"
import type { Style } from "./Table.ts"

/** Renders a report; ends with a line end. */
export const render = (report: Probe.Report, style: Style): string =>
  [
    [Format.paint(style.colors).bold(Printable.line(report.target))],
    waterfall(report.phases, style),
    facts(report, style),
    diagnosis(report, style)
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(""))
    .join("\n")

/** Renders a report in one line, for a round of many. */
export const line = ({ diagnosis, ok, phases }: Probe.Report, { colors, columns }: Style): string => {
  const paint = Format.paint(colors)
  const total = phases.reduce((sum, { ms }) => sum + ms, 0)
  const times = phases.map(({ ms, name }) => `${name} ${Math.round(ms)}`).join("  ")
  const text = ok ? times : `${diagnosis.phase}: ${Printable.line(diagnosis.cause)}`
  // The date stands before the line.
  const room = columns === undefined ? Number.POSITIVE_INFINITY : Math.max(20, columns - 40)
  const verdict = ok ? paint.green("ok    ") : paint.red("failed")
  return `${verdict} ${Format.duration(total).padStart(7)}  ${Format.truncate(text, room)}`
}

/** Each phase with a bar that begins where the one before it ended. */
const waterfall = (phases: Probe.Report["phases"], { colors, columns }: Style): ReadonlyArray<string> => {
  const paint = Format.paint(colors)
  const width = columns !== undefined && columns < 90 ? 16 : 28
  const total = phases.reduce((sum, { ms }) => sum + ms, 0)
  const scale = total === 0 ? 0 : width / total
  let at = 0
  const lines = phases.map(({ detail, ms, name, ok }) => {
    const start = Math.min(width - 1, Math.floor(at * scale))
    const length = Math.max(1, Math.min(width - start, Math.round(ms * scale)))
    at += ms
    const bar = `${" ".repeat(start)}${"█".repeat(length)}`.padEnd(width)
    const head = `${name.padEnd(9)} ${Format.duration(ms).padStart(7)}  `
    const room = columns === undefined ? Number.POSITIVE_INFINITY : Math.max(10, columns - head.length - width - 3)
    const text = Format.truncate(Printable.line(ok ? detail : `failed: ${detail}`), room)
    return ok ? `${head}${paint.cyan(bar)}  ${text}` : `${paint.red(head)}${paint.red(bar)}  ${paint.red(text)}`
  })
  return [...lines, paint.dim(`${"total".padEnd(9)} ${Format.duration(total).padStart(7)}`)]
}

/** The relay's offers, and the findings beside the phases. */
const facts = (report: Probe.Report, style: Style): ReadonlyArray<string> => {
  const { addresses, auth, exchangers, limits, messages, pipelining, tls } = report
  const isIdentified = report.phases.some(({ name, ok }) => name === "ehlo" && ok)
  return [
    ...fact("addresses", addresses.length > 1 ? addresses.map(addressText) : [], style),
    ...fact("MX", exchangers.map(({ exchange, priority }) => `${exchange} (priority ${priority})`).slice(0, 5), style),
    ...fact("TLS", tls === null ? (isIdentified ? ["none: the session is in clear"] : []) : tlsTexts(tls), style),
    ...fact("login", isIdentified ? [loginText(auth)] : [], style),
    ...fact(
      "offers",
      report.extensions.map(({ keyword, meaning, parameters }) => `${[keyword, ...parameters].join(" ")}: ${meaning}`),
      style
    ),
    ...fact("limits", isIdentified ? [limitsText(limits)] : [], style),
    ...fact("pipelining", isIdentified ? [pipeliningText(pipelining)] : [], style),
    ...fact("messages", messages.length === 0 ? [] : [messagesText(messages)], style)
  ]
}

/** A title, and beside it texts that are wrapped to fit. */
const fact = (title: string, texts: ReadonlyArray<string>, { colors, columns }: Style): ReadonlyArray<string> =>
  texts
    .flatMap((text) => Format.wrap(Printable.line(text), (columns ?? unknownWidth) - indent - 1))
    .map((text, index) =>
      index === 0 ? `${Format.paint(colors).dim(title.padEnd(indent))}${text}` : `${" ".repeat(indent)}${text}`
    )

const indent = 12

/** How wide texts are where the terminal's width is not known. */
const unknownWidth = 120

const addressText = ({ address, connectMs, problem, ttl }: Probe.Address): string => {
  const reached =
    connectMs === null ? `no connection (${problem ?? "not tried"})` : `connected in ${Format.duration(connectMs)}`
  return `${address}: ${reached}${ttl === null ? "" : `, TTL ${ttl} s`}`
}

const tlsTexts = (tls: Probe.Encryption): ReadonlyArray<string> => {
  const { chain, cipher, daysLeft, expires, fullMs, keyExchange, keyType, name, ocspStapled, resumedMs, version } = tls
  const verdict = tls.verified ? "verified" : `not verified (${tls.problem})`
  return [
    `${version}, ${cipher}${keyExchange === null ? "" : `, key exchange ${keyExchange}`}`,
    `certificate ${verdict}: for ${name.carried.join(", ") || "no name"}, ${keyType}, valid to ${expires.slice(0, 10)} (${Format.plural(daysLeft, "day")})`,
    ...chain.map(({ issuer, subject }) => `  ${subject}, issued by ${issuer}`),
    `handshake ${Format.duration(fullMs)}, ${resumedMs === null ? "not resumed by a second connection" : `${Format.duration(resumedMs)} when resumed`}; ${ocspStapled ? "with" : "without"} an OCSP response`
  ]
}

const loginText = ({ loggedIn, mechanism, offered }: Probe.Auth): string =>
  loggedIn
    ? `logged in by ${mechanism}; offered: ${offered.join(", ")}`
    : offered.length === 0
      ? "none offered"
      : `offered: ${offered.join(", ")}`

const limitsText = ({ maxMessages, maxRecipients, size }: Probe.Limits): string =>
  [
    size === null ? "no size of a message is announced" : `${Format.bytes(size)} a message`,
    ...(maxRecipients === null ? [] : [`${Format.plural(maxRecipients, "recipient")} a message`]),
    ...(maxMessages === null ? [] : [`${Format.plural(maxMessages, "message")} a session`])
  ].join(", ")

const pipeliningText = ({ mode, selfTest, why }: Probe.PipeliningReport): string =>
  `auto takes ${mode}: ${why}${selfTest === "skipped" ? "" : ` (self-test ${selfTest})`}`

const messagesText = (messages: Probe.Report["messages"]): string =>
  `${Format.plural(messages.length, "message")} accepted; content answered after ${messages.map(({ contentMs }) => Format.duration(contentMs)).join(", ")}`

const diagnosis = ({ diagnosis, ok }: Probe.Report, { colors, columns }: Style): ReadonlyArray<string> => {
  const paint = Format.paint(colors)
  const { advice, cause, phase } = diagnosis
  const color = !ok ? paint.red : advice.length > 0 ? paint.yellow : paint.green
  const verdict = !ok ? `failed at ${phase}` : advice.length > 0 ? `look at ${phase}` : "healthy"
  const wrapped = (head: string, text: string): ReadonlyArray<string> =>
    Format.wrap(Printable.line(text), (columns ?? unknownWidth) - head.length - 1).map(
      (one, index) => `${index === 0 ? head : " ".repeat(head.length)}${one}`
    )
  const [first = "", ...rest] = wrapped(`${verdict}: `, cause)
  return [
    `${paint.bold(color(first.slice(0, verdict.length)))}${first.slice(verdict.length)}`,
    ...rest,
    ...advice.flatMap((text, index) => wrapped(index === 0 ? "  try:  " : "  then: ", text))
  ]
}
