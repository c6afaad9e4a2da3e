/**
 * The report of a run as a page, for `--report-html`: one file that loads nothing from the network.
 *
 * Texts of relays and of the input are escaped in the markup, and in the data that the script reads. The page's policy
 * lets the browser run the two scripts of this page by their hashes, and load nothing.
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { Result } from "../../results/Result.ts"
import { phases, type Timeline } from "../../results/Timeline.ts"
import * as Format from "../../text/format.ts"
import * as Printable from "../../text/printable.ts"
import { isAllAccepted, type Report } from "../../results/Report.ts"
import * as Times from "../../text/Times.ts"
import { pageStyle } from "./pageStyle.ts"
import { type Plot, plotsOf } from "./plots.ts"
import { plotScript } from "./plotScript.ts"

/** Draws the page. */
export const render = (result: Result): string => {
  const { course, report } = result
  const plots = course === undefined ? [] : plotsOf(course.timeline)
  const title = `${Format.count(report.accepted)} of ${Format.count(report.total)} messages accepted`
  const uplot = readUplot()
  const style = `${uplot.style}\n${pageStyle}`
  const data = {
    report,
    errors: result.errors,
    x: course?.timeline.intervals.map(({ atMs }) => atMs / 1000) ?? [],
    plots
  }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ${hash(uplot.script)} ${hash(plotScript)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Mailrace: ${escape(title)}</title>
<style>${style}</style>
</head>
<body>
${heading(result, title)}
${plots.length === 0 ? "" : `<noscript><p>The plots need JavaScript; the tables do not.</p></noscript>\n<div class="plots">\n${plots.map(plotPlace).join("\n")}\n</div>`}
<div class="tables">
${section("Outcomes", outcomes(report))}
${section("Latency", course === undefined ? [] : latencies(course.timeline))}
${section("Connections and cost", facts(report))}
${section("Relays", course === undefined ? [] : relays(course.timeline), "relays")}
${section("Held back by limits", waits(report))}
</div>
${section("What went wrong", errors(result), "errors")}
<script type="application/json" id="run">${jsonInHtml(data)}</script>
<script>${uplot.script}</script>
<script>${plotScript}</script>
</body>
</html>
`
}

/** The library that draws the plots, as its package has it. */
const readUplot = (): { readonly script: string; readonly style: string } => {
  const { resolve } = createRequire(import.meta.url)
  const read = (name: string) => readFileSync(resolve(`uplot/dist/${name}`), "utf8")
  return { script: read("uPlot.iife.min.js"), style: read("uPlot.min.css") }
}

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** A text for markup; hidden characters are named. */
const escape = (text: string): string =>
  Printable.line(text).replaceAll(
    /[&<>"']/g,
    (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[character]!
  )

/** JSON within a script element, which neither `</script` nor `<!--` may end or change. */
const jsonInHtml = (value: unknown): string => Printable.json(value).replaceAll("<", "\\u003c")

type Cell = string | { readonly number: string } | { readonly html: string }

interface Table {
  readonly head: ReadonlyArray<Cell>
  readonly rows: ReadonlyArray<ReadonlyArray<Cell>>
}

/** `style` is a class of the page's style. */
const section = (title: string, table: Table | ReadonlyArray<never>, style?: string): string => {
  if (!("rows" in table) || table.rows.length === 0) return ""
  const row = (cells: ReadonlyArray<Cell>, tag: "th" | "td") =>
    `<tr>${cells
      .map((cell) =>
        typeof cell === "string"
          ? `<${tag}>${escape(cell)}</${tag}>`
          : "html" in cell
            ? `<${tag}>${cell.html}</${tag}>`
            : `<${tag} class="number">${escape(cell.number)}</${tag}>`
      )
      .join("")}</tr>`
  const head = table.head.length === 0 ? "" : `<thead>${row(table.head, "th")}</thead>`
  return `<section${style === undefined ? "" : ` class="${style}"`}><h2>${escape(title)}</h2>
<div class="scroll"><table>${head}<tbody>
${table.rows.map((cells) => row(cells, "td")).join("\n")}
</tbody></table></div></section>`
}

const plotPlace = ({ id, title, unit }: Plot): string =>
  `<section><h2>${escape(title)} <span class="quiet">${escape(unit)}</span></h2><div id="${id}"></div></section>`

const heading = ({ course, failure, isComplete, report }: Result, title: string): string => {
  const color = isAllAccepted(report) ? "green" : "amber"
  const began = course === undefined ? "" : `, began ${Times.absolute(new Date(course.startedAt))}`
  const stopped =
    failure !== undefined
      ? `<p class="red">Given up: ${escape(failure.problem)}</p>`
      : isComplete
        ? ""
        : `<p class="amber">Stopped before it was complete</p>`
  return `<h1 class="${color}">${escape(title)}</h1>
<p>${escape(`in ${Format.duration(report.durationMs)}, ${Format.count(report.ratePerSecond)}/s${began}`)}</p>
${stopped}`
}

const outcomes = (report: Report): Table => {
  const shown = (["accepted", "rejected", "deferred", "unknown", "invalid", "expired"] as const).filter(
    (outcome) => report[outcome] > 0 || outcome === "accepted"
  )
  const shares = Format.shares(shown.map((outcome) => report[outcome]))
  const others = (["unrecorded", "dropped", "suppressed", "duplicates", "roles"] as const).filter(
    (name) => report[name] > 0
  )
  return {
    head: ["", { number: "messages" }, { number: "share" }],
    rows: [
      ...shown.map((outcome, index) => [
        outcome,
        { number: Format.count(report[outcome]) },
        { number: report.total === 0 ? "" : shares[index]! }
      ]),
      ...others.map((name) => [name, { number: Format.count(report[name]) }, ""])
    ]
  }
}

const latencies = (timeline: Timeline): Table => ({
  head: ["", ...["p50", "p90", "p99", "max"].map((number) => ({ number }))],
  rows: phases.flatMap((phase) => {
    const histogram = timeline.latency(phase)
    if (histogram === undefined) return []
    const quantiles = [0.5, 0.9, 0.99].map((q) => ({ number: Format.duration(histogram.quantile(q)) }))
    return [[phase, ...quantiles, { number: Format.duration(histogram.max) }]]
  })
})

const relays = (timeline: Timeline): Table => ({
  head: ["relay", ...["accepted", "envelope p50", "content p50", "content p99"].map((number) => ({ number }))],
  rows: timeline.relays.map(({ content, envelope, relay }) => [
    relay,
    { number: Format.count(content.count) },
    { number: Format.duration(envelope.quantile(0.5)) },
    { number: Format.duration(content.quantile(0.5)) },
    { number: Format.duration(content.quantile(0.99)) }
  ])
})

const facts = (report: Report): Table => {
  const { connections } = report
  return {
    head: [],
    rows: [
      ["retries", Format.count(report.retries)],
      ["content", Format.bytes(report.bytes)],
      [
        "connections",
        `${Format.count(connections.opened)} opened, ${Format.count(connections.peak)} at once, ${Format.count(connections.failed)} failed`
      ],
      [
        "pipelining",
        report.steppedDown === null ? report.pipelining : `${report.pipelining}, stepped down: ${report.steppedDown}`
      ],
      ...(report.tlsFailure === null ? [] : [["TLS", `failed, so messages went in clear: ${report.tlsFailure}`]]),
      ["CPU", `${Format.count(report.cpuMicrosPerMessage)} µs a message`],
      ["memory", `${Format.bytes(report.rssPeakBytes)} at the peak`]
    ]
  }
}

const waits = ({ waits }: Report): Table => ({
  head: ["by", { number: "time" }],
  rows: waits.map((wait) => [wait.for, { number: Format.duration(wait.ms) }])
})

const errors = ({ errors }: Result): Table => ({
  head: [{ number: "count" }, "reason", "code", "for example, and what to do"],
  rows: errors.map(({ code, count, enhanced, example, reason, remedy }) => [
    { number: Format.count(count) },
    reason,
    [code, enhanced].filter((part) => part !== null).join(" "),
    { html: `${escape(example)}<p class="remedy">${escape(remedy)}</p>` }
  ])
})
