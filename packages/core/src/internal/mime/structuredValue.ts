/**
 * Values of structured header fields that are given as one text, as `Überblick <news.example.org>` for List-Id: only
 * their phrases and comments may become encoded-words (RFC 2047 §5), the rest is ASCII already or cannot be sent.
 */
import * as EncodedWord from "./encodedWord.ts"

/** A piece of a value, to be written after the one before with a space between them. */
export type Piece =
  /** Written as it is. */
  | { readonly _tag: "Verbatim"; readonly text: string }
  /** Written as encoded-words between what opens and what closes it. */
  | { readonly _tag: "Words"; readonly text: string; readonly opening: string; readonly closing: string }

/** Takes a value apart; a string is what is wrong with it. */
export const read = (value: string): ReadonlyArray<Piece> | string => {
  const pieces: Array<Piece> = []
  let phrase: Array<Token> = []
  const endPhrase = () => {
    const [first] = phrase
    if (first === undefined) return
    if (phrase.some(({ text }) => mustBeEncoded(text)))
      pieces.push({ _tag: "Words", text: phrase.map(({ text }) => text).join(" "), opening: "", closing: "" })
    else for (const { written } of phrase) pieces.push({ _tag: "Verbatim", text: written })
    phrase = []
  }
  for (const [token] of value.matchAll(tokens)) {
    const first = token[0]!
    if (first === '"' && token.length > 1)
      phrase.push({ text: token.slice(1, -1).replace(/\\(.)/g, "$1"), written: token })
    else if (first === "<") {
      endPhrase()
      if (!printable.test(token))
        return "what stands between < and > must be printable ASCII; write xn--… and %C3%BC for it"
      pieces.push({ _tag: "Verbatim", text: token })
    } else if (first === "(") {
      endPhrase()
      const text = token.slice(1, -1)
      pieces.push(
        mustBeEncoded(text) ? { _tag: "Words", text, opening: "(", closing: ")" } : { _tag: "Verbatim", text: token }
      )
    } else if (first === "," || first === ";") {
      endPhrase()
      const last = pieces.pop()
      if (last?._tag === "Words") pieces.push({ ...last, closing: last.closing + token })
      else pieces.push({ _tag: "Verbatim", text: `${last?.text ?? ""}${token}` })
    } else phrase.push({ text: token, written: token })
  }
  endPhrase()
  return pieces
}

interface Token {
  readonly text: string
  readonly written: string
}

/** Angle brackets, quoted strings, comments and separators; what none of these is, is a word. */
const tokens = /<[^<>]*>|"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|[,;]|[^\s<>"(),;]+|[<>"()]/g

const printable = /^[\x20-\x7e]*$/

/** A longer word does not fit on a line, encoded-words do. */
const longestWord = 900

const mustBeEncoded = (text: string): boolean =>
  !printable.test(text) || text.length > longestWord || EncodedWord.looksEncoded(text)
