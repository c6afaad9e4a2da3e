/**
 * The script of the page: draws the plots of the data that the page holds, by uPlot. It runs in a browser, so it is a text
 * here.
 */
export const plotScript = `"use strict"
{
  const { plots, x } = JSON.parse(document.getElementById("run").textContent)
  const style = getComputedStyle(document.documentElement)
  const colorOf = (name) => style.getPropertyValue("--" + name).trim()
  const two = (n) => String(n).padStart(2, "0")
  const clock = (s) =>
    s < 60 ? +s.toFixed(2) + " s" : (s >= 3600 ? Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ":" + two(Math.round(s) % 60)
  const inSeconds = (v, unit) => unit === "ms" && v >= 10000
  const number = (v, unit) =>
    v == null ? "–" : inSeconds(v, unit) ? number(v / 1000, "s") : (v >= 100 ? Math.round(v).toLocaleString("en-US") : +v.toPrecision(3)) + " " + unit
  const ticksOf = (ticks, unit) => {
    const [scale, name] = inSeconds(Math.max(...ticks), unit) ? [1000, "s"] : [1, unit]
    return ticks.map((v) => (v == null ? "" : (v / scale).toLocaleString("en-US") + " " + name))
  }
  const axis = { stroke: colorOf("text"), grid: { stroke: colorOf("line"), width: 1 }, ticks: { stroke: colorOf("line"), width: 1 } }
  const sync = uPlot.sync("run")
  for (const plot of plots) {
    const place = document.getElementById(plot.id)
    const width = () => place.clientWidth
    const drawn = new uPlot(
      {
        width: width(),
        height: 240,
        cursor: { sync: { key: sync.key } },
        scales: {
          x: { time: false, range: (_, min, max) => [0, Math.max(max, 0.001)] },
          y: { range: (_, min, max) => [0, max > 0 ? max * 1.08 : 1] }
        },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map(clock) },
          { ...axis, size: 78, values: (_, ticks) => ticksOf(ticks, plot.unit) }
        ],
        series: [
          { label: "time", value: (_, v) => (v == null ? "–" : clock(v)) },
          ...plot.series.map(({ color, label, dash }) => ({
            label,
            stroke: colorOf(color),
            width: 1.5,
            dash,
            spanGaps: true,
            points: { show: x.length < 40 },
            value: (_, v) => number(v, plot.unit)
          }))
        ]
      },
      [x, ...plot.series.map(({ values }) => values)],
      place
    )
    addEventListener("resize", () => drawn.setSize({ width: width(), height: 240 }))
  }
  document.documentElement.dataset.plots = plots.length
}
`
