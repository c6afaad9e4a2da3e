/**
 * Entities of HTML, as far as texts use them: the letters and signs of Latin-1, typography, currencies, arrows, Greek.
 */

/** U+00A0 to U+00FF, in order. */
const latin1 =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para " +
  "middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave " +
  "Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc " +
  "Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc " +
  "iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml"

/** U+0391 to U+03C9, without those that have no name. */
const greek =
  "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho - Sigma Tau Upsilon Phi Chi Psi " +
  "Omega - - - - - - - alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf sigma " +
  "tau upsilon phi chi psi omega"

const others: { readonly [name: string]: string } = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  OElig: "Œ",
  oelig: "œ",
  Scaron: "Š",
  scaron: "š",
  Zcaron: "Ž",
  zcaron: "ž",
  Yuml: "Ÿ",
  fnof: "ƒ",
  circ: "ˆ",
  tilde: "˜",
  ensp: "\u2002",
  emsp: "\u2003",
  thinsp: "\u2009",
  zwnj: "\u200c",
  zwj: "\u200d",
  lrm: "\u200e",
  rlm: "\u200f",
  ndash: "–",
  mdash: "—",
  lsquo: "‘",
  rsquo: "’",
  sbquo: "‚",
  ldquo: "“",
  rdquo: "”",
  bdquo: "„",
  dagger: "†",
  Dagger: "‡",
  bull: "•",
  hellip: "…",
  permil: "‰",
  prime: "′",
  Prime: "″",
  lsaquo: "‹",
  rsaquo: "›",
  oline: "‾",
  frasl: "⁄",
  euro: "€",
  trade: "™",
  larr: "←",
  uarr: "↑",
  rarr: "→",
  darr: "↓",
  harr: "↔",
  minus: "−",
  infin: "∞",
  asymp: "≈",
  ne: "≠",
  le: "≤",
  ge: "≥",
  check: "✓",
  star: "☆",
  starf: "★",
  hearts: "♥"
}

const named: ReadonlyMap<string, string> = new Map([
  ...latin1.split(" ").map((name, index) => [name, String.fromCharCode(0xa0 + index)] as const),
  ...greek
    .split(" ")
    .map((name, index) => [name, String.fromCharCode(0x391 + index)] as const)
    .filter(([name]) => name !== "-"),
  ...Object.entries(others)
])

/** Those of Latin-1 and of markup are read without their semicolon as well. */
const withoutSemicolon: ReadonlySet<string> = new Set([...latin1.split(" "), "amp", "lt", "gt", "quot"])

const longestName = Math.max(...[...withoutSemicolon].map((name) => name.length))

/** What the numbers 128 to 159 are taken for (Windows-1252). */
const windows = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

/**
 * Reads the entities in a text; what is none stays as it is. In an attribute, what lacks its semicolon and is followed by
 * `=` or a letter is part of an address, as in `?a=b&copy=c`.
 */
export const decode = (text: string, isAttribute = false): string =>
  text.includes("&")
    ? text.replace(
        /&(?:#(\d+|[xX][\da-fA-F]+);?|([a-zA-Z][a-zA-Z\d]*)(;?)(=?))/g,
        (entity, number, name, semicolon, equals) => {
          if (number !== undefined) return fromNumber(number)
          if (semicolon === ";") return named.has(name) ? named.get(name)! + equals : entity
          if (!isAttribute) return withoutTheirSemicolon(name) + equals
          return equals === "" && withoutSemicolon.has(name) ? named.get(name)! : entity
        }
      )
    : text

/** The longest name that the letters begin with counts. */
const withoutTheirSemicolon = (letters: string): string => {
  for (let end = Math.min(letters.length, longestName); end > 1; end--)
    if (withoutSemicolon.has(letters.slice(0, end))) return named.get(letters.slice(0, end))! + letters.slice(end)
  return `&${letters}`
}

const fromNumber = (digits: string): string => {
  const code = /^x/i.test(digits) ? parseInt(digits.slice(1), 16) : parseInt(digits, 10)
  if (code >= 128 && code <= 159) return windows[code - 128]!
  const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
  return isCharacter ? String.fromCodePoint(code) : "\ufffd"
}
