/**
 * A private, real Dovecot as a submission server: it takes mail after a login, and passes each transaction on to a server
 * inside the test while the client waits.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Capture from "./Capture.ts"
import * as Mta from "./Mta.ts"

const login = { username: "somebody", password: "secret" }

/** Starts a Dovecot that ends with the scope. */
export const make: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(
  function* () {
    const dovecot = Mta.findProgram("dovecot")
    if (dovecot === undefined) return yield* missing("it is not installed")
    if (!Fs.existsSync("/usr/lib/dovecot/submission")) return yield* missing("its submission service is not installed")
    if (process.getuid?.() !== 0) return yield* missing("only root may start it")

    const folder = yield* Mta.makeFolder("dovecot")
    const capture = yield* Capture.make
    const hostname = `${Path.basename(folder).toLowerCase()}.test`
    const config = Path.join(folder, "dovecot.conf")
    const logFile = Path.join(folder, "log")
    Fs.mkdirSync(Path.join(folder, "home"))
    yield* Mta.run("chown", "nobody", Path.join(folder, "home"))
    const port = yield* Mta.onFreePort((port) => {
      Fs.writeFileSync(config, configuration({ folder, hostname, port, relayPort: capture.port }))
      return Mta.startDaemon({ program: dovecot, args: ["-F", "-c", config], logFile, hostname, port })
    })
    return {
      name: "dovecot",
      hostname,
      host: "127.0.0.1",
      port,
      login,
      arrived: Effect.sync(() => [...capture.messages]),
      log: Effect.sync(() => Mta.readLog(logFile))
    }
  }
)

const missing = (reason: string) => new Mta.MtaMissing({ program: "dovecot", reason })

const configuration = (the: {
  readonly folder: string
  readonly hostname: string
  readonly port: number
  readonly relayPort: number
}): string => `
base_dir = ${the.folder}/run
state_dir = ${the.folder}/state
log_path = /dev/stderr
protocols = submission
hostname = ${the.hostname}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:${the.folder}/home/mail
recipient_delimiter =
submission_relay_host = 127.0.0.1
submission_relay_port = ${the.relayPort}
submission_max_mail_size = 50M
submission_max_recipients = 1000
first_valid_uid = 1
service submission-login {
  inet_listener submission {
    port = ${the.port}
  }
  inet_listener submissions {
    port = 0
  }
}
passdb {
  driver = static
  args = user=${login.username} password=${login.password}
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${the.folder}/home
}
`
