/**
 * The summary of a run for a person: outcomes, speed, and each kind of error with a remedy.
 */
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"
import * as ScreeningNotes from "./ScreeningNotes.ts"
import { isAllAccepted, type Report } from "../results/Report.ts"
import type { ErrorGroup, Outcome } from "../results/Tally.ts"

/** The options for drawing a summary. */
export interface Options {
  readonly colors: boolean
  /** The terminal's width in characters; texts are not wrapped if it is unknown. */
  readonly columns?: number | undefined
  /** True if deferred messages stay in an outbox, where a later run tries them again. Defaults to false. */
  readonly triesAgain?: boolean | undefined
  /** True if the run was stopped before it had done all. Defaults to false. */
  readonly isStopped?: boolean | undefined
}

/** Of fewer messages the CPU time is that of starting the process. */
const enoughForCost = 100

/** The most kinds of errors that are shown. */
const maxErrors = 10

/** The most lines of an example, since a relay's reply may be of any length. */
const maxExampleLines = 3

const outcomes: ReadonlyArray<readonly [Outcome | "expired", string, "green" | "red" | "yellow"]> = [
  ["accepted", "the relay took responsibility", "green"],
  ["rejected", "refused for good", "red"],
  ["deferred", "refused for now, retries used up", "yellow"],
  ["unknown", "the final reply was lost", "yellow"],
  ["invalid", "never sent: the input is wrong", "red"],
  ["expired", "expired before they could be tried", "red"]
]

const triedAgain = "refused for now, tried again later"

/** Draws the summary; ends with a line end. */
export const render = (report: Report, errors: ReadonlyArray<ErrorGroup>, options: Options): string => {
  const paint = Format.paint(options.colors)
  if (report.total === 0) {
    const none = options.isStopped === true ? "Stopped before the first message" : "No messages"
    return [paint.bold(none), ...leftOut(report, paint)].map((line) => `${line}\n`).join("")
  }
  const lines = [
    headline(report, paint),
    "",
    ...outcomeTable(report, paint, options.triesAgain === true),
    ...unrecorded(report, paint),
    "",
    ...leftOut(report, paint),
    ...facts(report, paint)
  ]
  if (errors.length > 0) lines.push("", ...errorTable(errors, paint, options.columns))
  return `${lines.join("\n")}\n`
}

const headline = (report: Report, paint: Format.Paint): string => {
  const accepted = `${Format.count(report.accepted)} of ${Format.count(report.total)} messages accepted`
  const color = isAllAccepted(report) ? paint.green : paint.yellow
  const rate = report.ratePerSecond > 0 ? `, ${Format.count(report.ratePerSecond)}/s` : ""
  const recipients = recipientsInWords(report)
  return [
    paint.bold(`${color(accepted)} in ${Format.duration(report.durationMs)}${rate}`),
    ...(recipients === undefined ? [] : [color(recipients)])
  ].join("\n")
}

/** The outcomes of recipients, if they differ from those of the messages. */
const recipientsInWords = ({ recipients, ...messages }: Report): string | undefined => {
  if (notAccepted.every((outcome) => recipients[outcome] === messages[outcome])) return undefined
  const total = notAccepted.reduce((sum, outcome) => sum + recipients[outcome], recipients.accepted)
  const others = notAccepted
    .filter((outcome) => recipients[outcome] > 0)
    .map((outcome) => `${Format.count(recipients[outcome])} ${outcome}`)
  const accepted = `${Format.count(recipients.accepted)} of ${Format.plural(total, "recipient")} accepted`
  return [accepted, ...others].join(", ")
}

const notAccepted = ["rejected", "deferred", "unknown"] as const

const outcomeTable = (report: Report, paint: Format.Paint, triesAgain: boolean): ReadonlyArray<string> => {
  // Nothing expires without an outbox.
  const shown = outcomes.filter(([outcome]) => outcome !== "expired" || report.expired > 0)
  const width = Math.max(...shown.map(([outcome]) => Format.count(report[outcome]).length))
  const shares = Format.shares(shown.map(([outcome]) => report[outcome]))
  return shown.map(([outcome, usual, color], index) => {
    const meaning = outcome === "deferred" && triesAgain ? triedAgain : usual
    const value = report[outcome]
    const row = `  ${outcome.padEnd(10)} ${Format.count(value).padStart(width)}  ${shares[index]!.padStart(7)}`
    return value === 0
      ? paint.dim(`  ${outcome.padEnd(10)} ${"0".padStart(width)}`)
      : `${paint[color](row)}  ${paint.dim(meaning)}`
  })
}

/** Messages that a relay accepted and the outbox has not recorded. */
const unrecorded = ({ unrecorded }: Report, paint: Format.Paint): ReadonlyArray<string> =>
  unrecorded === 0
    ? []
    : [
        `  ${paint.yellow(`unrecorded ${Format.count(unrecorded)}`)}  ${paint.dim("accepted, but not recorded: the next run sends them again")}`
      ]

const facts = (report: Report, paint: Format.Paint): ReadonlyArray<string> => {
  const { latencyMs: latency, connections } = report
  const failed = connections.failed > 0 ? `, ${Format.count(connections.failed)} failed` : ""
  const perSecond = report.durationMs > 0 ? (report.bytes / report.durationMs) * 1000 : 0
  const rows: ReadonlyArray<readonly [string, string]> = [
    [
      "latency",
      `p50 ${Format.duration(latency.p50)}   p90 ${Format.duration(latency.p90)}   p99 ${Format.duration(latency.p99)}   max ${Format.duration(latency.max)}`
    ],
    ["retries", Format.count(report.retries)],
    ["content", `${Format.bytes(report.bytes)}, ${Format.bytes(perSecond)}/s`],
    [
      "connections",
      `${Format.count(connections.opened)} opened, ${Format.count(connections.peak)} at once, ${Format.plural(connections.reused, "time")} reused${failed}`
    ],
    [
      "pipelining",
      report.steppedDown === null
        ? report.pipelining
        : `${report.pipelining}, stepped down: ${Printable.line(report.steppedDown)}`
    ],
    ...(report.tlsFailure === null
      ? []
      : [["tls", `failed, so messages went in clear: ${Printable.line(report.tlsFailure)}`] as const]),
    ...(report.waits.length === 0 ? [] : [["held back", waits(report)] as const]),
    [
      "cost",
      [
        ...(report.total < enoughForCost ? [] : [`${Format.count(report.cpuMicrosPerMessage)} µs CPU a message`]),
        `${Format.bytes(report.rssPeakBytes)} peak memory`
      ].join(", ")
    ]
  ]
  return rows.map(fact(paint))
}

/** The limits that held messages back, the longest first. */
const waits = ({ waits }: Report): string =>
  waits
    .slice(0, maxWaits)
    .map((wait) => `${Format.duration(wait.ms)} by ${Printable.line(wait.for)}`)
    .join(", ")

/** The most waits that are shown. */
const maxWaits = 3

/** The recipients that were dropped. */
const leftOut = (report: Report, paint: Format.Paint): ReadonlyArray<string> => {
  const { dropped } = report
  const recipients = ScreeningNotes.inWords(report)
  if (recipients === undefined) return []
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["dropped", Format.plural(dropped, "message")],
    ["recipients", recipients]
  ]
  return rows.map(fact(paint))
}

const fact =
  (paint: Format.Paint) =>
  ([name, value]: readonly [string, string]): string =>
    `  ${paint.dim(name.padEnd(12))} ${value}`

const errorTable = (
  errors: ReadonlyArray<ErrorGroup>,
  paint: Format.Paint,
  columns: number | undefined
): ReadonlyArray<string> => {
  const shown = errors.slice(0, maxErrors)
  const codeOf = (group: ErrorGroup): string => [group.code, group.enhanced].filter((part) => part !== null).join(" ")
  const countWidth = Math.max(5, ...shown.map((group) => Format.count(group.count).length))
  const reasonWidth = Math.max(6, ...shown.map((group) => group.reason.length))
  const indent = " ".repeat(2 + countWidth + 2)
  const cut = (text: string): string => (columns === undefined ? text : Format.truncate(text, Math.max(1, columns - 1)))
  const wrapped = (label: string, text: string, maxLines = Infinity): ReadonlyArray<string> => {
    if (columns === undefined) return [`${indent}${label}${text}`]
    const width = columns - 1 - indent.length - label.length
    const all = Format.wrap(text, width)
    const shown =
      all.length <= maxLines
        ? all
        : [...all.slice(0, maxLines - 1), Format.truncate(all.slice(maxLines - 1).join(" "), width)]
    return shown.map((line, index) => `${indent}${index === 0 ? label : " ".repeat(label.length)}${line}`)
  }
  const lines = [
    paint.bold("What went wrong"),
    paint.dim(cut(`  ${"count".padStart(countWidth)}  ${"reason".padEnd(reasonWidth)}  code`))
  ]
  for (const group of shown) {
    const counted = Format.count(group.count).padStart(countWidth)
    lines.push(cut(`  ${counted}  ${group.reason.padEnd(reasonWidth)}  ${codeOf(group)}`.trimEnd()))
    lines.push(...wrapped("e.g. ", Printable.line(group.example), maxExampleLines).map(paint.dim))
    lines.push(...wrapped("try: ", Printable.line(group.remedy)).map(paint.cyan))
  }
  if (errors.length > shown.length)
    lines.push(paint.dim(`  and ${errors.length - shown.length} more kinds; --report lists them all`))
  return lines
}
