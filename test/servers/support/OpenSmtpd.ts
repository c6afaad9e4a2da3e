/**
 * A private, real OpenSMTPD, which takes everything and delivers nothing. The test reads its queue, which holds each
 * message from the moment that it was answered 250.
 *
 * Its folders are fixed when it is built, so it runs where these names mean the test's own: in a mount namespace.
 * The queue holds lines with a line feed, so a bare line feed in a message cannot be told from CRLF here.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Mta from "./Mta.ts"

const smtpd = `${Mta.unpacked}/opensmtpd/usr/sbin/smtpd`

/** Starts an OpenSMTPD that ends with the scope. */
export const make: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(
  function* () {
    if (!Fs.existsSync(smtpd)) return yield* missing(`${smtpd} is not there`)
    if (process.getuid?.() !== 0) return yield* missing("only root may start it")
    yield* Mta.run("unshare", "--mount", "true").pipe(Effect.mapError(({ problem }) => missing(problem.trim())))

    const folder = yield* Mta.makeFolder("opensmtpd")
    const hostname = `${Path.basename(folder).toLowerCase()}.test`
    const config = Path.join(folder, "smtpd.conf")
    // Fails when a library or a user that it runs under is not there.
    Fs.writeFileSync(config, configuration(hostname, 1))
    yield* Mta.run(smtpd, "-n", "-f", config).pipe(Effect.mapError(({ problem }) => missing(problem.trim())))

    const spool = Path.join(folder, "spool")
    Fs.mkdirSync(spool, { mode: 0o711 })
    const logFile = Path.join(folder, "log")
    const port = yield* Mta.onFreePort((port) => {
      Fs.writeFileSync(config, configuration(hostname, port))
      const args = ["--mount", "sh", "-ec", withOwnFolders, smtpd, spool, config]
      return Mta.startDaemon({ program: "unshare", args, logFile, hostname, port })
    })
    return {
      name: "opensmtpd",
      hostname,
      host: "127.0.0.1",
      port,
      arrived: Effect.sync(() => readQueue(Path.join(spool, "queue"))),
      log: Effect.sync(() => Mta.readLog(logFile))
    }
  }
)

const missing = (reason: string) => new Mta.MtaMissing({ program: "opensmtpd", reason })

/** What it would deliver waits: its delivery agents are paused from the beginning. */
const withOwnFolders = `
mount -t tmpfs none /var/spool
mkdir /var/spool/smtpd
mount --bind "$1" /var/spool/smtpd
mount -t tmpfs none /var/lib
mkdir -p /var/lib/opensmtpd/empty
mount -t tmpfs none /run
exec "$0" -d -P mta -P mda -f "$2"
`

const configuration = (hostname: string, port: number): string => `
listen on 127.0.0.1 port ${port} hostname ${hostname}
smtp max-message-size 50M
action "out" relay host smtp://127.0.0.1:1
match from any for any action "out"
`

/** A folder for each message: `message`, and a file of lines `name: value` for each recipient. */
const readQueue = (queue: string): ReadonlyArray<Mta.Arrived> =>
  (Fs.existsSync(queue) ? Fs.readdirSync(queue) : [])
    .flatMap((group) => Fs.readdirSync(Path.join(queue, group)).map((id) => Path.join(queue, group, id)))
    .map((folder) => {
      const envelopes = Fs.readdirSync(folder)
        .filter((name) => name !== "message")
        .map((name) => Fs.readFileSync(Path.join(folder, name), "utf8"))
      const field = (envelope: string, name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(envelope)?.[1] ?? ""
      const from = field(envelopes[0] ?? "", "sender")
      const text = Fs.readFileSync(Path.join(folder, "message"), "latin1").replaceAll("\n", "\r\n")
      return {
        from: from === "@" ? "" : from,
        to: envelopes.map((envelope) => field(envelope, "rcpt")),
        ...Mta.splitReceived(Buffer.from(text, "latin1"))
      }
    })
