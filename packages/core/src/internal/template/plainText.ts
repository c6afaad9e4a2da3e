/**
 * The plain text of an HTML document, or of a template for one: the words that a reader sees.
 *
 * Paragraphs, lists, table rows and line breaks stay apart. A link is followed by its address. An image becomes its
 * description. Hidden elements are left out, as the preview line that many messages begin with. Fields and blocks of a
 * template remain fields and blocks: the text is derived once and filled in like any other.
 */
import { decodeHTML, decodeHTMLAttribute } from "entities/decode"
import * as InlineStyle from "../html/inlineStyle.ts"
import * as OpenElements from "../html/openElements.ts"
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
  ..."blockquote dir dl h1 h2 h3 h4 h5 h6 menu ol p pre table ul".split(" ").map((tag) => [tag, 2] as const),
  ..."address article aside center dd div dt fieldset figcaption figure footer form header li main nav section tr"
    .split(" ")
    .map((tag) => [tag, 1] as const)
])

/** A gap that is a blank only. */
const blank = 0.5

/** The end of the text: words, a blank (0), a number of line breaks, or the marker beside which its item begins. */
const words = -1
const marked = 3

interface List {
  readonly isOrdered: boolean
  /** How many loops were around where it began. */
  readonly loops: number
  /** The number of the item before the next one; NaN where it depends on data. */
  number: number
  /** The step from one item's number to the next: -1 in a list that counts down. */
  readonly increment: number
  hasItems: boolean
  /** The items that the loop in it adds. */
  round: Round | undefined
}

/** The items of a list in one round of a loop. */
interface Round {
  items: number
  /** False if their number differs from round to round, with the data. */
  isKnown: boolean
}

interface Link {
  readonly href: Steps
  readonly text: string
  readonly fields: ReadonlyArray<string>
}

type Attributes = Map<string, Array<Step>>

class Deriver {
  private readonly tokenizer: HtmlTokenizer.HtmlTokenizer
  private steps: Array<Step> = []
  /** The finished lines of the current text. */
  private lines = ""
  /** The rest of it. */
  private text = ""
  /** The gap before the next words: nothing, a blank, or line breaks. */
  private gap = 0
  /** The end of the text so far; a text begins as after an empty line. */
  private trailing = 2
  private attributes: Attributes = new Map()
  private links: ReadonlyArray<Link> = []
  private readonly lists: Array<List> = []
  private loops = 0
  private preformatted = 0
  private elements: OpenElements.OpenElements

  constructor() {
    this.tokenizer = new HtmlTokenizer.HtmlTokenizer({
      text: (text) => {
        if (!this.isUnseen) this.write(decodeHTML(text))
      },
      attribute: (name) => this.attribute(name).push({ _tag: "Static", text: "" }),
      value: (text, { attribute }) =>
        this.attribute(attribute).push({ _tag: "Static", text: decodeHTMLAttribute(text) }),
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
    return this.elements?.isHidden === true || this.tokenizer.isConditional
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

  /** The round of each list whose items a loop adds. */
  private get rounds(): ReadonlyArray<Round> {
    return this.lists.flatMap(({ round }) => round ?? [])
  }

  private loop(step: Loop): void {
    for (const list of this.lists) if (list.loops === this.loops) list.round = { items: 0, isKnown: true }
    this.loops++
    this.block([step.body, step.none], ([body, none]) => ({ ...step, body: body!, none: none! }), true)
    this.loops--
    // How many items a loop adds to a list depends on the data.
    for (const list of this.lists)
      if (list.hasItems && list.loops === this.loops) {
        list.number = Number.NaN
        list.round = undefined
      }
  }

  /** Derives each branch by itself, its text as well as the attributes in it. */
  private block(
    branches: ReadonlyArray<Steps>,
    make: (branches: ReadonlyArray<Steps>) => Step,
    isRepeated = false
  ): void {
    this.settle()
    this.flush()
    const { attributes, elements, links, steps, trailing } = this
    const start = this.tokenizer.state
    const { rounds } = this
    const items = rounds.map((round) => round.items)
    const done = branches.map((branch, place) => {
      // The branch for an empty list is not part of the loop.
      if (isRepeated && place > 0) this.loops--
      rounds.forEach((round, index) => (round.items = items[index]!))
      this.tokenizer.state = start
      this.elements = elements
      this.links = links
      this.steps = []
      this.attributes = new Map()
      this.trailing = trailing
      this.walk(branch)
      if (isRepeated) this.endRow(elements)
      this.closeLinks(links.length)
      this.settle()
      this.flush()
      if (isRepeated && place > 0) this.loops++
      return {
        steps: this.steps,
        attributes: this.attributes,
        elements: this.elements,
        links: this.links,
        trailing: this.trailing,
        items: rounds.map((round) => round.items)
      }
    })
    rounds.forEach((round, index) => {
      const counts = done.map((branch) => branch.items[index]!)
      if (!isRepeated && counts.some((count) => count !== counts[0])) round.isKnown = false
      round.items = counts[0]!
    })
    this.steps = steps
    this.attributes = attributes
    this.elements = OpenElements.joined(
      elements,
      done.map((branch) => branch.elements)
    )
    this.links = joinedLinks(
      links,
      done.map((branch) => branch.links)
    )
    this.trailing = done.reduce((least, branch) => Math.min(least, branch.trailing), Number.POSITIVE_INFINITY)
    if (done.some((branch) => branch.steps.length > 0)) this.steps.push(make(done.map((branch) => branch.steps)))
    for (const name of new Set(done.flatMap((branch) => [...branch.attributes.keys()])))
      this.attribute(name).push(make(done.map((branch) => branch.attributes.get(name) ?? [])))
  }

  private tag(name: string, isEndTag: boolean): void {
    if (this.tokenizer.isConditional) return
    if (isEndTag ? this.endsUnseen(name) : this.beginsUnseen(name)) return
    this.separate(name, isEndTag)
    switch (name) {
      case "a":
        if (isEndTag) this.closeLinks(this.links.length - 1)
        else {
          this.closeLinks(Math.min(OpenElements.linksBefore(this.elements?.parent), mostLinks))
          this.links = [...this.links, { href: [...(this.attributes.get("href") ?? [])], text: "", fields: [] }]
        }
        return
      case "area":
        if (!isEndTag) this.area()
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
      case "dir":
      case "menu":
      case "ol":
      case "ul":
        if (isEndTag) this.lists.pop()
        else this.lists.push(this.list(name === "ol"))
        return
      case "pre":
        this.preformatted = Math.max(0, this.preformatted + (isEndTag ? -1 : 1))
        return
      case "td":
      case "th":
        this.gap = Math.max(this.gap, blank)
    }
  }

  /** A part of an image that leads somewhere. */
  private area(): void {
    const outer = this.links.length
    const href = this.attributes.get("href")
    if (href === undefined || outer >= mostLinks) return
    this.gap = Math.max(this.gap, blank)
    this.links = [...this.links, { href: [...href], text: "", fields: [] }]
    this.writeSteps(this.attributes.get("alt") ?? [])
    this.closeLinks(outer)
    this.gap = Math.max(this.gap, blank)
  }

  /** Ends an element, and all in it. True if a reader sees nothing of that. */
  private endsUnseen(tag: string): boolean {
    const ended = OpenElements.endedByTag(this.elements, tag)
    const wasHidden = this.elements?.isHidden === true
    if (ended !== undefined) this.leave(OpenElements.afterEnd(this.elements, ended))
    return wasHidden && (ended === undefined || ended.isHidden)
  }

  /** Begins an element, and ends those that this ends. True if a reader sees nothing of it. */
  private beginsUnseen(tag: string): boolean {
    this.leave(OpenElements.beforeStart(this.elements, tag))
    const hidden = this.attributes.get("hidden")
    const style = knownText(this.attributes.get("style") ?? [])
    const sight = OpenElements.sightIn(
      this.elements,
      tag === "template"
        ? { isRemoved: true, isVisible: undefined }
        : InlineStyle.appearance(style, hidden !== undefined && isStatic(hidden))
    )
    this.elements = OpenElements.start(this.elements, tag, sight, this.links.length)
    return sight.isHidden
  }

  /** Goes out to an element around. Links that began in a cell end with it. */
  private leave(outer: OpenElements.OpenElements): void {
    let links = this.links.length
    for (let element = this.elements; element !== outer && element !== undefined; element = element.parent)
      if (OpenElements.isCell(element.tag)) links = Math.min(links, element.links)
    this.elements = outer
    this.closeLinks(links)
  }

  /** The next round of a loop ends the items, rows and paragraphs that this one left open. */
  private endRow(outer: OpenElements.OpenElements): void {
    // The round may have ended elements that were open around the loop, as an item that was left open before it.
    const around = new Set<OpenElements.OpenElements>()
    for (let element = outer; element !== undefined; element = element.parent) around.add(element)
    for (let element = this.elements; element !== undefined && !around.has(element); element = element.parent)
      this.separate(element.tag, true)
  }

  /** A list that begins, with the number before its first item (HTML §4.4.5). */
  private list(isOrdered: boolean): List {
    const isReversed = this.attributes.has("reversed")
    const start = this.attributes.get("start")
    // A list that counts down begins with how many items it has, which come later.
    const first = start === undefined ? (isReversed ? Number.NaN : 1) : (integerOf(start) ?? 1)
    const increment = isReversed ? -1 : 1
    return { isOrdered, loops: this.loops, number: first - increment, increment, hasItems: false, round: undefined }
  }

  private separate(tag: string, isEndTag: boolean): void {
    const isList = tag === "ul" || tag === "ol" || tag === "menu" || tag === "dir"
    const isInner = isList && this.lists.length > (isEndTag ? 1 : 0)
    // An item without words ends with its marker.
    if (this.trailing === marked && (tag === "li" || (isList && isEndTag))) this.trailing = words
    this.gap = Math.max(this.gap, isInner ? 1 : (breaks.get(tag) ?? 0))
  }

  private marker(): void {
    const list = this.lists.at(-1)
    this.settle()
    this.text += "  ".repeat(Math.min(Math.max(0, this.lists.length - 1), deepestIndent))
    const own = this.attributes.get("value")
    const ownNumber = own === undefined ? undefined : integerOf(own)
    if (list !== undefined) {
      if (ownNumber !== undefined) list.number = ownNumber - list.increment
      list.hasItems = true
    }
    if (list?.isOrdered === true && !Number.isNaN(list.number)) {
      const next = list.number + list.increment
      if (list.loops < this.loops && ownNumber === undefined) {
        this.flush()
        const round = (list.round ??= { items: 0, isKnown: true })
        // In a loop of a loop the number depends on the rounds of both.
        if (list.loops + 1 < this.loops) round.isKnown = false
        this.steps.push(markerInLoop(next + round.items * list.increment, list.increment, round))
        round.items++
      } else {
        list.number = next
        this.text += `${next}. `
      }
    } else this.text += "- "
    this.trailing = marked
  }

  /** Ends links down to a depth; their addresses follow. */
  private closeLinks(depth: number): void {
    while (this.links.length > Math.max(0, depth)) {
      const address = addressOf(this.links.at(-1)!)
      this.links = this.links.slice(0, -1)
      if (address._tag === "Omitted") continue
      const { gap } = this
      switch (address._tag) {
        case "InPlaceOfWords":
          this.gap = Math.max(this.gap, blank)
          this.writeSteps(address.steps)
          this.gap = Math.max(this.gap, blank)
          break
        case "AfterWords":
          this.gap = Math.min(this.gap, blank)
          this.write(` (${address.text})`)
          break
        case "FromData": {
          const isAfterWords = this.trailing === words
          this.gap = 0
          this.writeSteps(inParentheses(address.steps, isAfterWords ? " (" : "("))
        }
      }
      // The gap between the words and the text behind the link now comes after the address.
      this.gap = Math.max(this.gap, gap)
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
    this.changeLink((link) => ({ ...link, text: link.text + trimmed }))
  }

  private writeValue(step: Value): void {
    this.settle()
    this.flush()
    this.steps.push(step)
    this.trailing = words
    this.changeLink((link) => ({ ...link, fields: [...link.fields, step.field.path.name] }))
  }

  /** Notes what the innermost link says. */
  private changeLink(change: (link: Link) => Link): void {
    const link = this.links.at(-1)
    if (link !== undefined) this.links = [...this.links.slice(0, -1), change(link)]
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

/** More links than these do not stay open in each other. */
const mostLinks = 50

/** Lists within lists are moved in no further. */
const deepestIndent = 20

const withoutBlanksAtEnd = (text: string): string => {
  let end = text.length
  while (text.charCodeAt(end - 1) === 0x20) end--
  return text.slice(0, end)
}

const htmlAsText: Escape.Escape = (value) => Escape.text(fromHtml(value))

/** The beginning of a list's item in a loop. The number of items in a round is known once the loop has been read. */
const markerInLoop = (first: number, increment: number, round: Round): Value => ({
  _tag: "Value",
  field: {
    _tag: "Field",
    path: { name: "@index", base: "@index", segments: [] },
    raw: false,
    fallback: undefined,
    source: "",
    offset: 0
  },
  escape: (index) => (round.isKnown ? `${Number(index) * round.items * increment + first}. ` : "- "),
  place: { field: "html", line: 1, column: 1 }
})

/** How a link's address is written. */
type LinkAddress =
  /** The link leads nowhere else, or its words are its address. */
  | { readonly _tag: "Omitted" }
  /** The link has no words. */
  | { readonly _tag: "InPlaceOfWords"; readonly steps: Steps }
  /** In parentheses, the same for all data. */
  | { readonly _tag: "AfterWords"; readonly text: string }
  /** In parentheses, unless the data leave it empty. */
  | { readonly _tag: "FromData"; readonly steps: Steps }

const omitted: LinkAddress = { _tag: "Omitted" }

const addressOf = ({ fields, href, text }: Link): LinkAddress => {
  const shown = text.trim()
  const hasWords = shown !== "" || fields.length > 0
  if (isStatic(href)) {
    const address = staticText(href)
      .trim()
      .replace(/^mailto:/i, "")
    if (address === "" || address.startsWith("#") || isSame(shown, address)) return omitted
    return hasWords
      ? { _tag: "AfterWords", text: address }
      : { _tag: "InPlaceOfWords", steps: [{ _tag: "Static", text: address }] }
  }
  if (!hasWords) return { _tag: "InPlaceOfWords", steps: href }
  const steps = withoutEmpty(href)
  const [only] = steps
  const isOwnAddress =
    shown === "" && steps.length === 1 && only?._tag === "Value" && fields.join() === only.field.path.name
  return isOwnAddress ? omitted : { _tag: "FromData", steps }
}

/** An address in parentheses; nothing where the data give an empty one. */
const inParentheses = (steps: Steps, opening: string): Steps => {
  const [only] = steps
  if (steps.length !== 1 || only === undefined || only._tag === "Static" || only._tag === "Loop")
    return steps.length === 0 ? [] : [{ _tag: "Static", text: opening }, ...steps, { _tag: "Static", text: ")" }]
  if (only._tag === "Choice")
    return [
      {
        ...only,
        yes: inParentheses(withoutEmpty(only.yes), opening),
        no: inParentheses(withoutEmpty(only.no), opening)
      }
    ]
  const escape: Escape.Escape = (value) => {
    const escaped = only.escape(value)
    return typeof escaped === "string" && escaped.trim() !== "" ? `${opening}${escaped})` : escaped
  }
  return [{ ...only, escape }]
}

const withoutEmpty = (steps: Steps): Steps => steps.filter((step) => step._tag !== "Static" || step.text.trim() !== "")

/** The links that are open after the branches of a block: one that any branch leaves open, with all that they say. */
const joinedLinks = (
  before: ReadonlyArray<Link>,
  branches: ReadonlyArray<ReadonlyArray<Link>>
): ReadonlyArray<Link> => {
  const open = Math.max(...branches.map((branch) => branch.length))
  return before.slice(0, open).map(({ fields, href, text }, index) => {
    const after = branches.flatMap((branch) => branch[index] ?? [])
    return {
      href,
      text: text + after.map((link) => link.text.slice(text.length)).join(""),
      fields: [...fields, ...after.flatMap((link) => link.fields.slice(fields.length))]
    }
  })
}

const isStatic = (steps: Steps): boolean => steps.every((step) => step._tag === "Static")

/** An integer as attributes hold it (HTML §2.3.4.1): `undefined` if there is none, NaN if it depends on data. */
const integerOf = (steps: Steps): number | undefined => {
  if (!isStatic(steps)) return Number.NaN
  const [, digits] = /^\s*([+-]?\d{1,9})/.exec(staticText(steps)) ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** A text with a mark for what depends on data. */
const knownText = (steps: Steps): string =>
  steps.map((step) => (step._tag === "Static" ? step.text : InlineStyle.unknown)).join("")

const staticText = (steps: Steps): string => steps.map((step) => (step._tag === "Static" ? step.text : "")).join("")

/** True if a link shows its own address. */
const isSame = (shown: string, address: string): boolean =>
  shown === address || shown === address.replace(/^[a-z][a-z\d+.-]*:(?:\/\/)?/i, "").replace(/\/$/, "")
