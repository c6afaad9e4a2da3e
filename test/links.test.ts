/**
 * The links of the documentation in Markdown: each leads to a file of the repository, and to a heading of that file where it
 * names one. So do links to the repository on GitHub, which pages on npm need. `.ci/docs` checks the links of the site.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const repository = /^https:\/\/github\.com\/mailrace\/mailrace(?:\/(?:blob|tree)\/main\/([^#]+))?(?:#(.+))?$/

const files = globSync(["*.md", ".github/*.md", ".changeset/*.md", "packages/*/*.md", "packages/*/package.json"], {
  cwd: root
})
const site = join(root, "packages", "docs")

const withoutCode = (markdown: string): string =>
  markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "code")

/** The anchors that GitHub gives to headings. */
const anchorsOf = (file: string): ReadonlySet<string> =>
  new Set(
    [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
        .replaceAll(" ", "-")
    )
  )

/** Each link as a file and an anchor; none for links to elsewhere. */
const targetsOf = (
  file: string
): ReadonlyArray<{ readonly link: string; readonly path: string; readonly anchor: string }> => {
  const text = readFileSync(join(root, file), "utf8")
  const links = file.endsWith(".json")
    ? [JSON.parse(text).homepage].filter((link) => link !== undefined)
    : [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
  return links.flatMap((link: string) => {
    const own = repository.exec(link)
    if (own !== null) {
      const folder = own[1] === undefined ? root : join(root, own[1])
      const readme = existsSync(join(folder, "README.md")) ? join(folder, "README.md") : folder
      return [{ link, path: own[1] === undefined || own[2] !== undefined ? readme : folder, anchor: own[2] ?? "" }]
    }
    // The site's own links start at its root, and its build checks them.
    if (/^[a-z]+:/.test(link) || (join(root, file).startsWith(site) && link.startsWith("/"))) return []
    const [path = "", anchor = ""] = link.split("#")
    return [{ link, path: path === "" ? join(root, file) : resolve(root, dirname(file), path), anchor }]
  })
}

/** Anchors of a page on GitHub that are no headings of it. */
const pageAnchors = new Set(["readme"])

describe("links of the documentation", () => {
  it("lead to files and headings that are there", () => {
    const all = files.flatMap((file) => targetsOf(file).map((target) => ({ ...target, file })))
    assert.isAtLeast(all.length, 40)
    const broken = all.filter(
      ({ anchor, path }) =>
        !existsSync(path) ||
        (anchor !== "" && !pageAnchors.has(anchor) && !anchorsOf(path).has(decodeURIComponent(anchor)))
    )
    assert.deepStrictEqual(
      broken.map(({ file, link, path }) => `${file}: ${link} (${relative(root, path)})`),
      []
    )
  })
})
