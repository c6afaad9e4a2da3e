/**
 * Runs the packed packages outside of Node on Debian: on Bun, on Deno, and on a system whose `env` and shell are BusyBox's.
 *
 * On Bun and Deno a program on nodemailer sends over STARTTLS and implicit TLS, another goes through the SQLite outbox, and
 * the installed command runs. A missing runtime is named and skipped: npm has both for most machines, and root puts BusyBox
 * into place in a mount namespace.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const mails = Array.from(
  { length: 20 },
  (_, index) =>
    `${JSON.stringify({ from: "ann@example.org", to: `reader${index}@example.org`, subject: "Hi", text: "Hello" })}\n`
)

/** Two relays with TLS, on Node; prints where they are and whose certificates they show. */
const relays = `import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
  const upgraded = yield* TestServer.make({ tls: true, users: { ann: "secret" } })
  const implicit = yield* TestServer.make({ tls: { implicit: true } })
  const seen = ({ port, tls }, more) => ({ host: "localhost", port, tls: { ca: tls.ca }, ...more })
  console.log(JSON.stringify([
    seen(upgraded, { auth: { user: "ann", pass: "secret" } }),
    seen(implicit, { secure: true })
  ]))
  yield* Effect.never
})))
`

/** Sends over each of them with nodemailer. */
const plugin = `import { mailraceTransport } from "@mailrace/nodemailer/MailraceTransport"
import nodemailer from "nodemailer"
for (const relay of JSON.parse(process.argv[2])) {
  const transporter = nodemailer.createTransport(mailraceTransport(relay))
  const mail = { from: "ann@example.org", to: "bob@example.org", subject: "Hi", text: "Grüße" }
  const all = await Promise.all(Array.from({ length: 20 }, () => transporter.sendMail(mail)))
  await transporter.close()
  console.log("sent " + all.filter(({ accepted }) => accepted.length === 1).length)
}
`

/** Starts the relays with TLS and calls back with the options to reach them. */
const withRelays = async (project, use) => {
  const child = spawn(process.execPath, ["relays.mjs"], { cwd: project, stdio: ["ignore", "pipe", "inherit"] })
  try {
    const [line] = await Promise.race([
      once(child.stdout.setEncoding("utf8"), "data"),
      once(child, "close").then(() => Promise.reject(new Error("the relays with TLS ended")))
    ])
    await use(line.trim())
  } finally {
    child.kill("SIGKILL")
  }
}

const skip = (name, why) => process.stdout.write(`skipped: ${name}: ${why}\n`)

/** The programs of npm's packages of the same names; absent where npm has none for this machine. */
export const fetchRuntimes = (names = ["bun", "deno"]) => {
  const folder = mkdtempSync(join(tmpdir(), "mailrace-runtimes-"))
  writeFileSync(join(folder, "package.json"), "{}")
  const versions = { bun: "1.4.5", deno: "2.9.6" }
  const specifiers = names.map((name) => `${name}@${versions[name]}`)
  spawnSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", ...specifiers], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    timeout: 180_000
  })
  const find = (name) => {
    const bin = join(folder, "node_modules", ".bin", name)
    return existsSync(bin) && spawnSync(bin, ["--version"], { timeout: 30_000 }).status === 0 ? bin : undefined
  }
  return { bun: find("bun"), deno: find("deno"), remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/**
 * Runs all of them. `project` is a folder with the packages in its node_modules, `mailrace` the installed command, `url` a
 * relay, `runtimes` the fetched ones, `durable` the program in the project that sends one mail through an outbox, `expectEnd`
 * runs a program.
 */
export const onOtherSystems = async ({ durable, expectEnd, faults, mailrace, project, runtimes, url }) => {
  writeFileSync(join(project, "mails.ndjson"), mails.join(""))
  writeFileSync(join(project, "relays.mjs"), relays)
  writeFileSync(join(project, "plugin.mjs"), plugin)
  for (const [name, command, args] of [
    ["Bun", runtimes.bun, ["run"]],
    ["Deno", runtimes.deno, ["run", "--allow-all", "--node-modules-dir=manual"]]
  ]) {
    if (command === undefined) {
      skip(name, "npm has no package of it that runs here")
      continue
    }
    const folder = join(project, name)
    mkdirSync(folder)
    const expect = async (what, wanted, program, ...rest) => {
      const text = await expectEnd(`${what} on ${name}`, command, [...args, program, ...rest], { cwd: folder })
      if (!wanted.test(text)) faults.push(`${what} on ${name} did not deliver:\n${text}`)
    }
    await withRelays(project, (options) =>
      expect("nodemailer over TLS", /^sent 20\nsent 20$/m, join(project, "plugin.mjs"), options)
    )
    await expect("the outbox", /Accepted/, join(project, durable), url)
    const send = ["send", "--relay", url, "--input", join(project, "mails.ndjson")]
    await expect("the command", /accepted +20 /, mailrace, ...send)
    await expect("the durable command", /accepted +20 /, mailrace, ...send, "--durable", "outbox.db")
  }
  await onBusyBox({ expectEnd, faults, mailrace, project, url })
}

/** The command by its first line and from a script, where `env` and `sh` are BusyBox's. */
const onBusyBox = async ({ expectEnd, faults, mailrace, project, url }) => {
  const busybox = spawnSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).stdout.trim()
  if (busybox === "") return skip("BusyBox", "it is not installed")
  if (spawnSync("unshare", ["--mount", "true"]).status !== 0)
    return skip("BusyBox", "a mount namespace, in which it is env and sh, needs root")
  const inside = `
    set -e
    case $(env --help 2>&1) in *BusyBox*) ;; *) echo "env is not BusyBox's"; exit 1 ;; esac
    "$0" --version
    "$0" send --relay "$1" --input - <mails.ndjson
  `
  const outside = `
    mount --make-rprivate / && mount --bind "$2" "$(readlink -f /usr/bin/env)" && mount --bind "$2" "$(readlink -f /bin/sh)" &&
    exec /bin/sh -c "$3" "$0" "$1"
  `
  const text = await expectEnd(
    "the command on BusyBox",
    "unshare",
    ["--mount", "sh", "-c", outside, mailrace, url, busybox, inside],
    {
      cwd: project,
      env: { ...process.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` }
    }
  )
  if (!/accepted +20 /.test(text)) faults.push(`the command on BusyBox did not deliver:\n${text}`)
}
