/**
 * The meaning of a CSV's columns, from its header: the field of a message that each fills, and the fields of a template.
 *
 * It is determined once, so that a line only costs picking its cells.
 */
import * as Result from "effect/Result"
import type { Line } from "./mailJson.ts"
import * as RecipientColumn from "./recipientColumn.ts"

/** The cells of a record. */
export type Cells = ReadonlyArray<string>

/** A column's name in the header, and the field of a message that it fills; `RecipientColumn` finds the one for `to`. */
const mailFields: ReadonlyMap<string, keyof Line> = new Map([
  ["from", "from"],
  ["subject", "subject"],
  ["cc", "cc"],
  ["bcc", "bcc"],
  ["reply-to", "replyTo"],
  ["reply_to", "replyTo"],
  ["replyto", "replyTo"],
  ["text", "text"],
  ["html", "html"],
  ["id", "id"],
  ["tenant", "tenant"]
])

/** The map of columns to the fields of a message. */
export interface Options {
  /** Fields that the template sets; columns of these names only provide values for it. */
  readonly values: ReadonlySet<string>
  /** How to find the recipients' column; `undefined` if no column holds them. */
  readonly recipients: RecipientColumn.Search | undefined
  /** The column of the body. Defaults to `text`. */
  readonly body?: string | undefined
}

export class CsvColumns {
  /** As the header has them. */
  readonly names: ReadonlyArray<string>
  /** A column that is there twice. */
  readonly twice: string | undefined
  /** The candidates if the recipients' column is ambiguous. */
  readonly rivals: ReadonlyArray<string>
  /** The least number of cells in a record; unnamed columns at the end of the header need none. */
  readonly required: number
  private readonly positions: ReadonlyMap<string, number>
  private readonly fields: ReadonlyArray<readonly [field: keyof Line, position: number]>

  constructor(header: Cells, { body, recipients, values }: Options) {
    this.names = header.map((name) => name.trim())
    this.required = this.names.findLastIndex((name) => name !== "") + 1
    this.positions = new Map(this.names.map((name, index) => [keyOf(name), index]))
    this.twice = this.names.find((name, index) => name !== "" && this.positionOf(name) !== index)
    const to = recipients === undefined ? Result.succeed(undefined) : RecipientColumn.find(this.names, recipients)
    this.rivals = Result.isFailure(to) ? to.failure : []
    const position = Result.getOrUndefined(to)
    const bodyColumn = body?.trim().toLowerCase()
    this.fields = [...this.positions].flatMap(([column, index]) => {
      const field = index === position ? "to" : column === bodyColumn ? "text" : mailFields.get(column)
      return field === undefined || values.has(field) ? [] : [[field, index] as const]
    })
  }

  /** True if there is a column of that name. */
  has(name: string): boolean {
    return this.positionOf(name) !== undefined
  }

  /** True if a column fills a field of a message. */
  fills(field: keyof Line): boolean {
    return this.fields.some(([one]) => one === field)
  }

  /** A column's name as the header has it. */
  nameOf(name: string): string | undefined {
    const position = this.positionOf(name)
    return position === undefined ? undefined : this.names[position]
  }

  /** The column that fills a field of a message. */
  columnOf(field: string): string | undefined {
    const found = this.fields.find(([one]) => one === field)
    return found && this.names[found[1]]
  }

  /** The cell of a column. */
  cell(cells: Cells, name: string): string | undefined {
    const position = this.positionOf(name)
    return position === undefined ? undefined : cells[position]
  }

  /** The cell of the recipients, if it has content. */
  recipient(cells: Cells): string | undefined {
    const column = this.columnOf("to")
    return (column && this.cell(cells, column)?.trim()) || undefined
  }

  /** The fields of a message in a record, without empty cells. */
  line(cells: Cells): Line {
    const line: Record<string, unknown> = {}
    for (const [field, position] of this.fields) {
      const cell = cells[position]!
      if (line[field] === undefined && cell.trim() !== "") line[field] = cell
    }
    const name = this.cell(cells, "name")?.trim()
    const to = line["to"]
    if (name !== undefined && name !== "" && typeof to === "string" && !to.includes("<"))
      line["to"] = { name, address: to.trim() }
    return line
  }

  /** A record's values for the fields of a template, `a.b` as a part of `a`. */
  filler(fields: ReadonlyArray<string>): (cells: Cells) => { readonly [name: string]: unknown } {
    const tree: Tree = new Map()
    for (const field of fields) {
      const position = this.positionOf(field)
      if (position !== undefined) plant(tree, field.split("."), position)
    }
    return pickerOf(tree)
  }

  private positionOf(name: string): number | undefined {
    return this.positions.get(keyOf(name))
  }
}

/** Columns differ only if a reader sees a difference: not by case, nor by how an accent is stored. */
const keyOf = (name: string): string => name.normalize("NFC").toLowerCase()

/** Names, and the position of the cell that each stands for, or the names below it. */
type Tree = Map<string, number | Tree>

const plant = (tree: Tree, [name, ...below]: ReadonlyArray<string>, position: number): void => {
  const known = tree.get(name!)
  if (below.length === 0) {
    // A field with parts of its own is not a value.
    if (known === undefined) tree.set(name!, position)
    return
  }
  const inner: Tree = known === undefined || typeof known === "number" ? new Map() : known
  tree.set(name!, inner)
  plant(inner, below, position)
}

const pickerOf = (tree: Tree): ((cells: Cells) => { readonly [name: string]: unknown }) => {
  const picks = Array.from(tree, ([name, at]) => {
    const pick = typeof at === "number" ? (cells: Cells) => cells[at] : pickerOf(at)
    return [name, pick] as const
  })
  // Not assigned one by one, as a column named `__proto__` would then be more than a value.
  return (cells) => Object.fromEntries(picks.map(([name, pick]) => [name, pick(cells)]))
}
