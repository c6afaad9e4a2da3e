/**
 * A real Haraka, which takes everything. It answers 503 to each command that it reads before it has replied to the end of
 * a message.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Dropped from "./Dropped.ts"
import * as Mta from "./Mta.ts"

const haraka = `${Mta.unpacked}/haraka/node_modules/Haraka`

/** Starts a Haraka that ends with the scope. */
export const make: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(
  function* () {
    if (!Fs.existsSync(haraka)) return yield* missing(`${haraka} is not there`)
    const folder = yield* Mta.makeFolder("haraka")
    const hostname = `${Path.basename(folder).toLowerCase()}.test`
    const logFile = Path.join(folder, "log")
    const mails = Path.join(folder, "mails")
    for (const name of ["config", "plugins", "queue", "mails"]) Fs.mkdirSync(Path.join(folder, name))
    const write = (name: string, text: string) => Fs.writeFileSync(Path.join(folder, name), `${text}\n`)
    // A line longer than that is broken in two, which a test would see.
    write(
      "config/connection.ini",
      "[max]\nbytes=50000000\ndata_line_length=2000\n[message]\n[uuid]\n[headers]\n[haproxy]\n[main]"
    )
    write("config/me", hostname)
    write("config/plugins", "drop")
    write("config/loglevel", "NOTICE")
    write("config/http.ini", "listen=")
    write("plugins/drop.js", plugin(mails))
    const port = yield* Mta.onFreePort((port) => {
      write("config/smtp.ini", `listen=127.0.0.1:${port}\nnodes=0`)
      const args = [Path.join(haraka, "bin/haraka"), "-c", folder]
      return Mta.startDaemon({ program: process.execPath, args, logFile, hostname, port })
    })
    return {
      name: "haraka",
      hostname,
      host: "127.0.0.1",
      port,
      arrived: Effect.sync(() => Dropped.read(mails, Mta.splitReceived)),
      log: Effect.sync(() => Mta.readLog(logFile))
    }
  }
)

const missing = (reason: string) => new Mta.MtaMissing({ program: "haraka", reason })

/** Haraka's own reader of a message gives its bytes back; the rest is Node. */
const plugin = (folder: string): string => `
const fs = require("node:fs")
exports.hook_rcpt = (next) => next(OK)
exports.hook_queue = (next, connection) => {
  const { mail_from, message_stream, rcpt_to, uuid } = connection.transaction
  const name = ${JSON.stringify(folder)} + "/" + uuid
  const envelope = [mail_from, ...rcpt_to].map((path) => path.address)
  message_stream.get_data((message) => {
    fs.writeFileSync(name + ".message", message)
    fs.writeFileSync(name + ".part", envelope.join("\\n") + "\\n")
    fs.renameSync(name + ".part", name + ".envelope")
    next(OK)
  })
}
`
