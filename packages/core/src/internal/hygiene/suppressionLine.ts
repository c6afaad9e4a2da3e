/**
 * Reads a line of a suppression list in the forms that people use: one entry a line, several as a mail program copies them, or
 * a table that another system exported.
 */

/** A table, recognised by its heading. */
export interface Table {
  readonly delimiter: string
  /** The indexes of the columns with addresses, from 0. */
  readonly columns: ReadonlyArray<number>
  /** The number of columns. */
  readonly width: number
}

/** The table under a heading; `undefined` if the first line is not a heading. */
export const tableOf = (line: string): Table | undefined => {
  const delimiter = [",", ";", "\t"].find((one) => line.includes(one)) ?? "\n"
  const names = split(line, delimiter).map((cell) => cell.replace(/^"(.*)"$/, "$1").trim())
  const columns = names.flatMap((name, index) => (heading.test(name) ? [index] : []))
  // `a@example.org,email` is an entry: it tells how a person unsubscribed.
  const isData = line.includes("@") || (columns[0] !== 0 && names[0]!.includes("."))
  if (isData) return undefined
  if (columns.length > 0) return { delimiter, columns, width: names.length }
  // Blanks alone do not separate columns.
  return heading.test(names[0]!.split(/\s/, 1)[0]!) ? { delimiter: "\n", columns: [0], width: 1 } : undefined
}

/** The cells of a table's line that hold addresses, as they are written; `undefined` for a line with more than its cells. */
export const cellsOf = (line: string, { columns, delimiter, width }: Table): ReadonlyArray<string> | undefined => {
  const cells = split(line, delimiter)
  if (cells.slice(width).some((cell) => cell.trim() !== "")) return undefined
  return columns.map((column) => cells[column] ?? "")
}

/** The entries between commas, semicolons and blanks, without quotes, angle brackets and remarks. */
export const entriesOf = (text: string): ReadonlyArray<string> => {
  if (plain.test(text)) return [text]
  const entries: Array<string> = []
  for (const [whole, cell, domain, bracketed] of text.matchAll(entry)) {
    if (whole.startsWith("#") && entries.length > 0) break
    // A quoted local part may hold characters that elsewhere end an entry.
    if (cell === undefined || domain !== undefined) entries.push(bracketed ?? whole)
    else for (const inside of entriesOf(cell.replaceAll('""', '"').trim())) entries.push(inside)
  }
  return entries
}

const heading = /^(?:(?:e-?)?mail|address|e-?mail[ _-]?address|recipient|domain)(?:[ _-]?\d+)?$/i

const plain = /^[^\s,;"<#]+$/

const entry = /"((?:[^"\\]|\\.|"")*)"(@[^\s,;>]+)?|<([^<>\s]*)>|[^\s,;]+/g

/** Cells as they are written, their quotes included. */
const split = (line: string, delimiter: string): ReadonlyArray<string> => {
  if (!line.includes(delimiter)) return [line]
  const cells: Array<string> = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '"') isQuoted = !isQuoted
    else if (line[at] === delimiter && !isQuoted) {
      cells.push(line.slice(start, at))
      start = at + 1
    }
  }
  return [...cells, line.slice(start)]
}
