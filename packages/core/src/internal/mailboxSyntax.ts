/**
 * Reading `Name <local@domain>` (RFC 5322 §3.4), with the forms that people write and that cannot be misread: dots,
 * `@` and brackets in a name without quotes.
 */
import * as Result from "effect/Result"
import * as Address from "../Address.ts"
import type { Mailbox } from "../Mailbox.ts"
import * as AddressSyntax from "./addressSyntax.ts"

type Read<A> = Result.Result<A, Address.AddressError>

/** An error about a place in `input`. */
export const error = (input: string, position: number, problem: string, remedy: string): Address.AddressError =>
  new Address.AddressError({ input, position, problem, remedy })

/** Mailboxes separated by commas. */
export const readList = (input: string): Read<ReadonlyArray<Mailbox>> => {
  // Nearly every input is one bare address.
  if (AddressSyntax.isPlainAddress(input))
    return Result.succeed([{ name: undefined, address: input as Address.Address }])
  const reader = new Reader(input)
  const list: Array<Mailbox> = []
  while (!reader.atEnd()) {
    const mailbox = reader.mailbox()
    if (Result.isFailure(mailbox)) return Result.fail(mailbox.failure)
    if (mailbox.success !== undefined) list.push(mailbox.success)
  }
  return Result.succeed(list)
}

/** Text of a mailbox outside angle brackets, comments taken out, with the place where each character came from. */
interface Loose {
  text: string
  readonly places: Array<number>
  quoted: boolean
}

class Reader {
  private readonly input: string
  private position = 0

  constructor(input: string) {
    this.input = input
  }

  atEnd(): boolean {
    return this.position >= this.input.length
  }

  /** The mailbox up to the next comma; `undefined` when nothing stands there. */
  mailbox(): Read<Mailbox | undefined> {
    const start = this.position
    /** What may be a name, with its quotes resolved. */
    let name = ""
    /** The same as it was written, for when it turns out to be the address. */
    const bare: Loose = { text: "", places: [], quoted: false }
    let address: Read<Address.Address> | undefined
    for (; !this.atEnd(); this.position++) {
      const character = this.input[this.position]!
      if (character === ",") break
      const control = AddressSyntax.controlName(this.input.charCodeAt(this.position))
      if (control !== undefined && character !== "\t") return this.fail(`${control} is not allowed here`, "take it out")
      if (character === "(") {
        const closed = this.skipComment()
        if (closed !== undefined) return closed
        name += " "
        continue
      }
      if (address !== undefined) {
        if (character === " " || character === "\t") continue
        return this.fail("something follows the closing angle bracket", "separate mailboxes with a comma")
      }
      if (character === '"') {
        const word = this.quotedString(bare)
        if (Result.isFailure(word)) return Result.fail(word.failure)
        name += word.success
        continue
      }
      if (character === "<") {
        address = this.angleAddress()
        if (Result.isFailure(address)) return Result.fail(address.failure)
        continue
      }
      if (character === ":" && !insideLiteral(bare.text))
        return this.fail("a group of addresses cannot be sent to", "list its members, separated by commas")
      if (character === ";" || character === ">" || character === "\\" || character === ")")
        return this.fail(
          `"${character}" is not allowed outside quotes`,
          character === ";" ? "separate mailboxes with commas" : "put the name in double quotes"
        )
      name += character
      keep(bare, character, this.position)
    }
    this.position++
    if (address !== undefined) return Result.map(address, (address) => ({ name: clean(name), address }))
    return this.bareAddress(bare, start)
  }

  private bareAddress(bare: Loose, start: number): Read<Mailbox | undefined> {
    const before = bare.text.length - bare.text.trimStart().length
    const text = bare.text.trim()
    if (text === "") return Result.succeed(undefined)
    const fault = AddressSyntax.findFault(text)
    if (fault === undefined) return Result.succeed({ name: undefined, address: text as Address.Address })
    const place = bare.places[before + fault.position] ?? Math.max(start, this.position - 1)
    // A name alone, often the left half of `Doe, Ann <ann@example.org>`.
    return text.includes("@")
      ? Result.fail(error(this.input, place, fault.problem, fault.remedy))
      : Result.fail(
          error(
            this.input,
            start + before,
            "there is no address here",
            "write Name <local@domain>, with the name in double quotes if it holds a comma"
          )
        )
  }

  /** From `<` to `>`; leaves the position on the `>`. */
  private angleAddress(): Read<Address.Address> {
    const open = this.position
    const close = this.closingBracket(open + 1)
    if (close === -1) return this.fail("the angle bracket is never closed", "add > after the address")
    const inside = this.input.slice(open + 1, close)
    const text = inside.trim()
    const before = inside.length - inside.trimStart().length
    this.position = close
    if (text === "")
      return Result.fail(error(this.input, open, "the angle brackets are empty", "put the address inside"))
    const fault = AddressSyntax.findFault(text)
    return fault === undefined
      ? Result.succeed(text as Address.Address)
      : Result.fail(error(this.input, open + 1 + before + fault.position, fault.problem, fault.remedy))
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

  /** A quoted string resolved; leaves the position on the closing quote. */
  private quotedString(bare: Loose): Read<string> {
    const open = this.position
    let value = ""
    keep(bare, '"', open)
    for (let i = open + 1; i < this.input.length; i++) {
      const control = AddressSyntax.controlName(this.input.charCodeAt(i))
      if (control !== undefined && this.input[i] !== "\t")
        return Result.fail(error(this.input, i, `${control} is not allowed here`, "take it out"))
      keep(bare, this.input[i]!, i)
      if (this.input[i] === '"') {
        this.position = i
        return Result.succeed(value)
      }
      if (this.input[i] === "\\" && i + 1 < this.input.length) keep(bare, this.input[++i]!, i)
      value += this.input[i]
    }
    return this.fail("the quote is never closed", "add the closing double quote")
  }

  /** Comments nest (RFC 5322 §3.2.2) and mean nothing; leaves the position on the closing bracket. */
  private skipComment(): Read<never> | undefined {
    const open = this.position
    let depth = 0
    for (let i = open; i < this.input.length; i++) {
      const control = AddressSyntax.controlName(this.input.charCodeAt(i))
      if (control !== undefined && this.input[i] !== "\t")
        return Result.fail(error(this.input, i, `${control} is not allowed here`, "take it out"))
      if (this.input[i] === "\\") i++
      else if (this.input[i] === "(") depth++
      else if (this.input[i] === ")" && --depth === 0) {
        this.position = i
        return undefined
      }
    }
    return this.fail("the comment is never closed", "add ), or put the name in double quotes")
  }

  private fail(problem: string, remedy: string): Result.Result<never, Address.AddressError> {
    return Result.fail(error(this.input, this.position, problem, remedy))
  }
}

const keep = (bare: Loose, character: string, place: number): void => {
  bare.text += character
  bare.places.push(place)
}

/** A colon in `[IPv6:…]` is no group. */
const insideLiteral = (text: string): boolean => text.lastIndexOf("@[") > text.lastIndexOf("]")

const clean = (name: string): string | undefined => name.replace(/[ \t]+/g, " ").trim() || undefined
