/**
 * Encoded-words read back (RFC 2047).
 */
import * as Charset from "./charset.ts"
import * as QuotedPrintable from "./quotedPrintable.ts"

/** Called with a description of each text that cannot be decoded. */
export type OnProblem = (problem: string) => void

const word = "=\\?[^?\\s]+\\?[bBqQ]\\?[^?\\s]*\\?="

/** Encoded-words with only blanks between them are one text (RFC 2047 §6.2). */
const runs = new RegExp(`${word}(?:[ \\t]+${word})*`, "g")

/** A text with its encoded-words decoded. */
export const decode = (text: string, onProblem?: OnProblem): string =>
  text.replace(runs, (run: string) => decodeRun(run, onProblem))

interface Word {
  readonly charset: string
  readonly bytes: Uint8Array
}

const decodeRun = (run: string, onProblem: OnProblem | undefined): string => {
  let out = ""
  let group: Array<Word> = []
  const flush = () => {
    out += decodeGroup(group, onProblem)
    group = []
  }
  for (const match of run.matchAll(/=\?([^?*]+)[^?]*\?([bBqQ])\?([^?]*)\?=/g)) {
    const [, label = "", kind = "", payload = ""] = match
    const charset = label.toLowerCase()
    if (group.length > 0 && group[0]!.charset !== charset) flush()
    group.push({
      charset,
      bytes:
        kind.toLowerCase() === "b"
          ? Buffer.from(payload, "base64")
          : QuotedPrintable.decode(payload.replaceAll("_", " "))
    })
  }
  flush()
  return out
}

/**
 * Each word is a text of its own (RFC 2047 §5), and in ISO-2022-JP begins in ASCII. Some programs all the same cut a
 * character in two: words that cannot be decoded each are decoded together.
 */
const decodeGroup = (group: ReadonlyArray<Word>, onProblem: OnProblem | undefined): string => {
  const [first] = group
  if (first === undefined) return ""
  const each = group.map(({ bytes, charset }) => Charset.decode(bytes, charset))
  if (each.every(({ problem }) => problem === undefined)) return each.map(({ text }) => text).join("")
  const { problem, text } = Charset.decode(Buffer.concat(group.map(({ bytes }) => bytes)), first.charset)
  if (problem !== undefined) onProblem?.(problem)
  return text
}
