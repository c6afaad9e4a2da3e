/**
 * Finds the place of each field in an HTML document, and from it the escape of the field's value.
 *
 * A block may stand anywhere, even inside a tag, if all its branches begin and end in the same place. Then the place of
 * each field is known for all data.
 */
import { decodeHTMLAttribute } from "entities/decode"
import * as TemplateError from "../../TemplateError.ts"
import * as HtmlTokenizer from "../html/tokenizer.ts"
import * as Escape from "./escape.ts"
import type { Step, Steps } from "./steps.ts"
import * as TemplateSyntax from "./syntax.ts"

/** Reads plain text or a line of it, whose fields all stand in one kind of place. Throws `TemplateError`. */
export const plainUnsafe = (field: string, text: string, escape: Escape.Escape): Steps => {
  const source = { field, text, isHtml: false }
  const convert = (nodes: ReadonlyArray<TemplateSyntax.Node>): Steps =>
    nodes.map((node): Step => {
      switch (node._tag) {
        case "Text":
          return { _tag: "Static", text: node.text }
        case "Field":
          return { _tag: "Value", field: node, escape, place: placeOf(source, node.offset) }
        case "If":
          return {
            _tag: "Choice",
            path: node.path,
            yes: convert(node.yes),
            no: convert(node.no),
            place: placeOf(source, node.offset)
          }
        case "Each":
          return {
            _tag: "Loop",
            path: node.path,
            body: convert(node.body),
            none: convert(node.none),
            place: placeOf(source, node.offset)
          }
      }
    })
  return convert(TemplateSyntax.parseUnsafe(source))
}

/** Reads an address outside of HTML, as in a header. Throws `TemplateError`. */
export const addressUnsafe = (field: string, text: string, schemes: ReadonlySet<string>): Steps => {
  // Reads it as an attribute's value, where addresses are recognised, but without the escape for HTML.
  const source = { field, text, isHtml: false }
  const places = new Places(source, schemes)
  places.tokenizer.read('<a href="')
  return unescaped(places.walkUnsafe(TemplateSyntax.parseUnsafe(source)))
}

/** Reads HTML. Throws `TemplateError`. */
export const htmlUnsafe = (field: string, text: string, schemes: ReadonlySet<string>): Steps => {
  const source = { field, text, isHtml: true }
  return new Places(source, schemes).walkUnsafe(TemplateSyntax.parseUnsafe(source))
}

const placeOf = ({ field, text }: TemplateSyntax.Source, offset: number): TemplateError.Place => ({
  field,
  ...TemplateError.position(text, offset)
})

const unescaped = (steps: Steps): Steps =>
  steps.map((step) => {
    switch (step._tag) {
      case "Static":
        return step
      case "Value":
        return { ...step, escape: Escape.outsideHtml(step.escape) }
      case "Choice":
        return { ...step, yes: unescaped(step.yes), no: unescaped(step.no) }
      case "Loop":
        return { ...step, body: unescaped(step.body), none: unescaped(step.none) }
    }
  })

/** Attributes that hold an address. */
const addressAttributes: ReadonlySet<string> = new Set([
  "action",
  "archive",
  "background",
  "cite",
  "classid",
  "codebase",
  "data",
  "dynsrc",
  "formaction",
  "href",
  "icon",
  "imagesrcset",
  "longdesc",
  "lowsrc",
  "manifest",
  "ping",
  "poster",
  "profile",
  "src",
  "srcset",
  "usemap"
])

const oneQuoted = 'put the value in quotes, as in href="{{url}}"'

/** Walks through a template with a tokenizer beside it. */
class Places {
  readonly tokenizer: HtmlTokenizer.HtmlTokenizer
  private readonly source: TemplateSyntax.Source
  private readonly schemes: ReadonlySet<string>
  private offset = 0

  constructor(source: TemplateSyntax.Source, schemes: ReadonlySet<string>) {
    this.source = source
    this.schemes = schemes
    this.tokenizer = new HtmlTokenizer.HtmlTokenizer({
      text: () => {},
      tag: () => {},
      value: (_, state) => {
        this.checkSchemeUnsafe(state)
        this.checkBracesUnsafe(state)
      }
    })
  }

  walkUnsafe(nodes: ReadonlyArray<TemplateSyntax.Node>): Steps {
    return nodes.map((node): Step => {
      this.offset = node.offset
      switch (node._tag) {
        case "Text":
          this.tokenizer.read(node.text)
          return { _tag: "Static", text: node.text }
        case "Field": {
          const escape = this.escapeUnsafe(node)
          this.tokenizer.field()
          return { _tag: "Value", field: node, escape, place: placeOf(this.source, node.offset) }
        }
        case "If": {
          const [yes, no] = this.branchesUnsafe(node.offset, node.yes, node.no)
          return { _tag: "Choice", path: node.path, yes, no, place: placeOf(this.source, node.offset) }
        }
        case "Each": {
          const start = this.tokenizer.state
          let [body, none] = this.branchesUnsafe(node.offset, node.body, node.none)
          this.joinUnsafe(node.offset, start, this.tokenizer.state)
          // From the second time on, the body begins where it ended.
          const again = this.tokenizer.state
          if (again.isMixed && !start.isMixed) [body, none] = this.branchesUnsafe(node.offset, node.body, node.none)
          this.tokenizer.state = again
          return { _tag: "Loop", path: node.path, body, none, place: placeOf(this.source, node.offset) }
        }
      }
    })
  }

  private branchesUnsafe(
    offset: number,
    first: ReadonlyArray<TemplateSyntax.Node>,
    second: ReadonlyArray<TemplateSyntax.Node>
  ): [Steps, Steps] {
    const start = this.tokenizer.state
    const firstSteps = this.walkUnsafe(first)
    const firstEnd = this.tokenizer.state
    this.tokenizer.state = start
    const secondSteps = this.walkUnsafe(second)
    this.joinUnsafe(offset, firstEnd, this.tokenizer.state)
    return [firstSteps, secondSteps]
  }

  /** Continues from the ends of two branches. */
  private joinUnsafe(offset: number, one: HtmlTokenizer.State, other: HtmlTokenizer.State): void {
    const joined = join(one, other, this.schemes)
    if (joined === undefined)
      this.fail(
        offset,
        "the branches of this block end in different places of the HTML",
        "begin and end tags, quotes and comments inside one branch, or put whole tags into each"
      )
    this.tokenizer.state = joined
  }

  private escapeUnsafe(node: TemplateSyntax.Field): Escape.Escape {
    const { state } = this.tokenizer
    if (state.isLost)
      this.fail(
        node.offset,
        "a conditional comment ends inside a tag before this field",
        "end the comment with <![endif]--> after the tag"
      )
    switch (state.mode) {
      case "text":
        return node.raw ? Escape.text : Escape.html
      case "textOnly":
        return node.raw
          ? this.fail(node.offset, `<${state.tag}> holds no HTML`, "write the field with two braces")
          : Escape.html
      case "rawText":
        return this.fail(
          node.offset,
          `nothing is safe inside <${state.tag}>`,
          state.tag === "style" ? "put the value into the style attribute of a tag" : "take the field out of it"
        )
      case "value":
        return state.quote === ""
          ? this.fail(node.offset, "the field stands in an attribute without quotes", oneQuoted)
          : this.attributeUnsafe(node, state)
      case "beforeValue":
        return this.fail(node.offset, "the field stands in an attribute without quotes", oneQuoted)
      case "lessThan":
      case "endTagOpen":
      case "tagName":
        return this.fail(
          node.offset,
          "a field cannot be part of a tag's name",
          "choose between whole tags with {{#if}}, and write &lt; for a < in the text"
        )
      case "inTag":
      case "attributeName":
      case "afterAttributeName":
        return this.fail(
          node.offset,
          "a field cannot stand in a tag outside of an attribute's value",
          'write the attribute out, as in class="{{name}}", or choose with {{#if}}'
        )
      default:
        return this.fail(node.offset, "the field stands in a comment", "take it out of the comment")
    }
  }

  private attributeUnsafe(node: TemplateSyntax.Field, state: HtmlTokenizer.State): Escape.Escape {
    const { attribute, tag, value } = state
    if (attribute === "")
      return this.fail(node.offset, "the attribute's name depends on a block", "put whole attributes into each branch")
    if (tag === "script" || animation.test(tag) || attribute.startsWith("on") || attribute === "srcdoc")
      return this.fail(
        node.offset,
        `nothing is safe in the attribute ${attribute} of <${tag}>`,
        "take the field out; mail programs run no scripts"
      )
    if (addressAttributes.has(attribute)) return this.addressUnsafe(node, state, value)
    if (attribute === "style") {
      const opened = openAddress.exec(value)
      if (opened !== null) return this.addressUnsafe(node, state, opened[1]!)
      return node.raw ? this.rawInAttribute(node) : Escape.style
    }
    if (tag === "meta" && attribute === "content" && refresh.test(value))
      return this.fail(node.offset, "nothing is safe in the address of a refresh", "take the field out")
    return node.raw ? this.rawInAttribute(node) : Escape.html
  }

  private rawInAttribute(node: TemplateSyntax.Field): never {
    return this.fail(node.offset, "an attribute holds no HTML", "write the field with two braces")
  }

  private addressUnsafe(node: TemplateSyntax.Field, state: HtmlTokenizer.State, before: string): Escape.Escape {
    if (state.isMixed)
      return this.fail(
        node.offset,
        "whether the field begins the address depends on a block",
        "put the whole address into each branch"
      )
    if (before.trim() === "") return Escape.address(this.schemes)
    const scheme = schemeOf(before)
    if (scheme !== undefined && !this.schemes.has(scheme))
      return this.fail(
        node.offset,
        `nothing is safe in an address that begins with "${scheme}:"`,
        "take the field out, or allow the scheme with the option schemes"
      )
    if (/^\s*https?:\/\/$/i.test(before)) return Escape.host(node.raw ? Escape.addressRest : Escape.addressPart)
    if (!node.raw) return /^\s*(?:mailto|tel|sms):[^?]*$/i.test(before) ? Escape.mailboxPart : Escape.addressPart
    return isSettled(before)
      ? Escape.addressRest
      : this.fail(
          node.offset,
          "three braces stand where the field may still complete the scheme of the address",
          "write the beginning of the address out, as in https://example.org/{{{path}}}"
        )
  }

  /** `{{a}}:…` would let a value choose the scheme without its being seen. */
  private checkSchemeUnsafe({ attribute, value }: HtmlTokenizer.State): void {
    const isUnseen =
      attribute === "style" ? unseenSchemeInStyle : addressAttributes.has(attribute) ? unseenScheme : never
    if (isUnseen.test(value))
      this.fail(this.offset, "a field stands before the colon of an address", "put the whole address into the field")
  }

  /** The template does not read braces that are written as entities; the address would keep them literally. */
  private checkBracesUnsafe({ attribute, value }: HtmlTokenizer.State): void {
    const isAddress = addressAttributes.has(attribute) || attribute === "style"
    if (isAddress && value.includes("&") && !value.includes("{{") && /(?:\{|%7B){2}/i.test(decodeHTMLAttribute(value)))
      this.fail(this.offset, "braces stand in an address as entities, so that no field is read there", "write {{name}}")
  }

  private fail(offset: number, problem: string, remedy: string): never {
    const { field, text } = this.source
    throw TemplateError.at(field, text, offset, problem, remedy)
  }
}

/** Elements that set other attributes of a drawing, addresses among them. */
const animation = /^(?:set|animate.*)$/

/** The beginning of a refresh's address, before which `url=` may be left out. */
const refresh = /url\s*=|^\s*[\d.]+\s*[;,]/i

/** In a style: an address that has begun and not ended. */
const openAddress = /url\(\s*(?:["']|&quot;|&#39;|&apos;)?([^"')]*)$/i

const unseenScheme = /^\s*\0[^/?#]*:/
const unseenSchemeInStyle = /url\(\s*(?:["']|&quot;|&#39;|&apos;)?\s*\0[^/?#"')]*:/i
const never = /(?!)/

/** In a tag, between two attributes or in the name of one: all continue alike. */
const betweenAttributes: ReadonlySet<HtmlTokenizer.State["mode"]> = new Set([
  "tagName",
  "inTag",
  "attributeName",
  "afterAttributeName"
])

/** The state in which both branches continue; `undefined` if they differ. */
const join = (
  one: HtmlTokenizer.State,
  other: HtmlTokenizer.State,
  schemes: ReadonlySet<string>
): HtmlTokenizer.State | undefined => {
  const joined = {
    ...other,
    isLost: one.isLost || other.isLost,
    isMixed: one.isMixed || other.isMixed
  }
  if (one.isConditional !== other.isConditional) return undefined
  if (betweenAttributes.has(one.mode) && betweenAttributes.has(other.mode)) {
    if (one.tag !== other.tag || one.isEndTag !== other.isEndTag) return undefined
    if (one.mode === other.mode && one.attribute === other.attribute) return joined
    return { ...joined, mode: "afterAttributeName", attribute: "" }
  }
  if (isInComment(one) && isInComment(other)) return { ...joined, mode: "comment" }
  if (one.mode !== other.mode) return undefined
  switch (one.mode) {
    case "textOnly":
    case "rawText":
      return one.tag === other.tag ? joined : undefined
    case "beforeValue":
    case "value":
      if (one.tag !== other.tag || one.attribute !== other.attribute || one.quote !== other.quote) return undefined
      return { ...joined, ...joinValues(joined, one.value, other.value, schemes) }
    default:
      return joined
  }
}

const isInComment = ({ mode }: HtmlTokenizer.State): boolean => mode === "comment" || mode === "commentStart"

const joinValues = (
  { attribute, isMixed }: HtmlTokenizer.State,
  one: string,
  other: string,
  schemes: ReadonlySet<string>
): Pick<HtmlTokenizer.State, "value" | "isMixed"> => ({
  value: other.includes(HtmlTokenizer.fieldMark) ? other : one,
  isMixed: isMixed || addressKind(attribute, one, schemes) !== addressKind(attribute, other, schemes)
})

/** The kind of a field at the end of a value; if two branches disagree, no field is safe there. */
const addressKind = (
  attribute: string,
  value: string,
  schemes: ReadonlySet<string>
): "none" | "beginning" | "open" | "settled" | "unsafe" => {
  const address =
    attribute === "style" ? openAddress.exec(value)?.[1] : addressAttributes.has(attribute) ? value : undefined
  if (address === undefined) return "none"
  if (address.trim() === "") return "beginning"
  const scheme = schemeOf(address)
  if (scheme !== undefined) return schemes.has(scheme) ? "settled" : "unsafe"
  return isSettled(address) ? "settled" : "open"
}

const schemeOf = (address: string): string | undefined => /^\s*([a-z][a-z\d+.-]*):/i.exec(address)?.[1]?.toLowerCase()

/** True if the text before the first field fixes the scheme. */
const isSettled = (address: string): boolean => /^[^\0]*[:/?#]/.test(address)
