/**
 * The elements that are open at a place of an HTML document (HTML §13.2.4.2), as far as the text of a message depends on
 * them. End tags that authors may leave out (§13.1.2.4) are supplied, end tags without a beginning are ignored.
 *
 * An element knows its parent and never changes, so each branch of a template begins with the elements before its block.
 */

import type { Appearance } from "./inlineStyle.ts"

/** True if a reader sees an element. */
export interface Sight {
  /** True if nothing in it can be seen: it or an element around it is not shown. */
  readonly isRemoved: boolean
  /** True if a reader sees nothing of it, though perhaps of an element in it that is visible again (CSS 2 §11.2). */
  readonly isHidden: boolean
}

/** An open element; its parent is the element around it. */
export interface OpenElement extends Sight {
  readonly tag: string
  /** How many links were open where it began. */
  readonly links: number
  readonly depth: number
  readonly parent: OpenElement | undefined
}

/** The innermost open element, `undefined` outside of all elements. */
export type OpenElements = OpenElement | undefined

/** Browsers nest no deeper either. It also bounds the search for the beginning of an end tag. */
const deepest = 512

const tags = (list: string): ReadonlySet<string> => new Set(list.split(" "))

/** Elements without content and end tag (HTML §13.1.2), and those that older editors write so. */
const voidTags = tags(
  "area base basefont bgsound br col embed frame hr image img input keygen link meta param source track wbr"
)

const isVoid = (tag: string): boolean => voidTags.has(tag)

/** Parts of a document, whose tags are ignored where they stand inside of it, as in a document put into another. */
const document = tags("html head body")

/** True if links end with this element (a marker in the list of active formatting elements, HTML §13.2.4.3). */
export const isCell = (tag: string): boolean => cells.has(tag)

const cells = tags("td th caption applet object marquee template")

const scope = tags("applet caption html marquee object table td template th")
const buttonScope = new Set([...scope, "button"])
const listScope = new Set([...scope, "ol", "ul", "menu", "dir"])
const tableScope = tags("html table template")
const choiceScope = tags("select datalist")

/** Elements beyond which the end tag of an inline element has no effect. */
const special = tags(
  "address applet article aside blockquote body button caption center colgroup dd details dir div dl dt fieldset " +
    "figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup html iframe li listing main marquee " +
    "menu nav noembed noframes noscript object ol p plaintext pre script search section select style summary table " +
    "tbody td template textarea tfoot th thead title tr ul xmp"
)

const aroundItems = new Set([...special].filter((tag) => tag !== "address" && tag !== "div" && tag !== "p"))

const headings = tags("h1 h2 h3 h4 h5 h6")
const formatting = tags("a b big code em font i nobr s small strike strong tt u")

/** Elements that end a paragraph by beginning. */
const endsParagraph = tags(
  "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 " +
    "h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext pre search section summary table ul xmp"
)

/** The elements that the start of an element ends, and how far outwards. */
interface Ended {
  readonly tags: ReadonlySet<string>
  readonly within: ReadonlySet<string>
}

const endedBy: ReadonlyMap<string, Ended> = new Map<string, Ended>([
  ["li", { tags: tags("li"), within: aroundItems }],
  ["dt", { tags: tags("dt dd"), within: aroundItems }],
  ["dd", { tags: tags("dt dd"), within: aroundItems }],
  ["option", { tags: tags("option"), within: choiceScope }],
  ["optgroup", { tags: tags("option optgroup"), within: choiceScope }],
  ["td", { tags: tags("td th caption colgroup"), within: tableScope }],
  ["th", { tags: tags("td th caption colgroup"), within: tableScope }],
  ["tr", { tags: tags("td th tr caption colgroup"), within: tableScope }],
  ...["tbody", "thead", "tfoot", "colgroup", "caption"].map((tag): [string, Ended] => [
    tag,
    { tags: tags("td th tr tbody thead tfoot caption colgroup"), within: tableScope }
  ]),
  ["rb", { tags: tags("rb rt rp rtc"), within: tags("ruby") }],
  ["rt", { tags: tags("rb rt rp"), within: tags("ruby rtc") }],
  ["rp", { tags: tags("rb rt rp"), within: tags("ruby rtc") }],
  ["a", { tags: tags("a"), within: cells }],
  ["button", { tags: tags("button"), within: scope }]
])

/** The open elements after the end tags that the beginning of an element implies. */
export const beforeStart = (elements: OpenElements, tag: string): OpenElements => {
  let open = elements
  const ended = endedBy.get(tag)
  if (ended !== undefined)
    for (let found = find(open, ended); found !== undefined; found = find(open, ended)) open = found.parent
  if (endsParagraph.has(tag)) open = afterEnd(open, find(open, paragraph))
  if (headings.has(tag) && open !== undefined && headings.has(open.tag)) open = open.parent
  return open
}

const paragraph: Ended = { tags: tags("p"), within: buttonScope }

/** True if a reader sees an element that begins inside of these. */
export const sightIn = (elements: OpenElements, { isRemoved, isVisible }: Appearance): Sight => {
  const isGone = isRemoved || elements?.isRemoved === true
  return { isRemoved: isGone, isHidden: isGone || !(isVisible ?? elements?.isHidden !== true) }
}

/** Adds an element that began. */
export const start = (elements: OpenElements, tag: string, sight: Sight, links: number): OpenElements => {
  if (isVoid(tag) || document.has(tag)) return elements
  const parent = elements !== undefined && elements.depth >= deepest ? elements.parent : elements
  return {
    ...sight,
    tag,
    links,
    depth: (parent?.depth ?? 0) + 1,
    parent
  }
}

/** How many links were open where the innermost cell began, which a link does not end. */
export const linksBefore = (elements: OpenElements): number => {
  let element = elements
  while (element !== undefined && !cells.has(element.tag)) element = element.parent
  return element?.links ?? 0
}

/** The element that an end tag ends, `undefined` when it ends none. */
export const endedByTag = (elements: OpenElements, tag: string): OpenElements => {
  if (document.has(tag)) return undefined
  return find(elements, { tags: headings.has(tag) ? headings : new Set([tag]), within: withinOf(tag) })
}

/** The open elements after one of them ended, and all in it. */
export const afterEnd = (elements: OpenElements, ended: OpenElements): OpenElements =>
  ended === undefined ? elements : ended.parent

/**
 * The open elements after the branches of a block, which began with `before`. Where the branches disagree, a reader
 * rather sees too much than too little.
 */
export const joined = (before: OpenElements, branches: ReadonlyArray<OpenElements>): OpenElements => {
  const [first] = branches
  if (branches.every((branch) => isSame(branch, first))) return first
  return before?.isHidden === true && branches.some((branch) => branch?.isHidden !== true)
    ? branches.find((branch) => branch?.isHidden !== true)
    : before
}

const isSame = (one: OpenElements, other: OpenElements): boolean => {
  while (one !== other) {
    if (one === undefined || other === undefined || one.tag !== other.tag) return false
    if (one.isHidden !== other.isHidden || one.isRemoved !== other.isRemoved) return false
    one = one.parent
    other = other.parent
  }
  return true
}

const withinOf = (tag: string): ReadonlySet<string> => {
  if (tag === "p") return buttonScope
  if (tag === "li") return listScope
  if (/^(?:table|t[drh]|tbody|thead|tfoot|caption|colgroup)$/.test(tag)) return tableScope
  if (formatting.has(tag)) return cells
  return special.has(tag) ? scope : special
}

/** The innermost element of one of the tags that is not beyond a boundary. */
const find = (elements: OpenElements, { tags, within }: Ended): OpenElements => {
  for (let element = elements; element !== undefined; element = element.parent) {
    if (tags.has(element.tag)) return element
    if (within.has(element.tag)) return undefined
  }
  return undefined
}
