import { assert, describe, it } from "@effect/vitest"
import * as HtmlReport from "../src/HtmlReport.ts"
import type { Plot } from "../src/Plot.ts"
import * as Svg from "../src/Svg.ts"
import * as Workloads from "../src/Workloads.ts"
import { report, row } from "./support/rows.ts"

const samples = [0, 500, 1000].map((ms) => ({ ms, messages: ms * 50, rssBytes: 1e8 + ms, heapBytes: 5e7 }))

const rows = Workloads.all.flatMap(({ name }) =>
  [0, 20].flatMap((rttMs) =>
    ["mailrace-speculative", "nodemailer-pool"].map((contestant) =>
      row({ workload: name, contestant, rttMs, ...(name === "memory" ? { messages: 1_000_000, samples } : {}) })
    )
  )
)

const numbers = (svg: string): ReadonlyArray<number> =>
  [...svg.matchAll(/ (?:x|y|x1|x2|y1|y2|cx|cy|width|height)="([^"]*)"/g)].map(([, value]) => Number(value))

describe("HtmlReport", () => {
  const page = HtmlReport.render(report({ rows }), Workloads.all)

  it("has a section with drawings for every workload that has rows", () => {
    for (const { name, title } of Workloads.all) {
      const section = page.slice(page.indexOf(`<section id="${name}">`)).split("</section>")[0]!
      assert.include(section, `<h2>${title}</h2>`)
      assert.include(section, "<svg", name)
      assert.include(section, "<table>", name)
    }
  })

  it("draws what was promised", () => {
    for (const plot of [
      "Rate by round trip",
      "Rate by connections",
      "CPU by message",
      "Memory over time",
      "Latency by percentile"
    ]) {
      assert.include(page, `<figcaption>${plot}</figcaption>`)
    }
  })

  it("leaves out workloads without rows", () => {
    const one = HtmlReport.render(report(), Workloads.all)
    assert.include(one, 'id="loopback"')
    assert.notInclude(one, 'id="rtt"')
  })

  it("stands by itself, in light and dark", () => {
    assert.notMatch(page, /<script|<link|<img|src=|url\(|@import|https?:/)
    assert.include(page, "prefers-color-scheme:dark")
  })

  it("takes nothing that it is given for markup", () => {
    assert.include(page, "a &lt;fast&gt; one")
    const failure = { workload: "rtt", variant: "<b>", contestant: "c", problem: "</ul><p>" }
    const failed = HtmlReport.render(report({ failures: [failure] }), [])
    assert.include(failed, "&lt;/ul&gt;&lt;p&gt;")
    assert.notInclude(failed, "<b>")
  })

  it("shows a target as met, missed, or not measured", () => {
    const base = { id: "a", statement: "s", target: 2, direction: "atLeast", unit: "×" } as const
    const html = HtmlReport.render(
      report({
        targets: [
          { ...base, value: 3, met: true },
          { ...base, value: 1, met: false },
          { ...base, value: null, met: null }
        ]
      }),
      []
    )
    assert.deepStrictEqual(
      [...html.matchAll(/class="tile (\w+)"/g)].map(([, state]) => state),
      ["met", "missed", "open"]
    )
    assert.include(html, "1 of 2 measured are met")
  })
})

describe("Svg", () => {
  const line = (values: ReadonlyArray<number>, scale: "linear" | "log"): Plot => ({
    kind: "line",
    title: "t",
    x: { label: "x", scale: "ordinal" },
    y: { label: "y", scale },
    series: [{ name: "mailrace-overlap", points: values.map((value, at) => [at, value] as const) }]
  })

  it("keeps every point within the drawing, for one value, equal ones and ones far apart", () => {
    for (const values of [[5], [1], [1000, 1000], [0.003, 250_000], [99_999, 100_001], [7, 8, 9]]) {
      for (const scale of ["linear", "log"] as const) {
        const svg = Svg.render(line(values, scale))
        const circles = [...svg.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)]
        assert.strictEqual(circles.length, values.length)
        for (const [, cx, cy] of circles) {
          assert.isTrue(Number(cx) >= 0 && Number(cx) <= 640 && Number(cy) >= 10 && Number(cy) <= 301, svg)
        }
        assert.isTrue(numbers(svg).every(Number.isFinite))
      }
    }
  })

  it("draws bars in the proportion of their values", () => {
    const svg = Svg.render({
      kind: "bar",
      title: "t",
      label: "l",
      bars: [
        { name: "a", value: 100 },
        { name: "b", value: 25 }
      ]
    })
    const widths = [...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width))
    assert.approximately(widths[0]! / widths[1]!, 4, 0.05)
  })

  it("says so where nothing was measured", () => {
    assert.include(Svg.render({ ...(line([], "log") as Extract<Plot, { kind: "line" }>) }), "nothing was measured")
    assert.include(Svg.render({ kind: "bar", title: "t", label: "l", bars: [] }), "<svg")
  })

  it("moves the names of lines that end together apart", () => {
    const ends = ["a", "b", "c"].map((name) => ({ name, points: [[0, 5] as const, [1, 5.01] as const] }))
    const svg = Svg.render({ kind: "line", title: "t", x: { label: "x" }, y: { label: "y" }, series: ends })
    const places = [...svg.matchAll(/class="name" x="[\d.]+" y="([\d.]+)"/g)]
      .map(([, y]) => Number(y))
      .toSorted((a, b) => a - b)
    assert.strictEqual(places.length, 3)
    assert.isTrue(places[1]! - places[0]! >= 15 && places[2]! - places[1]! >= 15)
  })
})
