import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

const pieces = [
  "a",
  "b",
  " ",
  "\r",
  "\n",
  "\r\n",
  '"',
  '""',
  ",",
  ";",
  "\t",
  "{",
  "}",
  "\\",
  "é",
  "€",
  "😀",
  "\u2028",
  "\0"
]

/** Texts made of what parsers trip over. */
export const nastyText: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces))),
  (parts) => parts.join("")
)
