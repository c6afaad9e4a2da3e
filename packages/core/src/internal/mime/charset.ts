/**
 * Bytes of a message as text, by the name of their charset (WHATWG Encoding, with the names that Python and Windows use).
 */

/** A text that was decoded. */
export interface Decoded {
  /** With U+FFFD for each byte that could not be read; byte by byte where the charset is not known. */
  readonly text: string
  /** Why it is not surely what its author wrote, `undefined` if it is. */
  readonly problem: string | undefined
}

export const decode = (bytes: Uint8Array, label: string): Decoded => {
  const charset = canonical(label)
  const decoder = decoderOf(charset)
  if (decoder === undefined)
    return { text: Buffer.from(bytes).toString("latin1"), problem: `the charset "${printable(label)}" is not known` }
  try {
    return { text: decoder.decode(bytes), problem: undefined }
  } catch {
    return { text: new TextDecoder(charset).decode(bytes), problem: `it holds bytes that are not ${charset}` }
  }
}

type Decoder = InstanceType<typeof TextDecoder>

const decoders = new Map<string, Decoder | undefined>()

/** As many as there are names; a hostile message names others, which are not kept. */
const mostDecoders = 300

const decoderOf = (charset: string): Decoder | undefined => {
  if (decoders.has(charset)) return decoders.get(charset)
  let decoder: Decoder | undefined
  try {
    decoder = new TextDecoder(charset, { fatal: true })
  } catch {
    decoder = undefined
  }
  if (decoders.size < mostDecoders) decoders.set(charset, decoder)
  return decoder
}

const canonical = (label: string): string => {
  const name = label
    .trim()
    .replace(/^'(.*)'$/, "$1")
    .toLowerCase()
  const dashed = name.replaceAll("_", "-")
  return others.get(dashed) ?? (decoderOf(name) === undefined ? dashed : name)
}

/** Names that the Encoding standard does not have. Bytes above 127 under the name of ASCII are UTF-8 nearly always. */
const others: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "utf-8": "ascii us-ascii ansi-x3.4-1968 iso646-us utf8 cp65001 utf-8-sig utf8mb4 utf-8n",
    shift_jis: "cp932 mskanji shift-jisx0213 windows-932",
    gbk: "cp936 windows-936",
    "euc-kr": "cp949 uhc ks-x-1001 windows-949",
    big5: "cp950 windows-950",
    "iso-8859-1": "latin-1 l-1 8859-1 cp819 iso8859",
    "iso-8859-15": "latin-9 latin9",
    macintosh: "mac-roman macroman"
  }).flatMap(([charset, names]) => names.split(" ").map((name) => [name, charset] as const))
)

const printable = (label: string): string => label.slice(0, 40).replace(/[^\x20-\x7e]/g, "?")
