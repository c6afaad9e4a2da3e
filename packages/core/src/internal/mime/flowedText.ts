/**
 * Text whose paragraphs were broken into lines for the way (`format=flowed`, RFC 3676), put together again.
 */

/** Puts lines together that end in a space (§4.1). `delSp` says that this space is not part of the text (§4.2). */
export const read = (text: string, delSp: boolean): string => {
  const out: Array<string> = []
  let open: { readonly depth: number; text: string } | undefined
  const end = () => {
    if (open !== undefined) out.push(quoted(open.depth, open.text))
    open = undefined
  }
  for (const line of text.split("\n")) {
    const depth = /^>*/.exec(line)![0].length
    // A space was put before lines that begin with a space, with > or with From (§4.4).
    const content = line.charCodeAt(depth) === 0x20 ? line.slice(depth + 1) : line.slice(depth)
    const isSignature = content === "-- "
    if (open !== undefined && (open.depth !== depth || isSignature)) end()
    const isFlowed = content.endsWith(" ") && !isSignature
    const piece = isFlowed && delSp ? content.slice(0, -1) : content
    open = { depth, text: (open?.text ?? "") + piece }
    if (!isFlowed) end()
  }
  end()
  return out.join("\n")
}

const quoted = (depth: number, text: string): string => (depth === 0 ? text : `${">".repeat(depth)} ${text}`)
