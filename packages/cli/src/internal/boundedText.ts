/**
 * Reads the text of an HTTP response whose length is not known.
 */

/** Reads the text; throws, and closes the connection, if it is longer than `most` bytes. */
export const read = async (response: Response, most: number): Promise<string> => {
  const pieces: Array<Uint8Array> = []
  let length = 0
  for await (const piece of response.body ?? []) {
    length += piece.length
    if (length > most) throw new Error(`it is longer than ${most} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString("utf8")
}
