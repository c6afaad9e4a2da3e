/**
 * A private, real Sendmail, which takes everything and only queues. The test reads its queue, which holds each message
 * from the moment that it was answered 250.
 *
 * It waits a minute when the machine's name has no dot, so it runs where the name has one: in a UTS namespace. The queue
 * holds lines with a line feed, so a bare line feed in a message cannot be told from CRLF here.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Mta from "./Mta.ts"

const prefix = `${Mta.unpacked}/sendmail/usr`

const sendmail = `${prefix}/libexec/sendmail/sendmail`

/** Starts a Sendmail that ends with the scope. */
export const make: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(
  function* () {
    if (!Fs.existsSync(sendmail)) return yield* missing(`${sendmail} is not there`)
    if (process.getuid?.() !== 0) return yield* missing("only root may start it")
    yield* Mta.run("unshare", "--uts", "true").pipe(Effect.mapError(({ problem }) => missing(problem.trim())))

    const folder = yield* Mta.makeFolder("sendmail")
    const hostname = `${Path.basename(folder).toLowerCase()}.test`
    const queue = Path.join(folder, "queue")
    Fs.mkdirSync(queue, { mode: 0o700 })
    Fs.writeFileSync(Path.join(folder, "switch"), "hosts files\naliases files\n")
    const [source, config] = [Path.join(folder, "sendmail.mc"), Path.join(folder, "sendmail.cf")]
    const logFile = Path.join(folder, "log")
    const start = Effect.fnUntraced(function* (port: number) {
      Fs.writeFileSync(source, configuration(folder, hostname, port))
      const macros = `${prefix}/share/sendmail/cf/`
      // Its macros are written in m4, and fail here when a library of the program is not there.
      const text = yield* Mta.run("m4", `-D_CF_DIR_=${macros}`, `${macros}m4/cf.m4`, source).pipe(
        Effect.mapError(({ problem }) => missing(problem.trim()))
      )
      Fs.writeFileSync(config, text)
      const args = ["--uts", "sh", "-ec", 'hostname "$1"; exec "$0" -bD -C "$2"', sendmail, hostname, config]
      yield* Mta.startDaemon({ program: "unshare", args, logFile, hostname, port })
    })
    const port = yield* Mta.onFreePort(start)
    return {
      name: "sendmail",
      hostname,
      host: "127.0.0.1",
      port,
      arrived: Effect.sync(() => readQueue(queue)),
      log: Effect.sync(() => Mta.readLog(logFile))
    }
  }
)

const missing = (reason: string) => new Mta.MtaMissing({ program: "sendmail", reason })

const configuration = (folder: string, hostname: string, port: number): string => {
  const settings = {
    confDOMAIN_NAME: hostname,
    QUEUE_DIR: `${folder}/queue`,
    STATUS_FILE: `${folder}/status`,
    confPID_FILE: `${folder}/pid`,
    confDELIVERY_MODE: "queueonly",
    confMAX_MESSAGE_SIZE: "50000000",
    confSERVICE_SWITCH_FILE: `${folder}/switch`,
    confDONT_BLAME_SENDMAIL: "GroupWritableDirPathSafe",
    // No brakes, on a busy machine either.
    confTO_IDENT: "0",
    confQUEUE_LA: "10000",
    confREFUSE_LA: "10000",
    SMART_HOST: "[127.0.0.1]"
  }
  const features = [
    "no_default_msa",
    "promiscuous_relay",
    "accept_unresolvable_domains",
    "accept_unqualified_senders",
    "nocanonify"
  ]
  return [
    "OSTYPE(`linux')",
    ...Object.entries(settings).map(([name, value]) => `define(\`${name}', \`${value}')`),
    "undefine(`ALIAS_FILE')",
    ...features.map((feature) => `FEATURE(\`${feature}')`),
    `DAEMON_OPTIONS(\`Name=MTA, Addr=127.0.0.1, Port=${port}, Family=inet')`,
    "MAILER(`smtp')",
    ""
  ].join("\n")
}

/**
 * `qfID` holds envelope and header, `dfID` the body (Sendmail's operations guide, appendix B): `S<sender>`,
 * `Rflags:<recipient>`, `H?flags?field`, whose further lines begin with white space, and a dot at the end. What
 * Sendmail would only write at a delivery has flags.
 */
const readQueue = (folder: string): ReadonlyArray<Mta.Arrived> =>
  Fs.readdirSync(folder)
    .filter((name) => name.startsWith("qf"))
    .map((name) => {
      const head = Fs.readFileSync(Path.join(folder, name), "latin1")
      const body = Fs.readFileSync(Path.join(folder, name.replace("qf", "df")), "latin1")
      const fields = [...head.matchAll(/^H\?\?(.*\n(?:[ \t].*\n)*)/gm)].map(([, field]) => field!)
      const message = `${fields.join("")}\n${body}`
      return {
        from: /^S<(.*)>$/m.exec(head)?.[1] ?? "",
        to: [...head.matchAll(/^R\w*:<(.*)>$/gm)].map(([, recipient]) => recipient!),
        ...Mta.splitReceived(Buffer.from(message.replaceAll("\n", "\r\n"), "latin1"))
      }
    })
