/**
 * A real server out of Perl's Net::Server::Mail, which many small filters and gateways are made of. It takes everything.
 *
 * It looks for the end of a message at the end of what it has read, so whatever a client writes behind that end becomes
 * part of the message as well.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Dropped from "./Dropped.ts"
import * as Mta from "./Mta.ts"

const program = fileURLToPath(new URL("netServerMailServer.pl", import.meta.url))

const library = `${Mta.unpacked}/net-server-mail/usr/share/perl5`

/** Starts a server that ends with the scope. */
export const make: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(
  function* () {
    const perl = Mta.findProgram("perl")
    if (perl === undefined) return yield* missing("perl is not installed")
    yield* Mta.run(perl, `-I${library}`, "-MNet::Server::Mail::ESMTP", "-e", "1").pipe(
      Effect.mapError(() => missing("the module Net::Server::Mail is not installed"))
    )
    const folder = yield* Mta.makeFolder("net-server-mail")
    const hostname = `${Path.basename(folder).toLowerCase()}.test`
    const logFile = Path.join(folder, "log")
    const mails = Path.join(folder, "mails")
    Fs.mkdirSync(mails)
    const port = yield* Mta.onFreePort((port) =>
      Mta.startDaemon({
        program: perl,
        args: [`-I${library}`, program, `${port}`, hostname, mails],
        logFile,
        hostname,
        port
      })
    )
    return {
      name: "net-server-mail",
      hostname,
      host: "127.0.0.1",
      port,
      arrived: Effect.sync(() => Dropped.read(mails, Dropped.untouched)),
      log: Effect.sync(() => Mta.readLog(logFile))
    }
  }
)

const missing = (reason: string) => new Mta.MtaMissing({ program: "net-server-mail", reason })
