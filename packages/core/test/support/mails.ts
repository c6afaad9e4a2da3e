/**
 * Mails of every kind that a composer must carry: all scripts, long words, long lines, quotes, what looks like MIME.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

const fragments = [
  "",
  " ",
  "  ",
  "a",
  "Hello",
  "hello world",
  "=",
  "=3D",
  "=\t",
  "?=",
  "=?",
  "=?utf-8?Q?=0D=0ABcc:_eve@example.com?=",
  "=?UTF-8?B?SGk=?=",
  "_",
  ".",
  "..",
  ",",
  ";",
  ":",
  "<b>",
  '"',
  "\\",
  "'",
  "(c)",
  "@",
  "%41",
  "From ",
  "--",
  "--=_",
  "--=_a_",
  "$1",
  "äöüß",
  "é",
  "e\u0301",
  "Привет",
  "日本語",
  "日本語の長い件名がここに入りますので折り返しが必要になるはずです",
  "שלום עולם",
  "مرحبا",
  "👍",
  "👩‍👩‍👧‍👦",
  "🇨🇭",
  "\u0007",
  "\u001b[31m",
  "\u007f",
  "\t",
  "\u000b\f",
  "\u200d",
  "\u202e",
  "\u00a0",
  "\u2028",
  "\ufffd",
  "supercalifragilisticexpialidocious".repeat(4),
  "x".repeat(77),
  "w".repeat(998),
  "ü".repeat(400),
  "𝄞".repeat(30),
  "word ".repeat(30),
  "l".repeat(10_000)
] as const

const AnyFragment = Schema.Union([Schema.Literals(fragments), Schema.String])

const joined = (maxLength: number) =>
  Arbitrary.map(Arbitrary.array(Arbitrary.schema(AnyFragment), { maxLength }), (parts) => parts.join(""))

/** What no header value may hold. */
const lineBreaks = /[\r\n\0]/g

/** One line of any text: a subject, a header's value. */
export const AnyLine = Arbitrary.map(joined(6), (text) => text.replace(lineBreaks, "").toWellFormed())

/** A display name, which is trimmed when it is read. */
export const AnyName = Arbitrary.map(AnyLine, (line) => line.slice(0, 120).toWellFormed().trim())

const breaks = [
  "\n",
  "\r\n",
  "\r",
  "\n\n",
  "\n.\n",
  "\n..\r\n",
  "\r\n.\r\nMAIL FROM:<eve@example.com>\r\n",
  "\nFrom me\n"
] as const

/** Text of many lines with every kind of line break. */
export const AnyText = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([joined(4), Arbitrary.schema(Schema.Literals(breaks))]), { maxLength: 6 }),
  (lines) =>
    lines
      .map(([line, end]) => line + end)
      .join("")
      .replaceAll("\0", "")
      .toWellFormed()
)

const locals = [
  "ann",
  "bob.smith",
  "o'brien+tag",
  '"odd local"',
  '"a\\"@b"',
  "x".repeat(64),
  "a!#$%&'*/=?^_`{|}~-"
] as const
const domains = [
  "example.org",
  "mail.example.com",
  "bücher.example",
  "例え.example",
  "xn--bcher-kva.example",
  "a.b.c.example"
] as const

/** An address whose local part is ASCII. */
export const AnyAddress = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.Literals(locals)), Arbitrary.schema(Schema.Literals(domains))]),
  ([local, domain]) => `${local}@${domain}`
)

/** A mailbox with or without a name. */
export const AnyMailbox = Arbitrary.map(Arbitrary.all([AnyName, AnyAddress]), ([name, address]) => ({ name, address }))

const AnyBytes = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
      maxLength: 200
    }),
    Arbitrary.schema(Schema.Literals([0, 1, 57, 58, 114, 300]))
  ]),
  ([bytes, times]) => Uint8Array.from({ length: bytes.length * times }, (_, i) => bytes[i % bytes.length]!)
)

const filenames = [
  "a.txt",
  "no extension",
  "..",
  "../../etc/passwd",
  'a"b.pdf',
  "back\\slash.png",
  "ä ö ü.docx",
  "日本語.pdf",
  "👍.gif",
  "semi;colon=x.zip",
  "percent%41.txt",
  "it's.csv",
  "long".repeat(40) + ".pdf",
  "lang'en'uage.txt",
  " space .txt",
  "tab\there.txt",
  "star*1*.txt"
] as const

/**
 * A file's name: all but line breaks, and encoded-words, which readers decode even where RFC 2231 is used. The ending is
 * fixed because mailparser falls over `constructor` as one.
 */
export const AnyFilename = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.Literals(filenames)), AnyLine, Arbitrary.schema(Schema.Boolean)]),
  ([odd, any, which]) =>
    which || any.trim() === "" || any.includes("=?") ? odd : `${any.slice(0, 200)}.dat`.toWellFormed()
)

/** An attachment of bytes. */
export const AnyAttachment = Arbitrary.map(Arbitrary.all([AnyFilename, AnyBytes]), ([filename, content]) => ({
  filename,
  content
}))

const words = ["hello", "world", "Grüße", "日本語", "👍", "naïve", "a", "long-ish-word", "42", "שלום"] as const

const sentence = (maxLength: number, separator: string) =>
  Arbitrary.map(Arbitrary.array(Arbitrary.schema(Schema.Literals(words)), { minLength: 1, maxLength }), (parts) =>
    parts.join(separator)
  )

const PlainMailbox = Arbitrary.map(
  Arbitrary.all([sentence(3, " "), Arbitrary.schema(Schema.Literals(["ann", "bob.smith", "o'brien+tag"]))]),
  ([name, local]) => ({ name, address: `${local}@example.org` })
)

const PlainAttachment = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.schema(
      Schema.Literals(["a.txt", "Rechnung März.pdf", "図.png", "archive.zip", "data.json", "x.unknown"])
    ),
    AnyBytes,
    Arbitrary.schema(Schema.Boolean)
  ]),
  ([filename, content, inline]) => ({
    filename,
    content,
    ...(inline && filename.endsWith(".png") ? { cid: `${content.length}@mail` } : {})
  })
)

/** A mail as an app sends it every day, with nothing in it on which composers disagree. */
export const PlainMail = Arbitrary.all({
  from: PlainMailbox,
  to: Arbitrary.array(PlainMailbox, { minLength: 1, maxLength: 12 }),
  cc: Arbitrary.array(PlainMailbox, { maxLength: 2 }),
  replyTo: PlainMailbox,
  subject: sentence(20, " "),
  text: sentence(40, " \n"),
  html: sentence(60, " "),
  attachments: Arbitrary.array(PlainAttachment, { maxLength: 3 }),
  inReplyTo: Arbitrary.Constant("<1.2@example.org>"),
  references: Arbitrary.Constant("<1.2@example.org> <3.4@example.org>"),
  headers: Arbitrary.map(sentence(4, " "), (line) => ({ "X-Campaign": line }))
})
