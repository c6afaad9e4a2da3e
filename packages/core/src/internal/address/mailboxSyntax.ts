/**
 * Reads `Name <local@domain>` (RFC 5322 §3.4), also in forms that people write and that have one meaning only: dots, `@` and
 * square brackets in a name without quotes.
 */
import * as Result from "effect/Result"
import * as Address from "../../Address.ts"
import * as AddressSyntax from "./addressSyntax.ts"

/** A mailbox as `Mailbox.parse` gives it. */
interface Mailbox {
  readonly name: string | undefined
  readonly address: Address.Address
}

type Read<A> = Result.Result<A, Address.AddressError>

/** An error about a place in `input`. */
export const error = (input: string, position: number, problem: string, remedy: string): Address.AddressError =>
  new Address.AddressError({ input, position, problem, remedy })

/** The groups to read: none, empty ones such as `undisclosed-recipients:;`, or all, as their members. */
export type Groups = "none" | "empty" | "all"

/** Mailboxes separated by commas. */
export const readList = (input: string, groups: Groups = "none"): Read<ReadonlyArray<Mailbox>> => {
  // Nearly every input is one bare address.
  if (AddressSyntax.isPlainAddress(input))
    return Result.succeed([{ name: undefined, address: Address.fromStringUnsafe(input) }])
  try {
    return Result.succeed(new Reader(input, groups).listUnsafe())
  } catch (cause) {
    if (cause instanceof Address.AddressError) return Result.fail(cause)
    throw cause
  }
}

/** Reads from left to right and throws an `AddressError` at a fault. */
class Reader {
  private readonly input: string
  private readonly groups: Groups
  private position = 0
  private isInGroup = false
  /** The text outside angle brackets as a name, without quotes and comments. */
  private name = ""
  private nameEndsInBlank = false
  /** The same text as written, in case it is the address, and the index of each character. */
  private bare = ""
  private places: Array<number> = []
  /** True inside of `@[…]`. */
  private inLiteral = false
  /** The index of a comment between two characters that nothing else separates. */
  private splitAt: number | undefined
  /** The text in angle brackets. */
  private address: Address.Address | undefined

  constructor(input: string, groups: Groups) {
    this.input = input
    this.groups = groups
  }

  listUnsafe(): ReadonlyArray<Mailbox> {
    const list: Array<Mailbox> = []
    while (this.position < this.input.length) {
      const mailbox = this.mailboxUnsafe()
      if (mailbox !== undefined) list.push(mailbox)
    }
    if (this.isInGroup) {
      this.position = this.input.length
      this.fail("the group is never closed", "add ; after its last address")
    }
    return list
  }

  /** The mailbox up to the next comma or the end of its group, which it skips; `undefined` if there is none. */
  private mailboxUnsafe(): Mailbox | undefined {
    const start = this.position
    this.begin()
    while (this.position < this.input.length && !this.isAtEnd) this.tokenUnsafe()
    const end = this.position
    if (this.input[end] === ";") this.endGroupUnsafe()
    else this.position++
    return this.address === undefined
      ? this.bareAddressUnsafe(start, end)
      : { name: this.name.trim() || undefined, address: this.address }
  }

  private begin(): void {
    this.name = this.bare = ""
    this.nameEndsInBlank = this.inLiteral = false
    this.places = []
    this.splitAt = undefined
    this.address = undefined
  }

  private get isAtEnd(): boolean {
    const character = this.input[this.position]
    return character === "," || (character === ";" && this.isInGroup)
  }

  /** A name and a colon begin the members of a group (RFC 5322 §3.4). */
  private beginGroupUnsafe(): void {
    const isEmpty = /^:[ \t]*;/.test(this.input.slice(this.position))
    const isNamed = this.name.trim() !== "" && this.address === undefined && !this.bare.includes("@")
    const isRead = this.groups === "all" || (this.groups === "empty" && isEmpty)
    if (this.isInGroup || !isNamed || !isRead)
      this.fail("a group of addresses cannot be sent to", "list its members, separated by commas")
    this.isInGroup = true
    this.position++
    this.begin()
  }

  private endGroupUnsafe(): void {
    this.isInGroup = false
    this.position++
    while (isBlank(this.input[this.position])) this.position++
    if (this.position < this.input.length && this.input[this.position] !== ",")
      this.fail("there is text after the group", "separate it with a comma")
    this.position++
  }

  private tokenUnsafe(): void {
    const character = this.characterUnsafe(this.position)
    switch (character) {
      case "(":
        this.space()
        return this.skipCommentUnsafe()
      case " ":
      case "\t":
        this.space()
        return this.keep(this.position + 1)
      case ":":
        // `[IPv6:…]` does not begin a group.
        if (this.inLiteral) return this.keep(this.position + 1)
        return this.beginGroupUnsafe()
      case ";":
        return this.fail('";" is not allowed outside quotes', "separate mailboxes with commas")
      case ">":
      case "\\":
      case ")":
        return this.fail(`"${character}" is not allowed outside quotes`, "put the name in double quotes")
    }
    if (this.address !== undefined)
      return this.fail("there is text after the closing angle bracket", "separate mailboxes with a comma")
    if (character === "<") return this.angleAddressUnsafe()
    if (character === '"') return this.quotedStringUnsafe()
    if (character === "[") this.inLiteral ||= this.input[this.places.at(-1) ?? -1] === "@"
    else if (character === "]") this.inLiteral = false
    this.addToName(character)
    this.keep(this.position + 1)
  }

  private bareAddressUnsafe(start: number, end: number): Mailbox | undefined {
    const [before, text] = trimBlank(this.bare)
    if (text === "") return undefined
    // A name alone is often the left half of `Doe, Ann <ann@example.org>`.
    if (!text.includes("@")) {
      this.position = this.places[before] ?? start
      return this.fail(
        "there is no address here",
        "write Name <local@domain>, with the name in double quotes if it holds a comma"
      )
    }
    if (this.splitAt !== undefined) {
      this.position = this.splitAt
      return this.fail("there is a comment inside the address", "take it out, or put it behind the address")
    }
    const fault = AddressSyntax.findFault(text)
    if (fault === undefined) return { name: undefined, address: Address.fromStringUnsafe(text) }
    this.position = this.places[before + fault.position] ?? end
    return this.fail(fault.problem, fault.remedy)
  }

  private angleAddressUnsafe(): void {
    const open = this.position
    const close = this.closingBracket(open + 1)
    if (close === -1) return this.fail("the angle bracket is never closed", "add > after the address")
    const [before, text] = trimBlank(this.input.slice(open + 1, close))
    if (text === "") return this.fail("the angle brackets are empty", "put the address inside")
    const fault = AddressSyntax.findFault(text)
    if (fault !== undefined) {
      this.position = open + 1 + before + fault.position
      return this.fail(fault.problem, fault.remedy)
    }
    this.address = Address.fromStringUnsafe(text)
    this.position = close + 1
  }

  /** The `>` that is not inside a quoted local part. */
  private closingBracket(from: number): number {
    let quoted = false
    for (let i = from; i < this.input.length; i++) {
      const character = this.input[i]
      if (character === "\\" && quoted) i++
      else if (character === '"') quoted = !quoted
      else if (character === ">" && !quoted) return i
    }
    return -1
  }

  private quotedStringUnsafe(): void {
    for (let i = this.position + 1; i < this.input.length; i++) {
      let character = this.characterUnsafe(i)
      if (character === '"') return this.keep(i + 1)
      if (character === "\\" && i + 1 < this.input.length) character = this.characterUnsafe(++i)
      this.addToName(character)
    }
    this.fail("the quote is never closed", "add the closing double quote")
  }

  /** Comments nest and have no meaning (RFC 5322 §3.2.2). They may surround an atom but not interrupt it (§3.2.3). */
  private skipCommentUnsafe(): void {
    const start = this.position
    let depth = 0
    for (let i = this.position; i < this.input.length; i++) {
      const character = this.characterUnsafe(i)
      if (character === "\\") i++
      else if (character === "(") depth++
      else if (character === ")" && --depth === 0) {
        this.position = i + 1
        if (isInAtom(this.bare.at(-1)) && isInAtom(this.input[i + 1])) this.splitAt ??= start
        return
      }
    }
    this.fail("the comment is never closed", "add ), or put the name in double quotes")
  }

  /** Outside quotes any white space between words is one space. */
  private space(): void {
    if (!this.nameEndsInBlank) this.addToName(" ")
  }

  private addToName(character: string): void {
    this.name += character
    this.nameEndsInBlank = character === " "
  }

  /** Takes the text up to `end` as written. */
  private keep(end: number): void {
    for (let i = this.position; i < end; i++) this.places.push(i)
    this.bare += this.input.slice(this.position, end)
    this.position = end
  }

  /** The character at an index, if a header can hold it. */
  private characterUnsafe(position: number): string {
    const character = this.input[position]!
    const control = character === "\t" ? undefined : AddressSyntax.controlName(this.input.charCodeAt(position))
    if (control === undefined) return character
    this.position = position
    return this.fail(`${control} is not allowed here`, "take it out")
  }

  private fail(problem: string, remedy: string): never {
    throw error(this.input, this.position, problem, remedy)
  }
}

/** The number of blanks before a text, and the text without blanks around it. Line breaks do not count as blanks. */
const trimBlank = (text: string): readonly [before: number, text: string] => {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return [start, text.slice(start, end)]
}

const isInAtom = (character: string | undefined): boolean =>
  character !== undefined && !/[ \t.@()<>[\]:;,\\"]/.test(character)

const isBlank = (character: string | undefined): boolean => character === " " || character === "\t"
