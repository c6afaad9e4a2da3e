import { readdirSync, readFileSync } from "node:fs"
import { defineConfig } from "vitepress"

const repository = "https://github.com/mailrace/mailrace"

/** Links that work on GitHub and lead elsewhere on the site, which takes a section of README and OPERATING over. */
const moved = {
  "#the-command": "/reference/command",
  "../outbox/OPERATING.md": "/operating"
}
/** README's headings, for links of its sections to those that no page takes over. */
const headings = new Set(
  [...readFileSync(new URL("../../../README.md", import.meta.url), "utf8").matchAll(/^#+ (.+)$/gm)].map(
    ([, title]) =>
      `#${title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, "")
        .replaceAll(" ", "-")}`
  )
)
const retarget = (href) => {
  if (href in moved) return moved[href]
  if (headings.has(href)) return `${repository}${href}`
  return /^(?:packages|examples|\.github|ARCHITECTURE|LICENSE)/.test(href) ? `${repository}/blob/main/${href}` : href
}

const modules = readdirSync(new URL("../reference", import.meta.url))
  .filter((name) => name.startsWith("api-"))
  .map((name) => ({
    text: name.slice("api-".length, -".md".length),
    link: `/reference/${name.slice(0, -".md".length)}`
  }))

export default defineConfig({
  title: "Mailrace",
  description: "Send mail as a stream: messages in, outcomes out",
  lang: "en",
  // There is none; without this browsers ask for /favicon.ico.
  head: [["link", { rel: "icon", href: "data:," }]],
  cleanUrls: true,
  lastUpdated: false,
  srcExclude: ["sections/**"],
  ignoreDeadLinks: "localhostLinks",
  themeConfig: {
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: repository }],
    nav: [
      { text: "Start", link: "/start" },
      { text: "Command", link: "/reference/command" },
      { text: "API", link: "/reference/api-mailrace" }
    ],
    sidebar: [
      {
        text: "Guide",
        items: [
          { text: "Start", link: "/start" },
          { text: "From nodemailer", link: "/nodemailer" },
          { text: "A campaign", link: "/campaign" },
          { text: "Never lose a mail", link: "/durable" },
          { text: "Testing your app", link: "/testing" },
          { text: "Examples", link: "/examples" }
        ]
      },
      {
        text: "Relays",
        items: [
          { text: "Relays and providers", link: "/relays" },
          { text: "Limits and routing", link: "/limits" },
          { text: "Probing", link: "/probing" },
          { text: "Security and trust", link: "/security" }
        ]
      },
      {
        text: "Running it",
        items: [
          { text: "Watching", link: "/watching" },
          { text: "Tracing", link: "/tracing" },
          { text: "Operating an outbox", link: "/operating" },
          { text: "Why it is fast", link: "/performance" }
        ]
      },
      {
        text: "Reference",
        items: [
          { text: "The command", link: "/reference/command" },
          { text: "Configuration", link: "/reference/configuration" },
          ...modules
        ]
      }
    ]
  },
  markdown: {
    config: (md) => {
      // Vue would fill in what looks like one of its own templates.
      md.renderer.rules.text = (tokens, index) =>
        md.utils.escapeHtml(tokens[index].content).replaceAll("{{", "&#123;&#123;")
      md.renderer.rules.code_inline = (tokens, index) =>
        `<code v-pre>${md.utils.escapeHtml(tokens[index].content)}</code>`
      md.core.ruler.push("retarget", ({ tokens }) => {
        for (const { children } of tokens)
          for (const token of children ?? [])
            if (token.type === "link_open") token.attrSet("href", retarget(token.attrGet("href")))
      })
    }
  }
})
