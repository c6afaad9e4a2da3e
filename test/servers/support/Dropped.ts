/**
 * A folder into which a server's own program puts what the server took: `NAME.message` with the bytes, then `NAME.envelope`
 * with the sender on the first line and a recipient on each of the others.
 *
 * The server answers 250 once both are there, so there is nothing to wait for.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import type * as Mta from "./Mta.ts"

/** What is in the folder. `split` takes off what the server itself put on top. */
export const read = (
  folder: string,
  split: (bytes: Buffer) => Pick<Mta.Arrived, "received" | "content">
): ReadonlyArray<Mta.Arrived> =>
  Fs.readdirSync(folder)
    .filter((name) => name.endsWith(".envelope"))
    .map((name) => {
      const [from = "", ...to] = Fs.readFileSync(Path.join(folder, name), "utf8").trimEnd().split("\n")
      const bytes = Fs.readFileSync(Path.join(folder, name.replace(/envelope$/, "message")))
      return { from, to, ...split(bytes) }
    })

/** For servers that leave a message as it came. */
export const untouched = (bytes: Buffer): Pick<Mta.Arrived, "received" | "content"> => ({
  received: "",
  content: bytes
})
