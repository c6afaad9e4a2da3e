/**
 * Writes the pages of the reference: the command's from its own help, the configuration's and the API's from the
 * declarations of the built packages; and the sections of README that pages take over. Each build writes them anew, so that
 * none is ever out of date.
 */
import { execFile } from "node:child_process"
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const pages = fileURLToPath(new URL("../reference", import.meta.url))
mkdirSync(pages, { recursive: true })
for (const page of globSync("*.md", { cwd: pages })) rmSync(join(pages, page))

const write = (name, text) => writeFileSync(join(pages, `${name}.md`), text)

/** Sections of README that pages take over, each without its heading. */
const sections = fileURLToPath(new URL("../sections", import.meta.url))
mkdirSync(sections, { recursive: true })
for (const [, title, text] of `${readFileSync(join(root, "README.md"), "utf8")}\n## `.matchAll(
  /^## (.+)\n([\s\S]*?)(?=^## )/gm
))
  writeFileSync(
    join(
      sections,
      `${title
        .toLowerCase()
        .replaceAll(/[^\w ]/g, "")
        .replaceAll(" ", "-")}.md`
    ),
    text.trim()
  )

// VitePress leaves out what it does not find, without a word.
const site = fileURLToPath(new URL("..", import.meta.url))
for (const page of globSync("*.md", { cwd: site }))
  for (const [, file] of readFileSync(join(site, page), "utf8").matchAll(/(?:@include: |^<<< )(\S+?)(?:-->|$)/gm))
    if (!existsSync(join(site, file)))
      throw new Error(`${page} takes ${file} over, which is not there; was it renamed?`)

const mailrace = async (...args) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, "packages/cli/bin/mailrace.js"), ...args],
    { env: { ...process.env, COLUMNS: "100", NO_COLOR: "1" } }
  )
  return stdout
}

/** The help of a command and of all below it, in their order. */
const helpOf = async (path) => {
  const stdout = await mailrace(...path, "--help")
  const subcommands = /\nSUBCOMMANDS\n([\s\S]*?)\n\n/.exec(stdout)?.[1] ?? ""
  const names = [...subcommands.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name)
  const below = []
  // Two at a time, as many as the smallest machine has cores.
  for (let index = 0; index < names.length; index += 2)
    below.push(...(await Promise.all(names.slice(index, index + 2).map((name) => helpOf([...path, name])))))
  return [{ title: ["mailrace", ...path].join(" "), text: stdout.trimEnd() }, ...below.flat()]
}

const commands = await helpOf([])
if (commands.length < 10) throw new Error(`the command's help names ${commands.length} commands; has its form changed?`)
write(
  "command",
  `# The command\n\nFrom the command's own help.\n\n${commands
    .map(({ text, title }) => `## ${title}\n\n\`\`\`text\n${text}\n\`\`\`\n`)
    .join("\n")}`
)

/** The text of a comment, without its asterisks, `@since` and examples, which the module's page has in their place. */
const textOf = (comment) =>
  comment
    .replace(/^\/\*\*|\*\/$/g, "")
    .replace(/^[ \t]*\* ?/gm, "")
    .replace(/^@since .*$/gm, "")
    .replace(/^@example\s*$/gm, "**Example**\n")
    .trim()
    // Outside of code, a `<` would begin a tag.
    .split(/(```[\s\S]*?```|`[^`]*`)/)
    .map((part, index) => (index % 2 === 1 ? part : part.replaceAll("<", "&lt;")))
    .join("")

/** The head comment of a declaration file, and its exports with their comments and declarations. */
const read = (source) => {
  const head = /^\/\*\*[\s\S]*?\*\/(?=\n\n|\n(?:import|export \*|export \{))/.exec(source)?.[0] ?? ""
  const exported =
    /(\/\*\*(?:(?!\*\/)[\s\S])*?\*\/)\n(export (?:declare |abstract )*(?:const|let|function|class|interface|type|enum) (\w+)(?:[\s\S]*?))(?=\n\/\*\*|\nexport |\ndeclare |\nimport |\n\/\/#|$(?![\s\S]))/g
  const entries = [...source.slice(head.length).matchAll(exported)].map(([, comment, , name]) => ({
    name,
    text: textOf(comment)
  }))
  return { text: textOf(head), entries }
}

/** The exports' declarations alone, without comments, imports and private fields. */
const declarationsOf = (source) =>
  source
    .replace(/\/\*\*[\s\S]*?\*\//g, "")
    .replace(/^(?:import |export \* |\/\/#).*$/gm, "")
    .replace(/^\s+(?:private|#)\b.*$/gm, "")
    .replace(/^export \{\s*\};?$/gm, "")
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{2,}/g, "\n")
    .trim()

const packages = globSync("packages/*/package.json", { cwd: root })
  .sort()
  .flatMap((path) => {
    const manifest = JSON.parse(readFileSync(join(root, path), "utf8"))
    return manifest.private === true || manifest.bin !== undefined ? [] : [{ ...manifest, folder: dirname(path) }]
  })

for (const { description, folder, name } of packages) {
  const modules = globSync(`${folder}/src/[A-Z]*.ts`, { cwd: root }).sort()
  if (modules.length === 0) throw new Error(`${name} has no modules`)
  const sections = modules.map((path) => {
    const module = basename(path, ".ts")
    const file = join(root, folder, "dist", `${module}.d.ts`)
    const declarations = readFileSync(file, "utf8")
    const { entries, text } = read(declarations)
    // A value and its type share a name, as do the overloads of a function.
    const distinct = entries.filter(({ name }, index) => entries.findIndex((entry) => entry.name === name) === index)
    const names = distinct.map(
      ({ name, text }) => `| \`${name}\` | ${text.split(/\n\n/)[0].replaceAll("\n", " ").replaceAll("|", "\\|")} |`
    )
    const table = names.length === 0 ? "" : `| export | |\n|---|---|\n${names.join("\n")}\n`
    const source = `https://github.com/mailrace/mailrace/blob/main/${path}`
    return `## ${module}\n\n\`import * as ${module} from "${name}/${module}"\` · [source](${source})\n\n${text.replace(/^#/gm, "\\#")}\n\n${table}\n::: details Declarations\n\`\`\`ts\n${declarationsOf(declarations)}\n\`\`\`\n:::\n`
  })
  write(
    `api-${basename(folder) === "core" ? "mailrace" : basename(folder)}`,
    `# ${name}\n\n${description}.\n\n${sections.join("\n\n")}`
  )
}

/** The fields of a part of the JSON Schema of configurations, by their names; what is nested comes behind a dot. */
const fieldsOf = ({ properties = {} }, prefix = "") =>
  Object.entries(properties).flatMap(([name, schema]) => {
    const description = schema.description ?? schema.allOf?.find((part) => part.description !== undefined)?.description
    const cell = (description ?? "").replaceAll("|", "\\|").replaceAll("<", "&lt;")
    return [
      ...(description === undefined ? [] : [`| \`${prefix}${name}\` | ${cell} |`]),
      ...fieldsOf(schema, `${prefix}${name}.`)
    ]
  })

/** The tables of `mailrace.toml`, each with its fields. */
const tablesOf = ({ properties }) =>
  Object.entries(properties)
    .map(([name, schema]) => {
      const isNamed = typeof schema.additionalProperties === "object"
      const part = isNamed ? schema.additionalProperties : (schema.items ?? schema)
      const heading = isNamed ? `[${name}.NAME]` : schema.items === undefined ? name : `[[${name}]]`
      const fields = fieldsOf(part)
      const text = fieldsOf({ properties: { [name]: schema } })[0]
      return fields.length === 0
        ? `### ${heading}\n\n${text?.split("|")[2]?.trim() ?? ""}\n`
        : `### ${heading}\n\n| field | |\n|---|---|\n${fields.join("\n")}\n`
    })
    .join("\n")

const schema = JSON.parse(await mailrace("config", "schema"))

/** The options of an interface, by their names, with their documentation. */
const optionsOf = (file, name) => {
  const source = readFileSync(join(root, file), "utf8")
  const body = new RegExp(`export interface ${name}[^{]*\\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1]
  if (body === undefined) throw new Error(`${file} has no interface ${name}`)
  const fields = [...body.matchAll(/(\/\*\*(?:(?!\*\/)[\s\S])*?\*\/)\s+readonly (\w+)\??:/g)]
  if (fields.length === 0) throw new Error(`${name} of ${file} has no documented options`)
  return `| option | |\n|---|---|\n${fields
    .map(
      ([, comment, field]) =>
        `| \`${field}\` | ${textOf(comment)
          .replaceAll(/\s*\n\s*/g, " ")
          .replaceAll("|", "\\|")} |`
    )
    .join("\n")}\n`
}

write(
  "configuration",
  `# Configuration

## Environment of the command

| variable | |
|---|---|
| \`MAILRACE_RELAY\` | the relay's URL |
| \`MAILRACE_PASSWORD\` | the relay's password |
| \`MAILRACE_DKIM_KEY\` | the private key that signs (PEM) |
| \`MAILRACE_OUTBOX\` | the outbox's file (SQLite) |
| \`MAILRACE_OUTBOX_POSTGRES\` | the URL of an outbox in PostgreSQL |

In a program, \`SmtpTransport.layerConfig\` reads the first two through Effect's \`Config\`.

## mailrace.toml

Relays, limits and routes in one file, for \`--config\` and for \`MailraceConfig.layer\` of \`@mailrace/config\`. \`mailrace config init\`
makes one to start from, \`mailrace config check\` says in words what it does, or what is wrong at which line.
\`mailrace config schema\` prints the JSON Schema, from which these tables are made.

${tablesOf(schema)}
## SmtpTransport.layer

${optionsOf("packages/smtp/dist/SmtpOptions.d.ts", "Options")}
## MailTransport.layerTest

${optionsOf("packages/core/dist/TestMailbox.d.ts", "Options")}
## Mailer.sendAll

${optionsOf("packages/core/dist/Mailer.d.ts", "Options")}
## Outbox.run

${optionsOf("packages/outbox/dist/Dispatcher.d.ts", "Options")}
`
)
