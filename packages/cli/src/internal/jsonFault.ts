/**
 * Says where and why a text is not JSON (RFC 8259), in words.
 *
 * The platform's parser is fast and says little, in words that change between its versions. This scanner runs only on
 * text which that parser has refused already.
 */

/** The first fault. */
export interface JsonFault {
  /** The character, from 1. */
  readonly column: number
  readonly problem: string
}

/** Finds the first fault of a text that is not JSON; `whole` is what the text is called. */
export const locate = (text: string, whole: "line" | "file" = "line"): JsonFault => {
  try {
    const scanner = new Scanner(text, whole)
    scanner.value()
    scanner.space()
    if (!scanner.atEnd())
      scanner.fail(`there is more after the end of the value; one JSON object a ${whole} is expected`)
  } catch (fault) {
    if (fault instanceof Fault) return { column: fault.column, problem: fault.problem }
    throw fault
  }
  return { column: 1, problem: "this is not JSON" }
}

/** The most levels of nested lists and objects. */
export const maxDepth = 1000

/**
 * True if lists and objects are nested deeper than `maxDepth` levels. The platform's parser takes any depth, but code that
 * walks its value recursively, such as `JSON.stringify`, overflows the stack at a few thousand levels.
 */
export const isTooDeep = (value: unknown): boolean => {
  let level: Array<unknown> = [value]
  for (let depth = 1; depth <= maxDepth; depth++) {
    const next: Array<unknown> = []
    for (const container of level) {
      if (typeof container !== "object" || container === null) continue
      for (const inner of Array.isArray(container) ? container : Object.values(container))
        if (typeof inner === "object" && inner !== null) next.push(inner)
    }
    if (next.length === 0) return false
    level = next
  }
  return true
}

class Fault extends Error {
  readonly column: number
  readonly problem: string

  constructor(column: number, problem: string) {
    super(problem)
    this.column = column
    this.problem = problem
  }
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

class Scanner {
  private readonly text: string
  private readonly whole: string
  private at = 0
  private depth = 0

  constructor(text: string, whole: string) {
    this.text = text
    this.whole = whole
  }

  atEnd(): boolean {
    return this.at >= this.text.length
  }

  fail(problem: string, at = this.at): never {
    throw new Fault(at + 1, problem)
  }

  space(): void {
    while (" \t\r\n".includes(this.text[this.at] ?? "x")) this.at++
  }

  value(): void {
    this.space()
    const first = this.text[this.at]
    if (first === undefined) this.fail(`the ${this.whole} ends where a value is expected`)
    if (first === "{") return this.members()
    if (first === "[") return this.elements()
    if (first === '"') return this.string()
    for (const word of ["true", "false", "null"]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return
      }
    }
    numberPattern.lastIndex = this.at
    const number = numberPattern.exec(this.text)
    if (number === null) {
      this.fail(first === "'" ? `strings need double quotes, not '` : `"${first}" cannot begin a value`)
    }
    this.at += number[0].length
  }

  private members(): void {
    this.nested("}", "object", () => {
      if (this.text[this.at] !== '"') this.fail(`a field's name in double quotes is expected${this.found()}`)
      this.string()
      this.space()
      if (this.text[this.at] !== ":") this.fail(`a colon after the field's name is expected${this.found()}`)
      this.at++
      this.value()
    })
  }

  private elements(): void {
    this.nested("]", "list", () => this.value())
  }

  private nested(close: string, what: string, item: () => void): void {
    if (++this.depth > maxDepth) this.fail(`objects and lists are nested more than ${maxDepth} deep`)
    this.at++
    this.space()
    if (this.text[this.at] !== close) {
      for (;;) {
        this.space()
        item()
        this.space()
        if (this.text[this.at] === close) break
        if (this.atEnd()) this.fail(`the ${this.whole} ends inside an ${what}`.replace("an list", "a list"))
        if (this.text[this.at] !== ",") this.fail(`a comma or "${close}" is expected${this.found()}`)
        this.at++
      }
    }
    this.at++
    this.depth--
  }

  private string(): void {
    const start = this.at++
    for (;;) {
      const char = this.text[this.at]
      if (char === undefined) this.fail("the string that begins here has no closing quote", start)
      if (char === '"') break
      if (char < " ") this.fail("a control character inside a string must be written as an escape, as in \\n or \\t")
      this.at += char === "\\" ? this.escape() : 1
    }
    this.at++
  }

  private escape(): number {
    const char = this.text[this.at + 1]
    if (char === "u" && /^[\da-fA-F]{4}$/.test(this.text.slice(this.at + 2, this.at + 6))) return 6
    if (char !== undefined && '"\\/bfnrt'.includes(char)) return 2
    return this.fail("a backslash here begins no valid escape; write \\\\ for a backslash")
  }

  private found(): string {
    const char = this.text[this.at]
    return char === undefined ? `, the ${this.whole} ends` : `, found "${char}"`
  }
}
