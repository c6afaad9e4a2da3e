/**
 * A real server out of Python's aiosmtpd, which much test equipment is made of. It takes everything, and offers neither
 * PIPELINING nor CHUNKING.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Dropped from "./Dropped.ts"
import * as Mta from "./Mta.ts"

const program = fileURLToPath(new URL("aiosmtpdServer.py", import.meta.url))

const env = { PYTHONPATH: `${Mta.unpacked}/aiosmtpd/usr/lib/python3/dist-packages` }

/** Debian's own Python, which has what aiosmtpd needs; another one may be first in PATH. */
const python = "/usr/bin/python3"

/** Starts a server that ends with the scope. */
export const make: Effect.Effect<Mta.RealServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(
  function* () {
    if (!Fs.existsSync(python)) return yield* missing(`${python} is not there`)
    yield* Mta.run("env", `PYTHONPATH=${env.PYTHONPATH}`, python, "-c", "import aiosmtpd.smtp").pipe(
      Effect.mapError(() => missing("the module aiosmtpd is not installed"))
    )
    const folder = yield* Mta.makeFolder("aiosmtpd")
    const hostname = `${Path.basename(folder).toLowerCase()}.test`
    const logFile = Path.join(folder, "log")
    const mails = Path.join(folder, "mails")
    Fs.mkdirSync(mails)
    const port = yield* Mta.onFreePort((port) =>
      Mta.startDaemon({ program: python, args: [program, `${port}`, hostname, mails], logFile, hostname, port, env })
    )
    return {
      name: "aiosmtpd",
      hostname,
      host: "127.0.0.1",
      port,
      arrived: Effect.sync(() => Dropped.read(mails, Dropped.untouched)),
      log: Effect.sync(() => Mta.readLog(logFile))
    }
  }
)

const missing = (reason: string) => new Mta.MtaMissing({ program: "aiosmtpd", reason })
