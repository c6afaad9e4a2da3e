/**
 * Reads from a `style` attribute whether its element is shown (CSS Style Attributes, CSS Display 3, CSS Overflow 3).
 *
 * `mso-hide` is ignored: it hides an element from Outlook alone, as the button that Outlook draws by VML beside it.
 */

/** Stands in a style for a value that is not known yet. */
export const unknown = "\0"

/** The effect of a style on its element. */
export interface Appearance {
  /** True if the element is not shown, nor any element in it. */
  readonly isRemoved: boolean
  /** True if it is visible, which elements in it may change back; `undefined` leaves that to the element around it. */
  readonly isVisible: boolean | undefined
}

/** Reads a style. `isMarked` says whether the element has the attribute `hidden`. */
export const appearance = (style: string, isMarked: boolean): Appearance => {
  const declared = declarations(style)
  const display = declared.get("display")
  const overflow = declared.get("overflow-y") ?? declared.get("overflow") ?? ""
  const visibility = declared.get("visibility") ?? ""
  return {
    isRemoved:
      // The attribute is a style of the browser's, which an author's goes before (HTML §15.3.1).
      (display === undefined ? isMarked : display === "none") ||
      (isZero.test(declared.get("max-height") ?? "") && /\b(?:hidden|clip)\b/.test(overflow)),
    isVisible: /^(?:hidden|collapse)$/.test(visibility)
      ? false
      : /^(?:visible|initial)$/.test(visibility)
        ? true
        : undefined
  }
}

const isZero = /^[+-]?(?:0+(?:\.0*)?|\.0+)(?:[a-z]+)?$/

/** Declarations with other values are ignored (CSS Syntax 3, §2.2). */
const allowed: ReadonlyMap<string, RegExp> = new Map([
  [
    "display",
    /^(?:none|contents|block|inline|flow|flow-root|list-item|run-in|(?:inline-)?(?:block|flex|grid|table)|table-[a-z-]+|ruby[a-z-]*|-(?:webkit|moz|ms)-[a-z-]+|initial|inherit|unset|revert|revert-layer)(?: |$)/
  ],
  ["visibility", /^(?:visible|hidden|collapse|initial|inherit|unset|revert|revert-layer)$/]
])

/** The declarations that hold: the last of each property, an important one before all others. */
const declarations = (style: string): ReadonlyMap<string, string> => {
  const values = new Map<string, string>()
  const important = new Set<string>()
  for (const declaration of split(style.replace(/\/\*[^]*?(?:\*\/|$)/g, " "))) {
    const colon = declaration.indexOf(":")
    if (colon === -1) continue
    const name = declaration.slice(0, colon).trim().toLowerCase()
    const given = declaration
      .slice(colon + 1)
      .trim()
      .toLowerCase()
    const value = given.replace(/\s*!\s*important$/, "")
    const isImportant = value !== given
    const grammar = allowed.get(name)
    if (value === "" || (grammar !== undefined && !value.includes(unknown) && !grammar.test(value))) continue
    if (important.has(name) && !isImportant) continue
    values.set(name, value)
    if (isImportant) important.add(name)
  }
  return values
}

/** Cuts at semicolons outside of quotes and parentheses. */
const split = (style: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let start = 0
  let quote = ""
  let depth = 0
  for (let i = 0; i < style.length; i++) {
    const character = style[i]!
    if (character === "\\") i++
    else if (quote !== "") {
      if (character === quote) quote = ""
    } else if (character === '"' || character === "'") quote = character
    else if (character === "(") depth++
    else if (character === ")") depth = Math.max(0, depth - 1)
    else if (character === ";" && depth === 0) {
      found.push(style.slice(start, i))
      start = i + 1
    }
  }
  found.push(style.slice(start))
  return found
}
