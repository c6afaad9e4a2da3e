/**
 * A table that fits the terminal.
 *
 * Columns are as wide as their cells. If that is too wide, columns that may shrink do so, the widest first; then optional
 * columns are dropped, the last first. A line is never wider than the terminal.
 */
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"

export interface Column<A> {
  readonly title: string
  readonly cell: (row: A) => string
  readonly align?: "left" | "right" | undefined
  /** The narrowest width; without it the column does not shrink. */
  readonly min?: number | undefined
  /** True if the column may be dropped for lack of room. */
  readonly isOptional?: boolean | undefined
  readonly color?: ((row: A, paint: Format.Paint) => (text: string) => string) | undefined
}

/** The options for drawing a table. */
export interface Style {
  readonly colors: boolean
  /** The terminal's width; nothing is cut if it is unknown. */
  readonly columns: number | undefined
}

/** A table with known column widths. */
export interface Table<A> {
  readonly header: string
  readonly line: (row: A) => string
}

const gap = 2

/** Lays out a table by some of its rows; later rows are cut to these widths. */
export const layout = <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>, style: Style): Table<A> => {
  const paint = Format.paint(style.colors)
  const fitted = fit(
    columns.map((column) => ({ column, width: naturalWidth(column, rows) })),
    style.columns === undefined ? Infinity : style.columns - 1
  )
  const draw = (cells: ReadonlyArray<string>): string => cells.join(" ".repeat(gap)).trimEnd()
  return {
    header: paint.dim(draw(fitted.map(({ column, width }) => pad(column.title, width, column.align)))),
    line: (row) =>
      draw(
        fitted.map(({ column, width }) => {
          const text = pad(Printable.line(column.cell(row)), width, column.align)
          return column.color === undefined ? text : column.color(row, paint)(text)
        })
      )
  }
}

/** A whole table; ends with a line end. */
export const render = <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>, style: Style): string => {
  const table = layout(columns, rows, style)
  return [table.header, ...rows.map(table.line)].map((line) => `${line}\n`).join("")
}

interface Fitted<A> {
  readonly column: Column<A>
  readonly width: number
}

/** Tries all columns, then without the last optional one, and so on, each time from their natural widths. */
const fit = <A>(natural: ReadonlyArray<Fitted<A>>, room: number): ReadonlyArray<Fitted<A>> => {
  let tried = natural
  while (true) {
    const shrunk = shrink(tried, room)
    const last = tried.findLastIndex(({ column }) => column.isOptional === true)
    if (widthOf(shrunk) <= room || last === -1) return cut(shrunk, room)
    tried = tried.filter((_, index) => index !== last)
  }
}

/** Shrinks the widest column that may, until all fit or none may. */
const shrink = <A>(natural: ReadonlyArray<Fitted<A>>, room: number): ReadonlyArray<Fitted<A>> => {
  const columns = natural.map((one) => ({ ...one }))
  for (let excess = widthOf(columns) - room; excess > 0; excess--) {
    let widest: (typeof columns)[number] | undefined
    for (const one of columns) {
      const mayShrink = one.column.min !== undefined && one.width > one.column.min
      if (mayShrink && (widest === undefined || one.width > widest.width)) widest = one
    }
    if (widest === undefined) break
    widest.width--
  }
  return columns
}

/** Cuts columns beyond the edge. */
const cut = <A>(columns: ReadonlyArray<Fitted<A>>, room: number): ReadonlyArray<Fitted<A>> => {
  let left = room
  return columns.flatMap(({ column, width }) => {
    const shown = Math.min(width, left)
    left -= width + gap
    return shown > 0 ? [{ column, width: shown }] : []
  })
}

const widthOf = <A>(columns: ReadonlyArray<Fitted<A>>): number =>
  columns.reduce((sum, { width }) => sum + width, gap * Math.max(0, columns.length - 1))

const naturalWidth = <A>(column: Column<A>, rows: ReadonlyArray<A>): number =>
  rows.reduce((width, row) => Math.max(width, length(Printable.line(column.cell(row)))), column.title.length)

const pad = (text: string, width: number, align: "left" | "right" = "left"): string => {
  const cut = Format.truncate(text, width)
  const space = " ".repeat(Math.max(0, width - length(cut)))
  return align === "right" ? space + cut : cut + space
}

const length = (text: string): number => [...text].length
