/**
 * The program of `mailrace preflight`: asks the DNS about the sender's domain, looks at the messages, and sends nothing.
 */
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as Preflight from "@mailrace/preflight/Preflight"
import * as Probe from "@mailrace/smtp/Probe"
import * as Effect from "effect/Effect"
import * as Dns from "effect/net/Dns"
import * as Stream from "effect/Stream"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import { Composer } from "mailrace/Composer"
import * as Dkim from "mailrace/Dkim"
import * as MailError from "mailrace/MailError"
import * as Redacted from "effect/Redacted"
import { isIP } from "node:net"
import { domainToASCII } from "node:url"
import { CommandError, ExitStatus } from "../CommandError.ts"
import { BadLines } from "../input/BadLines.ts"
import { describeInvalid, placeOf, sourceOf } from "../input/Entry.ts"
import * as Input from "../input/Input.ts"
import * as BoundedText from "../internal/boundedText.ts"
import { readText } from "../internal/files.ts"
import * as FindingsView from "../output/FindingsView.ts"
import * as Printable from "../text/printable.ts"
import * as Terminal from "../output/Terminal.ts"
import { MessageFindings, withFlags } from "../results/MessageFindings.ts"
import * as Remedy from "../Remedy.ts"
import * as NameServers from "../sending/NameServers.ts"
import * as Relay from "../sending/Relay.ts"
import * as Signing from "../sending/Signing.ts"

/** The options of the check. */
export interface Options extends Omit<Input.Options, "input">, Relay.Options {
  readonly domain?: string | undefined
  readonly input?: string | undefined
  readonly selector: ReadonlyArray<string>
  /** A file with the private key of the first selector, as PEM. */
  readonly dkimKey?: string | undefined
  /** The domain that signs. Defaults to `domain`. */
  readonly dkimDomain?: string | undefined
  readonly sendingAddress?: string | undefined
  readonly ehlo?: string | undefined
  readonly transactional: boolean
  readonly onBadLine?: "skip" | "abort" | undefined
  readonly nameServer: ReadonlyArray<string>
  readonly json: boolean
}

/** Checks domain and messages. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const { input, sendingAddress, transactional } = options
  yield* NameServers.check(options.nameServer)
  if (sendingAddress !== undefined && isIP(sendingAddress) === 0) {
    return yield* new CommandError({
      problem: `--sending-address: "${sendingAddress}" is not an IP address`,
      remedy: "write it as 192.0.2.25"
    })
  }
  const domain = yield* domainOf(options)
  const key = yield* keyOf(options, domain)
  const signer = options.dkimDomain ?? domain
  const relay = options.relay === undefined ? undefined : yield* askRelay(options)
  const dns = NodeDns.make({ nameServers: options.nameServer, timeout: "2 seconds", tries: 2 })
  const report = yield* Effect.scoped(
    Effect.provideServiceEffect(
      Preflight.checkDomain({
        domain,
        selectors: options.selector.map((selector, index) => ({
          selector,
          domain: signer,
          publicKey: index === 0 ? key?.keys[0]?.publicKey : undefined
        })),
        sendingAddress,
        ehloName: options.ehlo,
        relay,
        fetch
      }),
      Dns.Dns,
      Effect.orDie(dns)
    )
  )
  const messages = new MessageFindings({
    strictness: report.strictness,
    kind: transactional ? "transactional" : "bulk"
  })
  const isWhole = input === undefined || (yield* checkMessages({ ...options, input }, domain, messages))
  const findings = [...report.findings.map(withFlags), ...messages.all]
  const isBroken = findings.some(({ verdict }) => verdict === "problem")
  yield* Terminal.print(
    options.json
      ? `${Printable.json({ domain, ok: !isBroken, messages: messages.checked, findings }, 2)}\n`
      : `${domain}\n\n${FindingsView.render(findings, messages.checked, yield* Terminal.style)}`
  )
  if (isBroken || !isWhole) return yield* new ExitStatus({ status: 1 })
})

/** The domain that is named, else that of the first message. */
const domainOf = Effect.fnUntraced(function* (options: Options) {
  const { input } = options
  if (options.domain !== undefined) {
    const domain = domainToASCII(options.domain.replace(/\.$/, ""))
    if (/^(?=.{1,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(domain)) return domain
    return yield* new CommandError({
      problem: `--domain: "${options.domain}" is not a domain`,
      remedy: "write it as example.org"
    })
  }
  if (input === undefined || input === "-") {
    return yield* new CommandError({
      problem: "the domain is not known before standard input is read",
      remedy: "name it with --domain"
    })
  }
  const compose = Signing.composeWith(yield* Composer)
  const opened = yield* Input.open({ ...options, input })
  const first = yield* opened.entries.pipe(
    Stream.filter((entry) => entry._tag === "MailEntry"),
    Stream.take(1),
    Stream.mapEffect((entry) => Effect.option(compose(sourceOf(entry)))),
    Stream.runCollect,
    Effect.provideService(AttachmentsFrom, opened.attachmentsFrom)
  )
  for (const message of first) {
    if (message._tag === "None") continue
    const findings = yield* Effect.orElseSucceed(Preflight.checkMessage(message.value), () => [])
    const from = findings.find(({ rule }) => rule === "from")
    if (from !== undefined) return from.subject
  }
  return yield* new CommandError({
    problem: "the first message has no sender whose domain could be checked",
    remedy: "name the domain with --domain"
  })
})

const keyOf = Effect.fnUntraced(function* ({ dkimDomain, dkimKey, selector }: Options, domain: string) {
  const [first] = selector
  if (dkimKey === undefined) return undefined
  if (first === undefined) {
    return yield* new CommandError({
      problem: "the key's record cannot be found without its selector",
      remedy: "name the selector with --selector"
    })
  }
  const privateKey = Redacted.make(yield* readText(dkimKey), { label: "DKIM key" })
  return yield* Effect.mapError(
    Dkim.make({ domain: dkimDomain ?? domain, selector: first, privateKey }),
    ({ problem, remedy }) => new CommandError({ problem: `${dkimKey}: ${problem}`, remedy })
  )
})

/** True if the relay encrypts; `undefined`, and a line in the log, if that cannot be found out. */
const askRelay = Effect.fnUntraced(function* (options: Options) {
  const relay = yield* Relay.resolve(options)
  const report = yield* Effect.mapError(
    Probe.run({ ...relay, connectsOnly: true }),
    ({ message, remedy }) => new CommandError({ problem: message, remedy: Remedy.inFlags(remedy) })
  )
  if (report.ok) return { name: report.target, isEncrypted: report.tls !== null }
  const { cause, phase } = report.diagnosis
  yield* Terminal.log(`the relay was not reached: ${phase}: ${Printable.line(cause)}; see mailrace probe`)
  return undefined
})

/** Composes the input's messages and looks at them. Gives back whether all could be composed. */
const checkMessages = Effect.fnUntraced(function* (
  options: Options & { readonly input: string },
  domain: string,
  messages: MessageFindings
) {
  const log = yield* Terminal.logger
  const { dkimKey, selector } = options
  const sign =
    dkimKey === undefined
      ? undefined
      : yield* Signing.resolve({ dkimDomain: options.dkimDomain ?? domain, dkimSelector: selector[0], dkimKey })
  const compose = sign ?? Signing.composeWith(yield* Composer)
  const badLines = new BadLines({ onBadLine: options.onBadLine, log, word: "bad" })
  const input = yield* Input.open({ ...options, onWarning: () => {} })
  let read = 0
  let bad = 0
  yield* input.entries.pipe(
    Stream.takeUntil(() => messages.isFull),
    Stream.runForEach((entry) => {
      const index = read++
      if (entry._tag === "DroppedEntry") return Effect.void
      if (entry._tag === "BadEntry") {
        bad++
        return badLines.entry(entry, index)
      }
      return Effect.catchIf(
        Effect.flatMap(compose(sourceOf(entry)), (message) => messages.check(message, placeOf(entry))),
        MailError.isMailError,
        (error) => {
          bad++
          return badLines.message(describeInvalid(entry, error))
        }
      )
    }),
    Effect.provideService(AttachmentsFrom, input.attachmentsFrom)
  )
  return bad === 0
})

/** Reads a policy. A redirect is refused (RFC 8461 §3.3), and so is more than a policy needs. */
const fetch = (url: string): Effect.Effect<string, string> =>
  Effect.tryPromise({
    try: async (signal) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(10_000)])
      const response = await globalThis.fetch(url, { redirect: "error", signal: limit })
      if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
      return await BoundedText.read(response, 65_536)
    },
    catch: (error) => {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined
      return cause ?? MailError.describeThrown(error)
    }
  })
