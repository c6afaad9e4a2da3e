/**
 * The template language: text with `{{…}}` in it, read into a tree.
 *
 * `{{a.b}}` is a field, `{{a|there}}` one with a default, `{{{a}}}` one that goes in as it is; `{{#if a}}…{{else if b}}…
 * {{else}}…{{/if}}` and `{{#each a}}…{{else}}…{{/each}}` are blocks; `\{{` is two braces. A block's tag that stands alone
 * on its line takes the line with it, so that blocks can be written as they read.
 *
 * Editors percent-encode what stands in a link, so `%7B%7Ba%7Cthere%7D%7D` is `{{a|there}}`, whichever of its characters
 * are encoded; `\%7B%7B` stands for itself.
 */
import * as TemplateError from "../../TemplateError.ts"

/** A piece of a template. */
export type Node = Text | Field | If | Each

/** Text that stands for itself. */
export interface Text {
  readonly _tag: "Text"
  readonly text: string
  readonly offset: number
}

/** A value to put in. */
export interface Field {
  readonly _tag: "Field"
  readonly path: Path
  /** Written with three braces. */
  readonly raw: boolean
  /** Stands in for a value that is missing or empty. */
  readonly fallback: string | undefined
  /** As it was written. */
  readonly source: string
  readonly offset: number
}

/** One of two branches. */
export interface If {
  readonly _tag: "If"
  readonly path: Path
  readonly yes: ReadonlyArray<Node>
  readonly no: ReadonlyArray<Node>
  readonly offset: number
}

/** A branch for each element of a list. */
export interface Each {
  readonly _tag: "Each"
  readonly path: Path
  readonly body: ReadonlyArray<Node>
  readonly none: ReadonlyArray<Node>
  readonly offset: number
}

/** Where a value is found. */
export interface Path {
  /** As it was written, as in `user.name`. */
  readonly name: string
  /** Where to begin: at the data, at the current element of a list, or at what is known about its place. */
  readonly base: "data" | "this" | "@index" | "@first" | "@last"
  readonly segments: ReadonlyArray<string>
}

/** A template's text and the name of the part that it is. */
export interface Source {
  readonly field: string
  readonly text: string
  /** In HTML, what stands between braces may be written with entities, as React and editors do. */
  readonly isHtml: boolean
}

/** Reads a template. Throws `TemplateError`. */
export const parseUnsafe = (source: Source): ReadonlyArray<Node> => new Parser(source).parseUnsafe()

/** A block that is not closed yet. */
interface Open {
  readonly block: "if" | "each"
  readonly path: Path
  readonly offset: number
  readonly outer: Array<Node>
  readonly first: Array<Node>
  /** Opened by `{{else if …}}`: closed with the block around it. */
  readonly isChained: boolean
  second: Array<Node> | undefined
}

interface Tag {
  readonly offset: number
  readonly end: number
  readonly raw: boolean
  /** The text between the braces, trimmed, entities decoded. */
  readonly content: string
}

class Parser {
  private readonly source: Source
  private readonly open: Array<Open> = []
  private nodes: Array<Node> = []
  private text = ""
  private textOffset = 0

  constructor(source: Source) {
    this.source = source
  }

  parseUnsafe(): ReadonlyArray<Node> {
    const { text } = this.source
    let at = 0
    for (;;) {
      opening.lastIndex = at
      const found = opening.exec(text)
      if (found === null) break
      const braces = found.index
      if (text[braces - 1] === "\\" && braces > at) {
        this.text += `${text.slice(at, braces - 1)}${found[0]}`
        at = braces + found[0].length
        continue
      }
      if (found[0].includes("%25"))
        this.fail(
          braces,
          "the braces are percent-encoded twice, so that no field is read here",
          `write {{name}}, or \\${found[0]} for what stands for itself`
        )
      this.text += text.slice(at, braces)
      at = this.tagUnsafe(this.readTagUnsafe(braces))
      if (this.text === "") this.textOffset = at
    }
    this.text += text.slice(at)
    this.flush()
    const unclosed = this.open.at(-1)
    if (unclosed !== undefined)
      this.fail(
        unclosed.offset,
        `{{#${unclosed.block} ${unclosed.path.name}}} is never closed`,
        `add {{/${unclosed.block}}} where the block ends`
      )
    return this.nodes
  }

  private readTagUnsafe(offset: number): Tag {
    const isPlain = this.source.text.startsWith("{{", offset)
    return (isPlain ? this.readPlainUnsafe(offset) : undefined) ?? this.readEncodedUnsafe(offset, isPlain)
  }

  /** A tag of which some characters are percent-encoded (RFC 3986 §2.1), braces among them. */
  private readEncodedUnsafe(offset: number, isPlain: boolean): Tag {
    const { isHtml, text } = this.source
    encodedTag.lastIndex = offset
    const found = encodedTag.exec(text)
    if (found === null)
      return this.fail(
        offset,
        `${text.startsWith("{{{", offset) ? "{{{" : "{{"}${isPlain ? "" : ", percent-encoded,"} is never closed`,
        `close it with ${text.startsWith("{{{", offset) ? "}}}" : "}}"}, or write \\{{ for braces that stand for themselves`
      )
    const [whole, third, content = "", last] = found
    if ((third === undefined) !== (last === undefined))
      return this.fail(offset, "{{ and {{{ are not closed alike", "close {{ with }}, and {{{ with }}}")
    const inside = percentDecoded(isHtml ? decodeEntities(content) : content)
    if (inside === undefined)
      return this.fail(offset, "the field is percent-encoded, but not as UTF-8", "write it as {{name}}")
    return { offset, end: offset + whole.length, raw: third !== undefined, content: inside.trim() }
  }

  /** A tag as it is usually written; `undefined` if its braces are not closed. */
  private readPlainUnsafe(offset: number): Tag | undefined {
    const { isHtml, text } = this.source
    const raw = text.startsWith("{{{", offset)
    const [opening, closing] = raw ? ["{{{", "}}}"] : ["{{", "}}"]
    let hasDefault = false
    let isQuoted = false
    for (let i = offset + opening.length; i < text.length; i++) {
      const quote = text[i] === '"' ? 1 : isHtml && text.startsWith("&quot;", i) ? 6 : 0
      if (quote > 0 && hasDefault) {
        isQuoted = !isQuoted
        i += quote - 1
      } else if (isQuoted) {
        if (text[i] === "\\") i++
      } else if (text[i] === "|") {
        hasDefault = true
      } else if (text.startsWith("{{", i)) {
        break
      } else if (text.startsWith("}}", i)) {
        if (!text.startsWith(closing, i))
          return this.fail(offset, "{{{ is closed by }}", "close it with }}}, or open it with {{")
        const content = text.slice(offset + opening.length, i)
        return { offset, end: i + closing.length, raw, content: (isHtml ? decodeEntities(content) : content).trim() }
      }
    }
    return isQuoted
      ? this.fail(offset, "the quote of a default is never closed", 'end it with ", and write a quote inside it as \\"')
      : undefined
  }

  /** Takes a tag in; returns where the text goes on. */
  private tagUnsafe(tag: Tag): number {
    const { content } = tag
    if (tag.raw && /^[#/]|^else\b/.test(content))
      this.fail(tag.offset, "a block's tag has three braces", `write {{${content}}}`)
    if (content.startsWith("#")) return this.beginUnsafe(tag)
    if (content.startsWith("/")) return this.endUnsafe(tag)
    if (content === "else") return this.elseUnsafe(tag)
    if (/^else\s+if\b/.test(content)) return this.elseIfUnsafe(tag)
    this.flush()
    this.nodes.push(this.fieldUnsafe(tag))
    return tag.end
  }

  private beginUnsafe(tag: Tag): number {
    const [, block = "", rest = ""] = /^#\s*(\S*)\s*([^]*)$/.exec(tag.content)!
    if (block !== "if" && block !== "each")
      return this.fail(
        tag.offset,
        `there is no block {{#${block}}}`,
        block === "unless" ? "use {{#if …}}{{else}}…{{/if}}" : "use {{#if …}} or {{#each …}}"
      )
    const path = this.pathUnsafe(tag, rest, `{{#${block}}} names no field`, `write {{#${block} name}}`)
    const end = this.aloneOnLine(tag)
    this.flush()
    this.push({ block, path, offset: tag.offset, isChained: false })
    return end
  }

  private elseUnsafe(tag: Tag): number {
    const open = this.open.at(-1)
    if (open === undefined)
      return this.fail(tag.offset, "{{else}} stands outside of a block", "put it between {{#if …}} and {{/if}}")
    if (open.second !== undefined)
      return this.fail(tag.offset, "the block has an {{else}} already", "take one of the two out")
    const end = this.aloneOnLine(tag)
    this.flush()
    open.second = []
    this.nodes = open.second
    return end
  }

  private elseIfUnsafe(tag: Tag): number {
    const open = this.open.at(-1)
    if (open?.block !== "if")
      return this.fail(tag.offset, "{{else if}} stands outside of an {{#if}}", "put it between {{#if …}} and {{/if}}")
    const rest = tag.content.replace(/^else\s+if\s*/, "")
    const path = this.pathUnsafe(tag, rest, "{{else if}} names no field", "write {{else if name}}")
    const end = this.elseUnsafe(tag)
    this.push({ block: "if", path, offset: tag.offset, isChained: true })
    return end
  }

  private endUnsafe(tag: Tag): number {
    const block = tag.content.slice(1).trim()
    const open = this.open.at(-1)
    if (open === undefined)
      return this.fail(
        tag.offset,
        `{{/${block}}} closes a block that was never opened`,
        `add {{#${block} …}}, or take it out`
      )
    if (open.block !== block) {
      const { line } = TemplateError.position(this.source.text, open.offset)
      return this.fail(
        tag.offset,
        `{{/${block}}} stands where {{#${open.block} ${open.path.name}}} of line ${line} must be closed first`,
        `write {{/${open.block}}} before it`
      )
    }
    const end = this.aloneOnLine(tag)
    this.flush()
    while (this.pop().isChained);
    return end
  }

  private fieldUnsafe(tag: Tag): Field {
    const bar = tag.content.indexOf("|")
    const name = bar === -1 ? tag.content : tag.content.slice(0, bar)
    const sigil = sigils[name.trim()[0] ?? ""]
    if (sigil !== undefined) this.fail(tag.offset, `{{${tag.content}}} is no field`, sigil)
    return {
      _tag: "Field",
      path: this.pathUnsafe(tag, name, "there is no field name between the braces", "write {{name}}"),
      raw: tag.raw,
      fallback: bar === -1 ? undefined : this.defaultUnsafe(tag, tag.content.slice(bar + 1).trim()),
      source: this.source.text.slice(tag.offset, tag.end),
      offset: tag.offset
    }
  }

  private defaultUnsafe(tag: Tag, given: string): string {
    if (!given.startsWith('"')) return given
    const quoted = /^"((?:[^"\\]|\\[^])*)"$/.exec(given)
    return quoted === null
      ? this.fail(tag.offset, "something follows the quote of a default", 'write {{name|"some words"}}')
      : quoted[1]!.replace(/\\([^])/g, "$1")
  }

  private pathUnsafe(tag: Tag, given: string, problem: string, remedy: string): Path {
    // An accent may be stored in two ways, which look the same.
    const name = given.trim().replace(/\s+/g, " ").normalize("NFC")
    if (name === "") return this.fail(tag.offset, problem, remedy)
    const segments = name.split(".")
    const [first] = segments
    const isOfLoop = first === "this" || loopNames.has(name)
    if (!isOfLoop && !segments.every((segment) => segmentPattern.test(segment)))
      return this.fail(
        tag.offset,
        `"${name}" is no field name`,
        "use letters, digits, _ and -, with dots between levels as in user.name"
      )
    if (!isOfLoop) return { name, base: "data", segments }
    if (!this.open.some((open) => open.block === "each" && open.second === undefined))
      return this.fail(tag.offset, `{{${name}}} stands outside of a list`, "put it between {{#each …}} and {{/each}}")
    if (first !== "this") return { name, base: name as Path["base"], segments: [] }
    const rest = segments.slice(1)
    if (!rest.every((segment) => segmentPattern.test(segment)))
      return this.fail(tag.offset, `"${name}" is no field name`, "write it as this.name")
    return { name, base: "this", segments: rest }
  }

  private push(block: Pick<Open, "block" | "path" | "offset" | "isChained">): void {
    if (this.open.length === deepest)
      this.fail(
        block.offset,
        `more than ${deepest} blocks stand in each other`,
        "choose by a list, or before rendering"
      )
    const first: Array<Node> = []
    this.open.push({ ...block, outer: this.nodes, first, second: undefined })
    this.nodes = first
  }

  private pop(): Open {
    const open = this.open.pop()!
    const { first, offset, path, second = [] } = open
    this.nodes = open.outer
    this.nodes.push(
      open.block === "if"
        ? { _tag: "If", path, yes: first, no: second, offset }
        : { _tag: "Each", path, body: first, none: second, offset }
    )
    return open
  }

  /** If nothing but blanks stands beside a tag on its line, takes them and the line's end away. */
  private aloneOnLine(tag: Tag): number {
    const { text } = this.source
    let start = tag.offset
    while (text[start - 1] === " " || text[start - 1] === "\t") start--
    if (start > 0 && text[start - 1] !== "\n" && text[start - 1] !== "\r") return tag.end
    restOfLine.lastIndex = tag.end
    const after = restOfLine.exec(text)
    if (after === null) return tag.end
    this.text = this.text.slice(0, this.text.length - (tag.offset - start))
    return tag.end + after[0].length
  }

  private flush(): void {
    if (this.text !== "") this.nodes.push({ _tag: "Text", text: this.text, offset: this.textOffset })
    this.text = ""
  }

  private fail(offset: number, problem: string, remedy: string): never {
    throw TemplateError.at(this.source.field, this.source.text, offset, problem, remedy)
  }
}

/** Two braces, percent-encoded or not, or twice. */
const opening = /\{\{|(?:\{|%7B){2}|(?:%(?:25)+7B){2}/gi

/** A tag of which any character may be percent-encoded. */
const encodedTag = /(?:\{|%7B){2}(\{|%7B)?((?:(?!(?:\{|%7B|\}|%7D){2})[^]){0,1000})(?:\}|%7D){2}(\}|%7D)?/iy

const percentDecoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Limits nesting, because the tree is walked recursively. An {{else if}} counts as one more. */
const deepest = 300

const restOfLine = /[ \t]*(?:\r\n|\r|\n|$)/y

const loopNames: ReadonlySet<string> = new Set(["@index", "@first", "@last"])

/** A column of a table may be named in words. */
const segmentPattern = /^[\p{L}\p{M}\p{N}_$-]+(?: [\p{L}\p{M}\p{N}_$-]+)*$/u

/** The syntax of other template languages, and what to write here. */
const sigils: { readonly [first: string]: string } = {
  "!": "take the comment out",
  ">": "there are no partials: put the text in its place",
  "&": "write three braces for a value that goes in as it is",
  "^": "use {{#if …}}{{else}}…{{/if}}"
}

const entities: { readonly [entity: string]: string } = {
  "&quot;": '"',
  "&#34;": '"',
  "&#x22;": '"',
  "&#39;": "'",
  "&#x27;": "'",
  "&apos;": "'",
  "&lt;": "<",
  "&gt;": ">",
  "&nbsp;": " ",
  "&amp;": "&"
}

const decodeEntities = (text: string): string =>
  text.includes("&") ? text.replace(/&(?:\w+|#\w+);/g, (entity) => entities[entity.toLowerCase()] ?? entity) : text
