/**
 * The report as one page that stands by itself: no script, no font, nothing fetched; light or dark as the reader has it.
 */
import type { BenchReport, Row, TargetResult } from "./BenchReport.ts"
import * as Figure from "./Figure.ts"
import * as Svg from "./Svg.ts"
import * as Table from "./Table.ts"
import type { Workload } from "./Workload.ts"

/** The page for a report; workloads without rows are left out. */
export const render = (report: BenchReport, workloads: ReadonlyArray<Workload>): string => {
  const sections = workloads.flatMap((workload) => {
    const rows = report.rows.filter((row) => row.workload === workload.name)
    return rows.length === 0 ? [] : [section(workload, rows)]
  })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mailrace benchmark</title>
<style>
${css}
${Svg.style()}
</style>
</head>
<body>
<main>
${header(report)}
${targets(report.targets)}
${failures(report)}
${sections.join("\n")}
${method(report)}
</main>
</body>
</html>
`
}

const header = ({ durationSeconds, machine, quick, startedAt, versions }: BenchReport): string => {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const facts = [
    `${machine.cores} cores, ${machine.cpu}`,
    `${Math.round(machine.memoryBytes / 2 ** 30)} GB`,
    machine.os,
    `load ${machine.loadAverage.toFixed(2)} before the run`
  ]
  const pace = `${quick ? "Short runs" : "Full runs"}, ${Math.round(durationSeconds)} s in all, ${startedAt.slice(0, 16).replace("T", " ")} UTC`
  return `<header>
<h1>Mailrace benchmark</h1>
<p>${Svg.escape(facts.join(" · "))}<br>${Svg.escape(programs.join(" · "))}<br>${Svg.escape(pace)}</p>
</header>`
}

const targets = (all: ReadonlyArray<TargetResult>): string => {
  if (all.length === 0) return ""
  const met = all.filter((target) => target.met === true).length
  const measured = all.filter((target) => target.met !== null).length
  return `<section>
<h2>Targets</h2>
<p>${met} of ${measured} measured are met.</p>
<div class="tiles">
${all.map(tile).join("\n")}
</div>
</section>`
}

const tile = (target: TargetResult): string => {
  const state = target.met === null ? "open" : target.met ? "met" : "missed"
  const word = target.met === null ? "not measured" : target.met ? "met" : "missed"
  return `<div class="tile ${state}">
<div class="value">${Svg.escape(target.value === null ? Figure.none : Table.value(target))}</div>
<div class="wanted"><span class="state">${word}</span> wanted ${Svg.escape(Table.wanted(target))}</div>
<div class="statement">${Svg.escape(target.statement)}</div>
</div>`
}

const failures = (report: BenchReport): string =>
  report.failures.length === 0
    ? ""
    : `<section>
<h2>No figure</h2>
<ul>
${report.failures
  .map(
    ({ contestant, problem, variant, workload }) =>
      `<li>${Svg.escape(`${workload}, ${variant}: ${contestant}: ${problem}`)}</li>`
  )
  .join("\n")}
</ul>
</section>`

const section = (workload: Workload, rows: ReadonlyArray<Row>): string => {
  const plots = (workload.plots?.(rows) ?? []).map(
    (plot) => `<figure><figcaption>${Svg.escape(plot.title)}</figcaption>\n${Svg.render(plot)}\n</figure>`
  )
  return `<section id="${Svg.escape(workload.name)}">
<h2>${Svg.escape(workload.title)}</h2>
<p>${Svg.escape(workload.description)}</p>
<div class="plots">
${plots.join("\n")}
</div>
<details>
<summary>Figures</summary>
${table(rows)}
</details>
</section>`
}

/** Leaves out columns that are empty in every row. */
const table = (rows: ReadonlyArray<Row>): string => {
  const columns = Table.columnsOf(rows)
  const side = (align: "left" | undefined) => (align === "left" ? ' class="left"' : "")
  const head = columns.map(({ align, heading }) => `<th${side(align)}>${Svg.escape(heading)}</th>`).join("")
  const body = rows.map(
    (row) => `<tr>${columns.map(({ align, cell }) => `<td${side(align)}>${Svg.escape(cell(row))}</td>`).join("")}</tr>`
  )
  return `<div class="scroll"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table></div>`
}

const method = ({ quick, rows }: BenchReport): string => {
  const runs = Math.max(0, ...rows.map((row) => row.runs.length))
  return `<section>
<h2>How this was measured</h2>
<p>Sender, sink and the relay that adds a round trip are processes of their own on one machine. Contestants warm up, then run in turn, ${runs} times each; figures are medians, spread is half the distance between the fastest and the slowest run. CPU is user and system time of the sender alone. Before a figure counts, the sink's digest of all contents must equal the sender's; where smtp-sink takes the messages, which keeps nothing, its count must. Only figures of one run can be compared. ${Figure.format(rows.length)} rows.</p>
<p>Run it yourself: <code>pnpm bench${quick ? " --quick" : ""} --html report.html</code></p>
</section>`
}

const css = `:root{--paper:#fbfbf9;--card:#fff;--ink:#1c2330;--soft:#6a7280;--rule:#e4e4df;--good:#1f8a4c;--bad:#c2362b}
@media (prefers-color-scheme:dark){:root{--paper:#14171c;--card:#1b1f26;--ink:#e8eaee;--soft:#98a1af;--rule:#2d333d;--good:#4cc38a;--bad:#ff7b6e}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,sans-serif}
main{max-width:1320px;margin:0 auto;padding:40px 28px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em}
h2{font-size:20px;margin:0 0 4px}
header p,section>p{color:var(--soft);margin:0 0 16px;max-width:88ch}
section{margin-top:44px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:12px}
.tile{background:var(--card);border:1px solid var(--rule);border-left:4px solid var(--soft);border-radius:8px;padding:12px 14px}
.tile.met{border-left-color:var(--good)}
.tile.missed{border-left-color:var(--bad)}
.value{font-size:24px;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.wanted{font-size:13px;color:var(--soft)}
.state{font-weight:650}
.met .state{color:var(--good)}
.missed .state{color:var(--bad)}
.statement{font-size:13.5px;margin-top:6px;line-height:1.4}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(520px,100%),1fr));gap:16px;align-items:start}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:16px 18px}
figcaption{font-weight:650;margin-bottom:12px}
svg{display:block;width:100%;height:auto}
svg .detail{fill:var(--soft)}
details{margin-top:12px}
summary{cursor:pointer;color:var(--soft)}
.scroll{overflow-x:auto;margin-top:8px}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:500}
.left{text-align:left}
code{background:var(--card);border:1px solid var(--rule);border-radius:4px;padding:1px 6px}`
