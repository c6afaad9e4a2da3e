/** Fails on a link of the built site that leads to no page, or to no heading of its page. VitePress checks pages alone. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const dist = fileURLToPath(new URL("../.vitepress/dist", import.meta.url))
const pages = new Map(
  globSync("**/*.html", { cwd: dist }).map((file) => {
    const html = readFileSync(join(dist, file), "utf8")
    const path = `/${file.replace(/(?:index)?\.html$/, "")}`
    return [path, { html, ids: new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)) }]
  })
)
if (pages.size < 10) throw new Error(`the site has ${pages.size} pages; has it been built?`)

const faults = []
let links = 0
for (const [path, { html }] of pages)
  for (const [, href] of html.matchAll(/<a[^>]* href="([^"]+)"/g)) {
    if (/^(?:https?:|mailto:)/.test(href)) continue
    links++
    const { hash, pathname } = new URL(href.replaceAll("&amp;", "&"), `https://site.example${path}`)
    const page = pages.get(pathname) ?? pages.get(pathname.replace(/\.html$/, ""))
    if (page === undefined) faults.push(`${path}: ${href} leads to no page`)
    else if (hash !== "" && !page.ids.has(decodeURIComponent(hash.slice(1))))
      faults.push(`${path}: ${href} leads to no heading`)
  }

for (const fault of new Set(faults)) process.stdout.write(`${fault}\n`)
process.stdout.write(`${links} links of ${pages.size} pages: ${faults.length} faults\n`)
process.exitCode = faults.length === 0 ? 0 : 1
