/**
 * A private, real Exim.
 *
 * It only queues. The test reads Exim's own spool, which holds each message from the moment Exim answered 250 to it:
 * nothing has to be waited for, and what is compared is exactly what Exim took. Exim keeps lines with a bare line
 * feed, so a bare line feed in a message cannot be told from CRLF here (nor after a delivery by Exim).
 *
 * Rules: senders `refused…@` get 550 to MAIL; recipients `bad…@` get 550 and `later…@` get 450 to RCPT.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Mta from "./Mta.ts"

/** Debian does not install Exim where Postfix is. */
const unpacked = `${Mta.unpacked}/exim/usr/sbin/exim4`

/** How an Exim is set up. */
export interface Options extends Mta.Options {
  /** The one login it knows, by PLAIN, LOGIN or CRAM-MD5. Offers no AUTH when left out. */
  readonly login?: { readonly username: string; readonly password: string } | undefined
}

/** Starts an Exim that ends with the scope. `MAILRACE_EXIM` names the program where it is not in a usual place. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<Mta.Mta, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> {
  const exim = process.env.MAILRACE_EXIM ?? Mta.findProgram("exim4", "exim") ?? unpacked
  if (!Fs.existsSync(exim)) return yield* missing(`${exim} is not there`)
  if (process.getuid?.() !== 0) return yield* missing("only root may start it")
  // Fails when a library or the user that it was built for is not there.
  yield* Mta.run(exim, "-C", "/dev/null", "-bV").pipe(Effect.mapError((error) => missing(error.problem.trim())))

  const folder = yield* Mta.makeFolder("exim")
  const certificate = yield* Mta.makeCertificate(folder)
  const hostname = `${Path.basename(folder).toLowerCase()}.test`
  const config = Path.join(folder, "exim.conf")
  const logFile = Path.join(folder, "log")

  const port = yield* Mta.onFreePort((port) => {
    Fs.writeFileSync(config, configuration({ folder, hostname, port, certificate, options }))
    return Mta.startDaemon({ program: exim, args: ["-C", config, "-bdf"], logFile, hostname, port })
  })

  return {
    name: "exim",
    hostname,
    host: "127.0.0.1",
    port,
    certificate: certificate.pem,
    arrived: Effect.sync(() => readSpool(Path.join(folder, "spool", "input"))),
    log: Effect.sync(() => Mta.readLog(logFile) + Mta.readLog(Path.join(folder, "spool", "log", "mainlog")))
  }
})

const missing = (reason: string) => new Mta.MtaMissing({ program: "exim", reason })

const configuration = (the: {
  readonly folder: string
  readonly hostname: string
  readonly port: number
  readonly certificate: { readonly cert: string; readonly key: string }
  readonly options: Options
}): string => {
  const settings = {
    spool_directory: `${the.folder}/spool`,
    log_file_path: `${the.folder}/spool/log/%slog`,
    primary_hostname: the.hostname,
    local_interfaces: "127.0.0.1",
    daemon_smtp_ports: String(the.port),
    daemon_startup_retries: "0",
    queue_only: "true",
    message_size_limit: String(the.options.messageSizeLimit ?? 50_000_000),
    chunking_advertise_hosts: "*",
    smtputf8_advertise_hosts: "*",
    tls_advertise_hosts: "*",
    tls_certificate: the.certificate.cert,
    tls_privatekey: the.certificate.key,
    tls_resumption_hosts: "*",
    // The default takes 20 connections, and 1,000 messages on each.
    smtp_accept_max: "500",
    smtp_accept_max_per_connection: "0",
    // The defaults look users and names up.
    host_lookup: "",
    rfc1413_query_timeout: "0s",
    keep_environment: "",
    return_path_remove: "false",
    envelope_to_remove: "false",
    delivery_date_remove: "false",
    acl_smtp_mail: "check_sender",
    acl_smtp_rcpt: "check_recipient",
    acl_smtp_data: "accept",
    ...the.options.settings
  }
  const main = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  return `${main.join("")}${rules}${the.options.login ? authenticators(the.options.login) : ""}`
}

const rules = `
begin acl
check_sender:
  deny senders = \\N^refused\\N
       message = 550 5.7.1 sender refused by rule
  accept
check_recipient:
  deny local_parts = \\N^bad\\N
       message = 550 5.1.1 no such user by rule
  defer local_parts = \\N^later\\N
       message = 450 4.2.1 try again later by rule
  accept
`

const authenticators = (login: { readonly username: string; readonly password: string }): string => {
  const [username, password] = [quote(login.username), quote(login.password)]
  const check = (user: string, secret: string) => `\${if and{{eq{${user}}{${username}}}{eq{${secret}}{${password}}}}}`
  return `
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${check("$auth2", "$auth3")}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${check("$auth1", "$auth2")}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${if eq{$auth1}{${username}}{${password}}fail}
  server_set_id = $auth1
`
}

/** Keeps Exim from expanding what stands in a name or password. */
const quote = (text: string): string => text.replace(/[\\${}]/g, "\\$&")

/** Reads a spool: `ID-H` holds envelope and header, `ID-D` the body (Exim's specification, "Format of spool files"). */
const readSpool = (folder: string): ReadonlyArray<Mta.Arrived> =>
  (Fs.existsSync(folder) ? Fs.readdirSync(folder) : [])
    .filter((name) => name.endsWith("-H"))
    .map((name) => {
      const head = Fs.readFileSync(Path.join(folder, name), "latin1")
      const body = Fs.readFileSync(Path.join(folder, name.replace(/-H$/, "-D")), "latin1")
      const { fields, from, to } = parseHead(head)
      const message = `${fields}\n${body.slice(body.indexOf("\n") + 1)}`
      return { from, to, ...Mta.splitReceived(Buffer.from(message.replaceAll("\n", "\r\n"), "latin1")) }
    })

/**
 * Lines: the file's name, the user, `<sender>`, the times, flags that begin with a dash, the tree of those already
 * served (`XX`: none), the number of recipients, the recipients, an empty line. Then each header field after its
 * length and a letter: `042T To: …`.
 */
const parseHead = (head: string) => {
  const lines = head.split("\n")
  const tree = lines.indexOf("XX")
  const count = Number(lines[tree + 1])
  const to = lines.slice(tree + 2, tree + 2 + count)
  let rest = lines.slice(tree + 3 + count).join("\n")
  let fields = ""
  for (let match = /^(\d{3,})(.) /.exec(rest); match; match = /^(\d{3,})(.) /.exec(rest)) {
    const begin = match[0].length
    const end = begin + Number(match[1])
    // A star marks a field that Exim itself replaced.
    if (match[2] !== "*") fields += rest.slice(begin, end)
    rest = rest.slice(end)
  }
  const utf8 = (text: string) => Buffer.from(text, "latin1").toString("utf8")
  return { fields, from: utf8((lines[2] ?? "").slice(1, -1)), to: to.map(utf8) }
}
