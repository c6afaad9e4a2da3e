/**
 * An independent reading of HTML: by the parser that mailparser itself reads HTML with.
 */
import { createRequire } from "node:module"

interface Handler {
  readonly onopentag: (name: string, attributes: { readonly [name: string]: string }) => void
  readonly ontext: (text: string) => void
  readonly oncomment: (text: string) => void
  readonly onclosetag: (name: string) => void
}

const ofTests = createRequire(import.meta.url)
const ofMailparser = createRequire(ofTests.resolve("mailparser"))
const ofHtmlToText = createRequire(ofMailparser.resolve("html-to-text"))
const { Parser } = ofHtmlToText("htmlparser2") as {
  readonly Parser: new (
    handler: Handler,
    options: { readonly decodeEntities: boolean }
  ) => { write(html: string): void; end(): void }
}

/** What stands in a document: its tags with their attributes, its texts and comments, in order. */
export type Item =
  | { readonly tag: string; readonly attributes: { readonly [name: string]: string } }
  | { readonly end: string }
  | { readonly text: string }
  | { readonly comment: string }

/** Reads a document. */
export const readHtml = (html: string): ReadonlyArray<Item> => {
  const items: Array<Item> = []
  const parser = new Parser(
    {
      onopentag: (tag, attributes) => items.push({ tag, attributes: { ...attributes } }),
      onclosetag: (end) => items.push({ end }),
      oncomment: (comment) => items.push({ comment }),
      ontext: (text) => {
        const last = items.at(-1)
        if (last !== undefined && "text" in last) items[items.length - 1] = { text: last.text + text }
        else items.push({ text })
      }
    },
    { decodeEntities: true }
  )
  parser.write(html)
  parser.end()
  return items
}
