/** Follows README from an empty folder to the first mail (firstMail.mjs) on each runtime. */
import { fileURLToPath } from "node:url"
import { bunAt, nodeAt, pathOfNode, wholeWay } from "./firstMail.mjs"
import { conclude, packed } from "./packed.mjs"
import { serve } from "./registry.mjs"
import { fetchRuntimes } from "./runtimes.mjs"

const fetched = fetchRuntimes(["bun"])
const lowest = process.env.LOWEST_NODE
const runtimes = [nodeAt(lowest, pathOfNode(lowest)), nodeAt(process.versions.node, process.execPath)]
if (fetched.bun === undefined) process.stdout.write("skipped: Bun: npm has no package of it that runs here\n")
else runtimes.push(bunAt(fetched.bun))

const faults = []
const registry = await serve(fileURLToPath(new URL("../..", import.meta.url)), packed)
try {
  for (const runtime of runtimes)
    await wholeWay(runtime, registry.url).catch((error) =>
      faults.push(error instanceof Error ? error.message : String(error))
    )
} finally {
  registry.close()
  fetched.remove()
}
conclude("a newcomer's way by README", faults)
process.exit()
