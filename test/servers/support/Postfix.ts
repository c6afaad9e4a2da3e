/**
 * A private, real Postfix.
 *
 * It relays whatever it takes to a server inside the test (npm's smtp-server, which shares no code with Mailrace), so
 * the test sees each message after Postfix queued it and sent it on, with the envelope that Postfix understood.
 *
 * Rules: senders `refused…@` get 550 to MAIL; recipients `bad…@` get 550 and `later…@` get 450 to RCPT.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Capture from "./Capture.ts"
import * as Mta from "./Mta.ts"

/** Starts a Postfix that ends with the scope. */
export const make = Effect.fnUntraced(function* (
  options: Mta.Options = {}
): Effect.fn.Return<Mta.Mta, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> {
  const postfix = Mta.findProgram("postfix")
  const postconf = Mta.findProgram("postconf")
  if (postfix === undefined || postconf === undefined) return yield* missing("it is not installed")
  if (process.getuid?.() !== 0) return yield* missing("only root may start it")

  const folder = yield* Mta.makeFolder("postfix")
  const certificate = yield* Mta.makeCertificate(folder)
  const capture = yield* Capture.make
  const hostname = `${Path.basename(folder).toLowerCase()}.test`
  const [daemons = "", owner = ""] = (yield* Mta.run(postconf, "-dh", "daemon_directory", "mail_owner")).split("\n")
  const queue = Path.join(folder, "queue")
  const logFile = Path.join(folder, "log")
  Fs.mkdirSync(queue)
  Fs.mkdirSync(Path.join(folder, "data"))
  yield* Mta.run("chown", owner, Path.join(folder, "data"))
  Fs.writeFileSync(Path.join(folder, "senders"), "/^refused/ 550 5.7.1 sender refused by rule\n")
  Fs.writeFileSync(
    Path.join(folder, "recipients"),
    "/^bad/ 550 5.1.1 no such user by rule\n/^later/ 450 4.2.1 try again later by rule\n"
  )

  const start = Effect.fnUntraced(function* (port: number) {
    const config = Path.join(folder, "main.cf")
    Fs.writeFileSync(config, mainCf({ folder, hostname, certificate, capture, options }))
    // Postfix waits until its configuration is two seconds old, lest it read half of it.
    const past = new Date(Date.now() - 60_000)
    Fs.utimesSync(config, past, past)
    Fs.writeFileSync(Path.join(folder, "master.cf"), masterCf(port))
    // Makes the queue's folders. Postfix opens its log by name, which works for a file and not for a pipe.
    yield* Mta.run("sh", "-c", `"$0" -c "$1" check >>"$1/log" 2>&1`, postfix, folder).pipe(
      Effect.mapError(() => failed(`its check failed\n${Mta.readLog(logFile)}`))
    )
    const args = ["-c", folder, "-s"]
    yield* Mta.startDaemon({ program: Path.join(daemons, "master"), args, logFile, hostname, port })
  })
  const port = yield* Mta.onFreePort(start)

  return {
    name: "postfix",
    hostname,
    host: "127.0.0.1",
    port,
    certificate: certificate.pem,
    arrived: Effect.suspend(() =>
      isIdle(queue) ? Effect.succeed([...capture.messages]) : Effect.fail(failed(`mail is still under way in ${queue}`))
    ).pipe(Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 1_500 })),
    log: Effect.sync(() => Mta.readLog(logFile))
  }
})

const missing = (reason: string) => new Mta.MtaMissing({ program: "postfix", reason })

const failed = (problem: string) => new Mta.MtaFailed({ program: "postfix", problem })

/** Messages move from left to right, so reading in this order misses none. */
const isIdle = (queue: string): boolean =>
  ["incoming", "active", "deferred"].every((name) =>
    Fs.readdirSync(Path.join(queue, name), { withFileTypes: true, recursive: true }).every((entry) => !entry.isFile())
  )

/** Everything that would alter a message or an address on its way is off; so is everything that slows a burst. */
const mainCf = (the: {
  readonly folder: string
  readonly hostname: string
  readonly certificate: { readonly cert: string; readonly key: string }
  readonly capture: Capture.Capture
  readonly options: Mta.Options
}): string => {
  const settings = {
    compatibility_level: "3.6",
    queue_directory: `${the.folder}/queue`,
    data_directory: `${the.folder}/data`,
    maillog_file: "/dev/stdout",
    myhostname: the.hostname,
    mydestination: "",
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    mynetworks: "127.0.0.0/8",
    relayhost: `[127.0.0.1]:${the.capture.port}`,
    message_size_limit: String(the.options.messageSizeLimit ?? 50_000_000),
    mailbox_size_limit: "0",
    // The defaults look users and names up.
    alias_maps: "",
    alias_database: "",
    local_recipient_maps: "",
    smtpd_reject_unlisted_recipient: "no",
    smtpd_peername_lookup: "no",
    smtp_dns_support_level: "disabled",
    // Without the delay a refused sender is refused at MAIL and not at the first RCPT.
    smtpd_delay_reject: "no",
    smtpd_sender_restrictions: `check_sender_access regexp:${the.folder}/senders`,
    smtpd_recipient_restrictions: `check_recipient_access regexp:${the.folder}/recipients`,
    smtpd_relay_restrictions: "permit_mynetworks, reject",
    smtpd_tls_security_level: "may",
    smtpd_tls_cert_file: the.certificate.cert,
    smtpd_tls_key_file: the.certificate.key,
    // Bytes and addresses stay as they came.
    local_header_rewrite_clients: "",
    message_drop_headers: "",
    smtp_line_length_limit: "0",
    append_dot_mydomain: "no",
    allow_percent_hack: "no",
    swap_bangpath: "no",
    smtp_destination_recipient_limit: "0",
    // No brakes.
    default_process_limit: "300",
    in_flow_delay: "0s",
    smtpd_error_sleep_time: "0s",
    smtpd_client_connection_count_limit: "0",
    smtpd_client_connection_rate_limit: "0",
    smtpd_client_message_rate_limit: "0",
    smtpd_client_recipient_rate_limit: "0",
    ...the.options.settings
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join("")
}

const masterCf = (port: number): string =>
  `
127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
