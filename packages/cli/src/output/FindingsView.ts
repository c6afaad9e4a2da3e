/**
 * Findings of a preflight for a person: what is broken first, each with who asks for it and what to do.
 */
import type * as Preflight from "@mailrace/preflight/Preflight"
import type { Counted } from "../results/MessageFindings.ts"
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"
import type { Style } from "./Table.ts"

/** Where texts are wrapped if the terminal's width is not known. */
const unknownWidth = 120

const order: ReadonlyArray<Preflight.Verdict> = ["problem", "advice", "unknown", "ok"]

/** The findings by their verdicts, the worst first, then the sources and the counts; ends with a line end. */
export const render = (findings: ReadonlyArray<Preflight.Finding | Counted>, checked: number, style: Style): string => {
  const lines = order.flatMap((verdict) =>
    findings.filter((finding) => finding.verdict === verdict).flatMap((finding) => describe(finding, checked, style))
  )
  const broken = findings.filter(({ verdict }) => verdict === "problem" || verdict === "advice")
  const sources = new Map(
    broken.flatMap(({ demands }) => demands.map(({ provider, source }) => [provider, source] as const))
  )
  const counts = order.map((verdict) => {
    const count = findings.filter((finding) => finding.verdict === verdict).length
    return verdict === "problem" ? Format.plural(count, "problem") : `${Format.count(count)} ${verdict}`
  })
  return [
    ...lines,
    ...(sources.size === 0 ? [] : ["", ...[...sources].map(([provider, source]) => `${provider}: ${source}`)]),
    "",
    counts.join(", ")
  ]
    .map((line) => `${line}\n`)
    .join("")
}

/** The faults of messages in short, for the end of a dry run; empty if there are none. */
export const renderShort = (findings: ReadonlyArray<Counted>, checked: number, style: Style): string => {
  const broken = ["problem", "advice"].flatMap((wanted) => findings.filter(({ verdict }) => verdict === wanted))
  if (broken.length === 0) return ""
  const lines = broken.flatMap((finding) => describe(finding, checked, style))
  return `what receivers may hold against ${checked === 1 ? "the message" : "the messages"}:\n${lines.map((line) => `${line}\n`).join("")}`
}

const describe = (
  finding: Preflight.Finding | Counted,
  checked: number,
  { colors, columns }: Style
): ReadonlyArray<string> => {
  const { demands, found, remedy, rule, subject, verdict } = finding
  const paint = Format.paint(colors)
  const color = { problem: paint.red, advice: paint.yellow, unknown: paint.cyan, ok: paint.green }[verdict]
  const messages =
    "count" in finding
      ? ` (${Format.count(finding.count)} of ${Format.plural(checked, "message")}${finding.count === checked ? "" : `, first ${finding.place}`})`
      : ""
  const width = (columns ?? unknownWidth) - indent - 1
  const wrapped = (text: string, hanging = ""): ReadonlyArray<string> =>
    Format.wrap(Printable.line(text), width - hanging.length).map(
      (line, index) => `${" ".repeat(indent)}${index === 0 ? "" : hanging}${line}`
    )
  const [first = "", ...rest] = wrapped(`${rule}: ${subject}: ${found}${messages}`, "  ")
  const isBroken = verdict === "problem" || verdict === "advice"
  return [
    `${color(verdict.padEnd(indent))}${first.slice(indent)}`,
    ...rest,
    ...(isBroken && demands.length > 0 ? wrapped(`  ${inWords(demands)}`, "  ").map(paint.dim) : []),
    ...(remedy === null ? [] : wrapped(`  try: ${remedy}`, "       "))
  ]
}

const indent = 9

/** `asked of bulk senders by Gmail, Yahoo; advised to them by Microsoft`. */
const inWords = (demands: ReadonlyArray<Preflight.Demand>): string => {
  const by = (isRequired: boolean, of: Preflight.Demand["of"]) =>
    demands.flatMap((one) => (one.isRequired === isRequired && one.of === of ? one.provider : []))
  return (["all senders", "bulk senders"] as const)
    .flatMap((of) =>
      [true, false].flatMap((isRequired) => {
        const providers = by(isRequired, of)
        if (providers.length === 0) return []
        return `${isRequired ? "required of" : "advised to"} ${of} by ${providers.join(", ")}`
      })
    )
    .join("; ")
}
