/**
 * The texts and files of a message that was read.
 */
import type { Part } from "./reader.ts"

/** The texts and files of a message. */
export interface MessageParts {
  /** The first plain text that is not a file. */
  readonly text: Part | undefined
  /** The first HTML that is not a file. */
  readonly html: Part | undefined
  /** All other parts, in their order. */
  readonly files: ReadonlyArray<Part>
}

/** Sorts the parts of a message into texts and files. */
export const messageParts = (message: Part): MessageParts => {
  const found: { text: Part | undefined; html: Part | undefined; files: Array<Part> } = {
    text: undefined,
    html: undefined,
    files: []
  }
  const collect = (part: Part): void => {
    if (part.parts.length > 0) return part.parts.forEach(collect)
    const isFile = part.disposition === "attachment" || part.filename !== undefined || part.contentId !== undefined
    if (!isFile && part.type === "text/plain" && found.text === undefined) found.text = part
    else if (!isFile && part.type === "text/html" && found.html === undefined) found.html = part
    else found.files.push(part)
  }
  collect(message)
  return found
}
