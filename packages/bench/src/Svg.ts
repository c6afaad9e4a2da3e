/**
 * Draws plots as SVG that takes its colours from the page's style, so that one drawing suits a light and a dark page.
 */
import * as Figure from "./Figure.ts"
import type { Axis, BarPlot, LinePlot, Plot, Series } from "./Plot.ts"

const width = 640

/** One drawing, to be put into a page that has `style`. */
export const render = (plot: Plot): string => (plot.kind === "bar" ? barChart(plot) : lineChart(plot))

/** The colours of contestants by class name, light and dark, and how the rest of a drawing looks. */
export const style = (): string => {
  const names = Object.keys(palette)
  const rules = (shade: 0 | 1) => names.map((name) => `--c-${name}:${palette[name]![shade]}`).join(";")
  return [
    `:root{${rules(0)}}`,
    `@media (prefers-color-scheme:dark){:root{${rules(1)}}}`,
    "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}",
    "svg text.soft{fill:var(--soft)}",
    "svg text.name{font-weight:600}",
    "svg .grid{stroke:var(--rule);stroke-width:1}",
    "svg .axis{stroke:var(--soft);stroke-width:1}",
    "svg path.line{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}"
  ].join("\n")
}

const palette: { readonly [name: string]: readonly [light: string, dark: string] } = {
  "mailrace-session": ["#6d28d9", "#b794f6"],
  "mailrace-speculative": ["#1d4ed8", "#6ea8fe"],
  "mailrace-overlap": ["#0f8b8d", "#3fd0c9"],
  "mailrace-envelope": ["#5b8c1f", "#9bd14b"],
  "mailrace-off": ["#8a7a52", "#cbb98a"],
  "nodemailer-pool": ["#d9480f", "#ff9a62"],
  nodemailer: ["#b02a63", "#f58ab5"],
  "smtp-source": ["#5c6370", "#b6bcc8"],
  other: ["#334155", "#cbd5e1"]
}

/** Series that are not contestants borrow the colour of one. */
const borrowed: { readonly [name: string]: string } = {
  "mailrace-composer": "mailrace-speculative",
  "mailrace-auto": "mailrace-envelope",
  "nodemailer-composer": "nodemailer-pool",
  "resident set": "mailrace-speculative",
  heap: "mailrace-overlap"
}

const colour = (name: string): string => {
  const own = borrowed[name] ?? name
  return `var(--c-${own in palette ? own : "other"})`
}

const barHeight = 20

const barGap = 8

const barChart = (plot: BarPlot): string => {
  const left = Math.max(150, ...plot.bars.map((bar) => 7 * (bar.name.length + (bar.detail?.length ?? -3) + 3)))
  const right = width - 70
  const most = Math.max(...plot.bars.map(({ value }) => value), Number.MIN_VALUE)
  const height = plot.bars.length * (barHeight + barGap) + 26
  const bars = plot.bars.map((bar, at) => {
    const y = at * (barHeight + barGap)
    const length = Math.max(1.5, ((right - left) * bar.value) / most)
    const middle = y + barHeight / 2 + 4
    const detail =
      bar.detail === undefined ? "" : `<tspan class="detail" font-weight="400"> · ${escape(bar.detail)}</tspan>`
    return [
      `<g><title>${escape(bar.name)}${bar.detail === undefined ? "" : `, ${escape(bar.detail)}`}: ${Figure.format(bar.value)} ${escape(plot.label)}</title>`,
      `<text class="name" x="${left - 10}" y="${middle}" text-anchor="end">${escape(bar.name)}${detail}</text>`,
      `<rect x="${left}" y="${y}" width="${round(length)}" height="${barHeight}" rx="3" fill="${colour(bar.name)}"/>`,
      `<text x="${round(left + length + 7)}" y="${middle}">${Figure.format(bar.value)}</text></g>`
    ].join("")
  })
  const caption = `<text class="soft" x="${left}" y="${height - 6}">${escape(plot.label)}</text>`
  return frame(plot.title, height, [...bars, caption].join("\n"))
}

const area = { left: 64, right: width - 158, top: 14, bottom: 300 }

const lineHeight = 344

const lineChart = (plot: LinePlot): string => {
  const xs = plot.series.flatMap(({ points }) => points.map(([x]) => x))
  const ys = plot.series.flatMap(({ points }) => points.map(([, y]) => y))
  if (xs.length === 0) return frame(plot.title, 40, '<text class="soft" x="0" y="20">nothing was measured</text>')
  const x = makeScale(plot.x, xs, area.left, area.right)
  const y = makeScale(plot.y, ys, area.bottom, area.top)
  const ends = spreadApart(
    plot.series.flatMap((series) =>
      series.points.length === 0 ? [] : [{ series, y: y.place(series.points.at(-1)![1]) }]
    )
  )
  const grid = y.ticks.map(
    (tick) =>
      `<line class="grid" x1="${area.left}" x2="${area.right}" y1="${round(y.place(tick))}" y2="${round(y.place(tick))}"/>` +
      `<text class="soft" x="${area.left - 8}" y="${round(y.place(tick) + 4)}" text-anchor="end">${escape(y.format(tick))}</text>`
  )
  const marks = x.ticks.map(
    (tick) =>
      `<text class="soft" x="${round(x.place(tick))}" y="${area.bottom + 18}" text-anchor="middle">${escape(x.format(tick))}</text>`
  )
  const titles = [
    `<line class="axis" x1="${area.left}" x2="${area.right}" y1="${area.bottom}" y2="${area.bottom}"/>`,
    `<text class="soft" x="${(area.left + area.right) / 2}" y="${area.bottom + 38}" text-anchor="middle">${escape(plot.x.label)}</text>`,
    `<text class="soft" transform="translate(14 ${(area.top + area.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(plot.y.label)}</text>`
  ]
  const drawn = plot.series.map((series) => line(series, x, y))
  const labels = ends.map(
    ({ series, y: at }) =>
      `<text class="name" x="${area.right + 12}" y="${round(at + 4)}" style="fill:${colour(series.name)}">${escape(series.name)}</text>`
  )
  return frame(plot.title, lineHeight, [...grid, ...marks, ...titles, ...drawn, ...labels].join("\n"))
}

const line = ({ name, points }: Series, x: Scale, y: Scale): string => {
  const path = points
    .map(([px, py], at) => `${at === 0 ? "M" : "L"}${round(x.place(px))} ${round(y.place(py))}`)
    .join("")
  // Many points make a curve; a few points mark measurements.
  const dots =
    points.length > 20
      ? []
      : points.map(
          ([px, py]) =>
            `<circle cx="${round(x.place(px))}" cy="${round(y.place(py))}" r="4" fill="${colour(name)}"><title>${escape(name)}: ${escape(y.format(py))} at ${escape(x.format(px))}</title></circle>`
        )
  const dashes = name === "smtp-source" ? ' stroke-dasharray="6 5"' : ""
  return `<path class="line" d="${path}" stroke="${colour(name)}"${dashes}/>${dots.join("")}`
}

interface Scale {
  readonly place: (value: number) => number
  readonly ticks: ReadonlyArray<number>
  readonly format: (value: number) => string
}

const makeScale = (axis: Axis, values: ReadonlyArray<number>, from: number, to: number): Scale => {
  const format = axis.format ?? Figure.format
  if (axis.scale === "ordinal") {
    const ticks = [...new Set(values)].toSorted((a, b) => a - b)
    const step = (to - from) / Math.max(1, ticks.length)
    return { ticks, format, place: (value) => from + (ticks.indexOf(value) + 0.5) * step }
  }
  if (axis.scale === "log") {
    const positive = values.filter((value) => value > 0)
    const ticks = logTicks(Math.min(...positive), Math.max(...positive))
    const [low, high] = [Math.log10(ticks[0]!), Math.log10(ticks.at(-1)!)]
    return {
      ticks,
      format,
      place: (value) => from + ((Math.log10(Math.max(value, ticks[0]!)) - low) / (high - low)) * (to - from)
    }
  }
  const ticks = linearTicks(Math.max(...values))
  return { ticks, format, place: (value) => from + (value / ticks.at(-1)!) * (to - from) }
}

/** Powers of ten around the values, with 2 and 5 between them if they are few. */
const logTicks = (least: number, most: number): ReadonlyArray<number> => {
  const low = Math.floor(Math.log10(least))
  const high = Math.max(low + 1, Math.ceil(Math.log10(most)))
  const decades = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at))
  if (decades.length > 3) return decades
  const fine = decades.flatMap((decade) => [decade, 2 * decade, 5 * decade])
  const first = fine.findLastIndex((tick) => tick <= least)
  const last = fine.findIndex((tick) => tick >= most)
  return fine.slice(Math.max(0, first), Math.max(last, first + 1) + 1)
}

/** From zero, in steps of 1, 2 or 5. */
const linearTicks = (most: number): ReadonlyArray<number> => {
  const rough = Math.max(most, Number.MIN_VALUE) / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough)!
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, at) => Number((at * step).toPrecision(12)))
}

const leastGap = 16

/** Moves labels apart where they would lie on each other, as little as need be, and keeps them inside. */
const spreadApart = <A extends { readonly y: number }>(labels: ReadonlyArray<A>): ReadonlyArray<A> => {
  const sorted = labels.toSorted((a, b) => a.y - b.y).map((label) => ({ ...label }))
  let floor = area.top
  const down = sorted.map((label) => {
    floor = Math.max(floor, label.y) + leastGap
    return { ...label, y: floor - leastGap }
  })
  let ceiling = area.bottom
  return down
    .toReversed()
    .map((label) => {
      ceiling = Math.min(ceiling, label.y) - leastGap
      return { ...label, y: ceiling + leastGap }
    })
    .toReversed()
}

const frame = (title: string, height: number, content: string): string =>
  `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">\n${content}\n</svg>`

const round = (value: number): number => Math.round(value * 10) / 10

/** Escapes text for a page. */
export const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
