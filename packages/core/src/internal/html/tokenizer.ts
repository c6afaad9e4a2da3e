/**
 * Follows the place in an HTML document that is read piece by piece (the tokenizer of the WHATWG standard, §13.2.5, as far as it
 * decides what a text put in at that place would be taken for).
 *
 * Mail has one peculiarity: what stands in `<!--[if mso]> … <![endif]-->` is a comment for all and HTML for Outlook, so
 * it is read as HTML here. A value that is escaped for HTML holds no `>` and therefore cannot end the comment either.
 */

/** A place in the document. */
export interface State {
  readonly mode:
    | "text"
    | "lessThan"
    | "endTagOpen"
    | "tagName"
    | "inTag"
    | "attributeName"
    | "afterAttributeName"
    | "beforeValue"
    | "value"
    | "declaration"
    | "commentStart"
    | "comment"
    | "bogusComment"
    | "condition"
    /** Inside `<title>` or `<textarea>`: text in which entities are read and tags are not. */
    | "textOnly"
    /** Inside `<style>`, `<script>` and the like: text in which nothing is read. */
    | "rawText"
  /** The tag's name in lower case. */
  readonly tag: string
  readonly isEndTag: boolean
  /** The attribute's name in lower case, without a prefix as in `xlink:href`. */
  readonly attribute: string
  readonly quote: '"' | "'" | ""
  /** The attribute's value so far, with `fieldMark` for each field. */
  readonly value: string
  /** The value so far depends on the branches of a block. */
  readonly isMixed: boolean
  /** Inside a conditional comment. */
  readonly isConditional: boolean
  /** A conditional comment ended inside a tag, so that mail programs disagree on what follows. */
  readonly isLost: boolean
}

/** Stands in an attribute's value for a field. */
export const fieldMark = "\0"

/** Receives the parts of a document while it is read. */
export interface Listener {
  /** Text of the document, with its entities as they were written. */
  readonly text: (text: string) => void
  /** An attribute of a tag begins; its name is in lower case, without a prefix. */
  readonly attribute?: (name: string) => void
  /** A piece of an attribute's value. */
  readonly value: (text: string, state: State) => void
  /** A tag's end. Its attributes came before. */
  readonly tag: (name: string, isEndTag: boolean) => void
}

const beginning: State = {
  mode: "text",
  tag: "",
  isEndTag: false,
  attribute: "",
  quote: "",
  value: "",
  isMixed: false,
  isConditional: false,
  isLost: false
}

const textOnly: ReadonlySet<string> = new Set(["title", "textarea"])

const rawText: ReadonlySet<string> = new Set(["script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext"])

/** Reads HTML in pieces. */
export class HtmlTokenizer {
  private readonly listener: Listener | undefined
  private current: { -readonly [K in keyof State]: State[K] } = { ...beginning }
  /** The last three characters. */
  private recent = ""
  /** The text of a construct that is not yet decided. */
  private held = ""
  /** Text and values are reported in pieces, not by the letter. */
  private untold = ""

  constructor(listener?: Listener) {
    this.listener = listener
  }

  /** The current place. */
  get state(): State {
    return { ...this.current }
  }

  /** Goes back to where one was, as to the beginning of another branch. */
  set state(state: State) {
    this.current = { ...state }
    this.held = ""
    this.recent = ""
  }

  /** True if what is read is for Outlook alone. */
  get isConditional(): boolean {
    return this.current.isConditional
  }

  read(html: string): void {
    for (let i = 0; i < html.length; i++) {
      if (this.current.mode === "text" && !this.current.isConditional) {
        // Text is read at once; nothing in it but the next tag matters.
        const tag = html.indexOf("<", i)
        this.untold += html.slice(i, tag === -1 ? undefined : tag)
        if (tag === -1) break
        i = tag
      }
      const character = html[i]!
      this.character(character)
      if (character === ">" && this.current.isConditional && /--!?$/.test(this.recent)) this.endConditionalComment()
      this.recent = (this.recent + character).slice(-3)
    }
    this.emitPending()
  }

  /** Takes note of a field. */
  field(): void {
    if (this.current.mode === "value") this.current.value += fieldMark
    this.held = ""
    this.recent = ""
  }

  private character(character: string): void {
    const { current } = this
    switch (current.mode) {
      case "text":
        if (character !== "<") {
          this.untold += character
          return
        }
        this.emitPending()
        current.mode = "lessThan"
        return
      case "lessThan":
        return this.afterLessThan(character)
      case "endTagOpen":
        if (isLetter(character)) this.beginTag(character, true)
        else current.mode = character === ">" ? "text" : "bogusComment"
        return
      case "tagName":
        if (isSpace(character) || character === "/") current.mode = "inTag"
        else if (character === ">") this.endTag()
        else current.tag += character.toLowerCase()
        return
      case "inTag":
        if (character === ">") this.endTag()
        else if (!isSpace(character) && character !== "/") {
          current.mode = "attributeName"
          current.attribute = character.toLowerCase()
        }
        return
      case "attributeName":
        if (character === "=") this.beforeValue()
        else if (isSpace(character)) current.mode = "afterAttributeName"
        else if (character === ">") this.endTag()
        else if (character === "/") {
          this.nameAttribute()
          current.mode = "inTag"
        } else current.attribute += character.toLowerCase()
        return
      case "afterAttributeName":
        if (character === "=") this.beforeValue()
        else if (!isSpace(character)) {
          this.nameAttribute()
          current.mode = "inTag"
          this.character(character)
        }
        return
      case "beforeValue":
        return this.beginValue(character)
      case "value":
        return this.inValue(character)
      case "declaration":
        return this.inDeclaration(character)
      case "commentStart":
        return this.inCommentStart(character)
      case "comment":
        if (character === ">" && /--!?$/.test(this.recent)) current.mode = "text"
        return
      case "condition":
        return this.inCondition(character)
      case "bogusComment":
        if (character === ">") current.mode = "text"
        return
      case "textOnly":
      case "rawText":
        return this.inElementOfText(character)
    }
  }

  private afterLessThan(character: string): void {
    const { current } = this
    if (isLetter(character)) this.beginTag(character, false)
    else if (character === "/") current.mode = "endTagOpen"
    else if (character === "?") current.mode = "bogusComment"
    else if (character === "!") {
      current.mode = "declaration"
      this.held = ""
    } else {
      current.mode = "text"
      this.untold += "<"
      this.character(character)
    }
  }

  private beginTag(character: string, isEndTag: boolean): void {
    this.current.mode = "tagName"
    this.current.tag = character.toLowerCase()
    this.current.isEndTag = isEndTag
    this.current.attribute = ""
  }

  private endTag(): void {
    const { current } = this
    const { isEndTag, tag } = current
    if (current.mode === "attributeName") this.nameAttribute()
    current.mode = "text"
    if (!isEndTag && textOnly.has(tag)) current.mode = "textOnly"
    if (!isEndTag && rawText.has(tag)) current.mode = "rawText"
    current.attribute = ""
    this.held = ""
    this.listener?.tag(tag, isEndTag)
  }

  private beforeValue(): void {
    const { current } = this
    current.mode = "beforeValue"
    current.attribute = withoutPrefix(current.attribute)
    this.nameAttribute()
    current.value = ""
    current.isMixed = false
  }

  private nameAttribute(): void {
    const { attribute } = this.current
    if (attribute !== "") this.listener?.attribute?.(withoutPrefix(attribute))
  }

  private beginValue(character: string): void {
    if (isSpace(character)) return
    if (character === ">") return this.endTag()
    this.current.mode = "value"
    this.current.quote = character === '"' || character === "'" ? character : ""
    if (this.current.quote === "") this.inValue(character)
  }

  private inValue(character: string): void {
    const { current } = this
    const ends = current.quote === "" ? isSpace(character) || character === ">" : character === current.quote
    if (!ends) {
      current.value += character
      this.untold += character
      return
    }
    this.emitPending()
    current.mode = "inTag"
    current.quote = ""
    if (character === ">") this.endTag()
  }

  /** After `<!`: a comment, or something else that a reader does not see. */
  private inDeclaration(character: string): void {
    this.held += character
    if (this.held === "-") return
    this.current.mode = this.held === "--" ? "commentStart" : character === ">" ? "text" : "bogusComment"
    this.held = ""
  }

  /** After `<!--`. */
  private inCommentStart(character: string): void {
    const { current } = this
    // Any blanks before the rest count as one, so that no run of them is gone over again and again.
    if (this.held.trim() === "" && character.trim() === "") this.held = " "
    else this.held += character
    if (this.held === ">" || this.held === "->") current.mode = "text"
    else if (/^\s*\[if[^a-z]/i.test(this.held)) current.mode = "condition"
    else if (!/^(?:-|\s*(?:\[(?:i(?:f)?)?)?)$/i.test(this.held)) current.mode = "comment"
    else return
    this.held = ""
  }

  /** In `<!--[if …]>`. */
  private inCondition(character: string): void {
    if (character !== ">") return
    const isOpened = this.recent.endsWith("]")
    if (!isOpened && !/--!?$/.test(this.recent)) return
    this.current.mode = "text"
    this.current.isConditional = isOpened
  }

  /** For most mail programs a comment ended here; for Outlook it may be the middle of a tag. */
  private endConditionalComment(): void {
    // The HTML up to here was for Outlook.
    this.emitPending()
    this.current.isConditional = false
    if (this.current.mode !== "text") this.current.isLost = true
  }

  private inElementOfText(character: string): void {
    const { current } = this
    const end = `</${current.tag}`
    if (this.held === end && /[\t\n\f\r />]/.test(character)) {
      current.isEndTag = true
      current.mode = "inTag"
      this.held = ""
      return this.character(character)
    }
    const held = this.held + character.toLowerCase()
    this.held = end.startsWith(held) ? held : character === "<" ? "<" : ""
  }

  private emitPending(): void {
    if (this.untold === "") return
    const { untold } = this
    this.untold = ""
    if (this.current.mode === "value") this.listener?.value(untold, this.current)
    else this.listener?.text(untold)
  }
}

const withoutPrefix = (attribute: string): string => attribute.slice(attribute.lastIndexOf(":") + 1)

const isSpace = (character: string): boolean => /[\t\n\f\r ]/.test(character)

const isLetter = (character: string): boolean => /^[a-z]$/i.test(character)
