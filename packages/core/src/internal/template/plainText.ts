/**
 * The plain text of an HTML document, or of a template for one: what a reader sees, without its looks.
 *
 * Paragraphs, lists, table rows and line breaks stay apart; a link is followed by its address; an image is its
 * description; what is hidden, as the preview line that many mails begin with, is left out. Fields and blocks of a
 * template stay what they are: the text is derived once and filled in like any other.
 */
import * as HtmlEntities from "../html/entities.ts"
import * as HtmlTokenizer from "../html/tokenizer.ts"
import * as Escape from "./escape.ts"
import type { Choice, Loop, Step, Steps, Value } from "./steps.ts"

/** The text of a document. */
export const fromHtml = (html: string): string =>
  derive([{ _tag: "Static", text: html }])
    .map((step) => (step._tag === "Static" ? step.text : ""))
    .join("")

/** The text of a template for a document. */
export const derive = (html: Steps): Steps => {
  const deriver = new Deriver()
  deriver.walk(html)
  return deriver.end()
}

/** How many line breaks stand before and after an element. */
const breaks: ReadonlyMap<string, number> = new Map([
  ..."blockquote dl h1 h2 h3 h4 h5 h6 ol p pre table ul".split(" ").map((tag) => [tag, 2] as const),
  ..."address article aside center dd div dt fieldset figcaption figure footer form header li main nav section tr"
    .split(" ")
    .map((tag) => [tag, 1] as const)
])

const isHidden = /display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all/i

/** A gap that is a blank only. */
const blank = 0.5

/** What the text ends in: words, a blank (0), so many line breaks, or the marker that its item begins beside. */
const words = -1
const marked = 3

interface List {
  readonly isOrdered: boolean
  /** How many loops were around where it began. */
  readonly loops: number
  items: number
}

interface Link {
  readonly href: Steps
  text: string
  readonly fields: Array<string>
}

type Attributes = Map<string, Array<Step>>

class Deriver {
  private readonly tokenizer: HtmlTokenizer.HtmlTokenizer
  private steps: Array<Step> = []
  /** The lines of the current text that have ended, which are not looked at again. */
  private lines = ""
  /** The rest of it. */
  private text = ""
  /** What is to come before the next words: nothing, a blank, or line breaks. */
  private gap = 0
  /** What stands before; a text begins as after an empty line. */
  private trailing = 2
  private attributes: Attributes = new Map()
  private readonly links: Array<Link> = []
  private readonly lists: Array<List> = []
  private loops = 0
  private preformatted = 0
  private hidden: { readonly tag: string; readonly depth: number } | undefined

  constructor() {
    this.tokenizer = new HtmlTokenizer.HtmlTokenizer({
      text: (text) => {
        if (!this.isUnseen) this.write(HtmlEntities.decode(text))
      },
      value: (text, { attribute }) =>
        this.attribute(attribute).push({ _tag: "Static", text: HtmlEntities.decode(text, true) }),
      tag: (name, isEndTag) => {
        this.tag(name, isEndTag)
        this.attributes.clear()
      }
    })
  }

  walk(steps: Steps): void {
    for (const step of steps)
      switch (step._tag) {
        case "Static":
          this.tokenizer.read(step.text)
          break
        case "Value":
          this.field(step)
          break
        case "Choice":
          this.choice(step)
          break
        case "Loop":
          this.loop(step)
      }
  }

  end(): Steps {
    this.closeLinks(0)
    this.text = (this.lines + this.text).trimEnd()
    this.lines = ""
    this.flush()
    return this.steps
  }

  private get isUnseen(): boolean {
    return this.hidden !== undefined || this.tokenizer.isConditional
  }

  private attribute(name: string): Array<Step> {
    const known = this.attributes.get(name)
    if (known !== undefined) return known
    const fresh: Array<Step> = []
    this.attributes.set(name, fresh)
    return fresh
  }

  private field(step: Value): void {
    const { attribute, mode } = this.tokenizer.state
    const plain = { ...step, escape: Escape.text }
    if (mode === "value")
      this.attribute(attribute).push(
        step.escape === Escape.html ? plain : { ...step, escape: Escape.outsideHtml(step.escape) }
      )
    else if (mode === "text" && !this.isUnseen)
      this.writeValue(step.field.raw ? { ...step, escape: htmlAsText } : plain)
    this.tokenizer.field()
  }

  private choice(step: Choice): void {
    this.block([step.yes, step.no], ([yes, no]) => ({ ...step, yes: yes!, no: no! }))
  }

  private loop(step: Loop): void {
    this.loops++
    this.block([step.body, step.none], ([body, none]) => ({ ...step, body: body!, none: none! }))
    this.loops--
    // How many items of a list a loop gave is not known here.
    for (const list of this.lists) if (list.items > 0 && list.loops === this.loops) list.items = Number.NaN
  }

  /** Derives each branch by itself, its text as well as the attributes in it. */
  private block(branches: ReadonlyArray<Steps>, make: (branches: ReadonlyArray<Steps>) => Step): void {
    this.settle()
    this.flush()
    const { attributes, steps, trailing } = this
    const start = this.tokenizer.state
    const { hidden } = this
    const links = this.links.length
    const done = branches.map((branch) => {
      this.tokenizer.state = start
      this.hidden = hidden
      this.steps = []
      this.attributes = new Map()
      this.trailing = trailing
      this.walk(branch)
      this.closeLinks(links)
      this.settle()
      this.flush()
      return { steps: this.steps, attributes: this.attributes, trailing: this.trailing }
    })
    this.steps = steps
    this.attributes = attributes
    this.hidden = hidden
    this.trailing = done.reduce((least, branch) => Math.min(least, branch.trailing), Number.POSITIVE_INFINITY)
    if (done.some((branch) => branch.steps.length > 0)) this.steps.push(make(done.map((branch) => branch.steps)))
    for (const name of new Set(done.flatMap((branch) => [...branch.attributes.keys()])))
      this.attribute(name).push(make(done.map((branch) => branch.attributes.get(name) ?? [])))
  }

  private tag(name: string, isEndTag: boolean): void {
    if (this.tokenizer.isConditional) return
    if (this.hidden !== undefined) {
      const depth = this.hidden.depth + (this.hidden.tag !== name ? 0 : isEndTag ? -1 : 1)
      this.hidden = depth === 0 ? undefined : { tag: this.hidden.tag, depth }
      return
    }
    if (!isEndTag && isHidden.test(staticText(this.attributes.get("style") ?? []))) {
      if (!voidTags.has(name)) this.hidden = { tag: name, depth: 1 }
      return
    }
    this.separate(name, isEndTag)
    switch (name) {
      case "a":
        if (isEndTag) this.closeLinks(this.links.length - 1)
        else this.links.push({ href: [...(this.attributes.get("href") ?? [])], text: "", fields: [] })
        return
      case "br":
        this.gap = Math.min(2, Math.floor(this.gap) + 1)
        return
      case "hr":
        this.separate("p", false)
        this.write("---")
        this.separate("p", true)
        return
      case "img":
        return this.writeSteps(this.attributes.get("alt") ?? [])
      case "li":
        if (!isEndTag) this.marker()
        return
      case "ol":
      case "ul":
        if (isEndTag) this.lists.pop()
        else this.lists.push({ isOrdered: name === "ol", loops: this.loops, items: 0 })
        return
      case "pre":
        this.preformatted = Math.max(0, this.preformatted + (isEndTag ? -1 : 1))
        return
      case "td":
      case "th":
        this.gap = Math.max(this.gap, blank)
    }
  }

  private separate(tag: string, isEndTag: boolean): void {
    const isList = tag === "ul" || tag === "ol"
    const isInner = isList && this.lists.length > (isEndTag ? 1 : 0)
    // An item without words ends with its marker.
    if (this.trailing === marked && (tag === "li" || (isList && isEndTag))) this.trailing = words
    this.gap = Math.max(this.gap, isInner ? 1 : (breaks.get(tag) ?? 0))
  }

  private marker(): void {
    const list = this.lists.at(-1)
    this.settle()
    this.text += "  ".repeat(Math.min(Math.max(0, this.lists.length - 1), deepestIndent))
    if (list?.isOrdered === true && !Number.isNaN(list.items)) {
      if (list.loops < this.loops) {
        const before = list.items + 1
        this.flush()
        this.steps.push(indexPlus(before))
        this.text += ". "
      } else this.text += `${++list.items}. `
    } else this.text += "- "
    this.trailing = marked
  }

  /** Ends links down to a depth: their addresses follow. */
  private closeLinks(depth: number): void {
    while (this.links.length > Math.max(0, depth)) {
      const { fields, href, text } = this.links.pop()!
      const [first] = href
      if (first === undefined) continue
      const shown = text.trim()
      const isFixed = href.every((step) => step._tag === "Static")
      const address = isFixed
        ? staticText(href)
            .trim()
            .replace(/^mailto:/i, "")
        : ""
      if (isFixed && (address === "" || address.startsWith("#") || isSame(shown, address))) continue
      const isField = href.length === 1 && first._tag === "Value"
      if (isField && shown === "" && fields.join() === first.field.path.name) continue
      const isAlone = shown === "" && fields.length === 0
      this.gap = isAlone ? Math.max(this.gap, blank) : Math.min(this.gap, blank)
      if (!isAlone) this.write(" (")
      this.writeSteps(isFixed ? [{ _tag: "Static", text: address }] : href)
      if (isAlone) this.gap = Math.max(this.gap, blank)
      else this.write(")")
    }
  }

  private writeSteps(steps: Steps): void {
    for (const step of steps)
      if (step._tag === "Static") this.write(step.text)
      else if (step._tag === "Value") this.writeValue(step)
      else {
        this.settle()
        this.flush()
        this.steps.push(step)
        this.trailing = words
      }
  }

  private write(text: string): void {
    if (this.preformatted > 0) {
      this.settle()
      this.text += text
      this.trailing = text.endsWith("\n") ? 1 : words
      return
    }
    const collapsed = text.replace(/[\s\u00a0]+/g, " ")
    const trimmed = collapsed.trim()
    if (collapsed.startsWith(" ")) this.gap = Math.max(this.gap, blank)
    if (trimmed !== "") {
      this.settle()
      this.text += trimmed
      this.trailing = words
    }
    if (collapsed.endsWith(" ")) this.gap = Math.max(this.gap, blank)
    const link = this.links.at(-1)
    if (link !== undefined) link.text += trimmed
  }

  private writeValue(step: Value): void {
    this.settle()
    this.flush()
    this.steps.push(step)
    this.trailing = words
    this.links.at(-1)?.fields.push(step.field.path.name)
  }

  /** Writes the gap out. */
  private settle(): void {
    const { gap, trailing } = this
    this.gap = 0
    if (gap >= 1 && gap > trailing) {
      this.lines += withoutBlanksAtEnd(this.text) + "\n".repeat(gap - Math.max(0, trailing))
      this.text = ""
      this.trailing = gap
    } else if (gap === blank && trailing === words) {
      this.text += " "
      this.trailing = 0
    }
  }

  private flush(): void {
    const text = this.lines + this.text
    if (text !== "") this.steps.push({ _tag: "Static", text })
    this.lines = this.text = ""
  }
}

/** Lists within lists are moved in no further. */
const deepestIndent = 20

const withoutBlanksAtEnd = (text: string): string => {
  let end = text.length
  while (text.charCodeAt(end - 1) === 0x20) end--
  return text.slice(0, end)
}

const voidTags: ReadonlySet<string> = new Set(["img", "br", "hr", "input", "meta", "link", "col", "source"])

const htmlAsText: Escape.Escape = (value) => Escape.text(fromHtml(value))

/** The place of a list's item, counted in a loop. */
const indexPlus = (first: number): Value => ({
  _tag: "Value",
  field: {
    _tag: "Field",
    path: { name: "@index", base: "@index", segments: [] },
    raw: false,
    fallback: undefined,
    source: "",
    offset: 0
  },
  escape: (index) => String(Number(index) + first),
  place: { field: "html", line: 1, column: 1 }
})

const staticText = (steps: Steps): string => steps.map((step) => (step._tag === "Static" ? step.text : "")).join("")

/** Whether a link shows its own address. */
const isSame = (shown: string, address: string): boolean =>
  shown === address || shown === address.replace(/^[a-z][a-z\d+.-]*:(?:\/\/)?/i, "").replace(/\/$/, "")
