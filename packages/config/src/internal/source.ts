/**
 * The text of a configuration as a value, with the place of each setting.
 */
import * as Result from "effect/Result"
import { getNodeValue, type Node as JsonNode, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser"
import { type AST, getStaticTOMLValue, parseTOML } from "toml-eslint-parser"

/** A setting's way from the top, as `["relay", "ses", "url"]`. */
export type Path = ReadonlyArray<string | number>

/** Both from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A text that was read. */
export interface Source {
  readonly value: unknown
  /** The place of a setting, or of the nearest one above it that is there. */
  readonly placeOf: (path: Path) => Place
}

/** A text that is not in its format. */
export interface SyntaxFault extends Place {
  readonly problem: string
  readonly remedy: string
}

const start: Place = { line: 1, column: 1 }

/** The most names on the way to a setting; the settings themselves need far fewer. */
const deepest = 100

const keyOf = (path: Path): string => JSON.stringify(path)

class Places {
  private readonly places = new Map<string, Place>()
  /** The first name that would not become a setting. */
  lost: SyntaxFault | undefined

  /** Adds the place of a setting; false if it has one. */
  add(path: Path, place: Place): boolean {
    const key = keyOf(path)
    // Objects take it for their prototype.
    if (path.at(-1) === "__proto__")
      this.lost ??= { ...place, problem: '"__proto__" cannot be a name', remedy: "choose another name" }
    if (this.places.has(key)) return false
    this.places.set(key, place)
    return true
  }

  /** Adds the place for each name on the way to a setting that has none yet. */
  addAll(path: Path, above: number, place: Place): void {
    // A dotted name nests without calls, and each name on the way to it would be kept.
    if (path.length > deepest) throw new RangeError("nested too deep")
    for (let length = above + 1; length <= path.length; length++) this.add(path.slice(0, length), place)
  }

  readonly find = (path: Path): Place => {
    for (let length = path.length; length > 0; length--) {
      const place = this.places.get(keyOf(path.slice(0, length)))
      if (place !== undefined) return place
    }
    return start
  }
}

/** Reads TOML 1.0. */
export const readToml = (text: string): Result.Result<Source, SyntaxFault> => {
  try {
    return readTomlUnsafe(text)
  } catch (thrown) {
    if (thrown instanceof RangeError) return Result.fail(tooDeep("TOML"))
    throw thrown
  }
}

const readTomlUnsafe = (text: string): Result.Result<Source, SyntaxFault> => {
  let program: AST.TOMLProgram
  try {
    program = parseTOML(text)
  } catch (thrown) {
    if (thrown instanceof RangeError) throw thrown
    const { column = 0, lineNumber = 1, message } = thrown as Partial<Record<"column" | "lineNumber", number>> & Error
    return Result.fail({
      line: lineNumber,
      column: column + 1,
      problem: `this is not TOML: ${lowerFirst(message)}`,
      remedy: "correct the line; texts stand in quotes, and a name stands once in its table"
    })
  }
  const places = new Places()
  const addEntries = (entries: ReadonlyArray<AST.TOMLKeyValue>, above: Path): void => {
    for (const { key, loc, value } of entries) {
      const path = [...above, ...key.keys.map((part) => (part.type === "TOMLBare" ? part.name : part.value))]
      places.addAll(path, above.length, placeAt(loc))
      addValue(value, path)
    }
  }
  const addValue = (node: AST.TOMLContentNode, path: Path): void => {
    if (node.type === "TOMLInlineTable") addEntries(node.body, path)
    if (node.type !== "TOMLArray") return
    for (const [index, element] of node.elements.entries()) {
      places.add([...path, index], placeAt(element.loc))
      addValue(element, [...path, index])
    }
  }
  for (const node of program.body[0].body) {
    if (node.type === "TOMLKeyValue") addEntries([node], [])
    else {
      places.addAll(node.resolvedKey, 0, placeAt(node.loc))
      addEntries(node.body, node.resolvedKey)
    }
  }
  if (places.lost !== undefined) return Result.fail(places.lost)
  return Result.succeed({ value: withoutDates(getStaticTOMLValue(program)), placeOf: places.find })
}

const placeAt = ({ start: { column, line } }: AST.SourceLocation): Place => ({ line, column: column + 1 })

/** TOML's dates as texts, which are what JSON has. */
const withoutDates = (value: unknown): unknown => {
  if (value instanceof Date) return value.toISOString().slice(0, 10)
  if (Array.isArray(value)) return value.map(withoutDates)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutDates(one)]))
}

const tooDeep = (language: string): SyntaxFault => ({
  ...start,
  problem: `this is not ${language}: its lists and tables are nested too deep`,
  remedy: "nest no deeper than the settings do"
})

/** Reads JSON, with comments and commas before a bracket. */
export const readJson = (text: string): Result.Result<Source, SyntaxFault> => {
  try {
    return readJsonUnsafe(text)
  } catch (thrown) {
    if (thrown instanceof RangeError) return Result.fail(tooDeep("JSON"))
    throw thrown
  }
}

const readJsonUnsafe = (text: string): Result.Result<Source, SyntaxFault> => {
  const errors: Array<ParseError> = []
  const tree = parseTree(text, errors, { allowTrailingComma: true })
  const placeOfOffset = (offset: number): Place => {
    const before = text.slice(0, offset).split("\n")
    return { line: before.length, column: before.at(-1)!.length + 1 }
  }
  const [error] = errors
  if (error !== undefined || tree === undefined) {
    const words = error === undefined ? "it is empty" : lowerFirst(spaced(printParseErrorCode(error.error)))
    return Result.fail({
      ...placeOfOffset(error?.offset ?? 0),
      problem: `this is not JSON: ${words}`,
      remedy: "correct the line; names and texts stand in double quotes"
    })
  }
  const places = new Places()
  const add = (node: JsonNode, path: Path): void => {
    if (node.type === "array")
      for (const [index, element] of (node.children ?? []).entries()) {
        places.add([...path, index], placeOfOffset(element.offset))
        add(element, [...path, index])
      }
    if (node.type === "object")
      for (const property of node.children ?? []) {
        const [key, value] = property.children ?? []
        if (key === undefined || value === undefined) continue
        const below = [...path, key.value as string]
        const place = placeOfOffset(property.offset)
        if (!places.add(below, place))
          places.lost ??= {
            ...place,
            problem: `this is not JSON: "${key.value}" is there twice`,
            remedy: "put the settings into one table"
          }
        add(value, below)
      }
  }
  add(tree, [])
  if (places.lost !== undefined) return Result.fail(places.lost)
  return Result.succeed({ value: getNodeValue(tree), placeOf: places.find })
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

const spaced = (name: string): string => name.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()
