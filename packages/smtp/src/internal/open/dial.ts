/**
 * From a host's name to an open TCP connection, the first step of `SmtpOpening`; `handshake.ts` is the next.
 *
 * `NameQuestions` says what to ask the resolver, `AddressRace` which address to try (RFC 8305). Here they meet the resolver, the sockets and the
 * time.
 */
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import { SmtpConnection } from "../connection/smtpConnection.ts"
import type { RelayMemory } from "../../RelayMemory.ts"
import type { Settings } from "../../SmtpOptions.ts"
import type { TranscriptRecorder } from "../transcript/recorder.ts"
import { type Address, AddressRace } from "./addressRace.ts"
import * as DialError from "./dialError.ts"
import type { Answer } from "./nameLookup.ts"
import { type Family, NameQuestions } from "./nameQuestions.ts"
import { step } from "./step.ts"

/** Facts about the relay's names and addresses, kept for its next connections. */
export type Memory = Pick<RelayMemory, "addresses" | "names">

/** Resolves the name and connects to the first of its addresses that answers. */
export const dial = (
  settings: Settings,
  memory: Memory,
  recorder: TranscriptRecorder | undefined
): Effect.Effect<SmtpConnection, MailError.MailError> =>
  Effect.suspend(() => {
    const dialling = new Dialling(settings, memory, recorder)
    return Effect.andThen(
      dialling.resolved.pipe(step(settings.relay, "dns")),
      dialling.connected.pipe(
        Effect.tap(({ peer }) => Effect.annotateCurrentSpan("network.peer.address", peer)),
        step(settings.relay, "tcp")
      )
    ).pipe(
      Effect.map(({ connection }) => connection),
      Effect.onExit((exit) => (exit._tag === "Success" ? Effect.void : Effect.sync(dialling.abandon)))
    )
  })

interface Connected {
  readonly connection: SmtpConnection
  /** The address of the relay. */
  readonly peer: string
}

/** One connection on its way. */
class Dialling {
  private readonly settings: Settings
  private readonly memory: Memory
  private readonly recorder: TranscriptRecorder | undefined
  private readonly questions: NameQuestions
  private readonly race: AddressRace<DialError.Problem>
  private readonly attempts = new Map<string, () => void>()
  private readonly listening: Array<() => void> = []
  /** Addresses that cannot be reached from the local address, because they are of the other family. */
  private readonly otherFamily = new Set<string>()
  private timer: NodeJS.Timeout | undefined
  private outcome: Effect.Effect<Connected, MailError.MailError> | undefined
  private won: SmtpConnection | undefined
  private onChange = (): void => {}

  constructor(settings: Settings, memory: Memory, recorder: TranscriptRecorder | undefined) {
    this.settings = settings
    this.memory = memory
    this.recorder = recorder
    this.questions = new NameQuestions(performance.now(), settings.timeouts.dns)
    this.race = new AddressRace(memory.addresses)
  }

  /** Succeeds with the first addresses. */
  readonly resolved: Effect.Effect<void, MailError.MailError> = Effect.callback((resume) => {
    this.onChange = () => {
      if (this.race.size > 0) resume(Effect.void)
      else if (this.outcome !== undefined) resume(Effect.asVoid(this.outcome))
    }
    const { host } = this.settings
    const family = Net.isIP(host)
    if (family === 0) {
      this.react()
    } else {
      this.questions.answered(0)
      this.found([{ address: host, family: family as 4 | 6 }])
    }
  })

  /** Succeeds with the first connection. */
  readonly connected: Effect.Effect<Connected, MailError.MailError> = Effect.callback((resume) => {
    this.onChange = () => {
      if (this.outcome !== undefined) resume(this.outcome)
    }
    this.onChange()
  })

  /** Ends everything, including a connection that was not handed over yet. */
  readonly abandon = (): void => {
    this.stop()
    this.won?.destroy()
  }

  private readonly stop = (): void => {
    clearTimeout(this.timer)
    for (const stopListening of this.listening.splice(0)) stopListening()
    for (const abort of this.attempts.values()) abort()
    this.attempts.clear()
  }

  /** Takes every step that is due. Called after each change. */
  private readonly react = (): void => {
    if (this.outcome !== undefined) return
    const now = performance.now()
    for (const family of this.questions.due(now)) this.ask(family)
    for (let next = this.race.next(now); next !== undefined; next = this.race.next(now)) this.attempt(next)
    if (this.race.isLost && this.questions.isOver(now)) {
      const { failures } = this.race
      this.end(Effect.fail(DialError.make(this.settings, failures, this.questions.failure(now), [...this.otherFamily])))
      return
    }
    clearTimeout(this.timer)
    const inMs = Math.min(this.questions.changesIn(now), this.race.changesIn(now))
    if (inMs !== Number.POSITIVE_INFINITY) this.timer = setTimeout(this.react, Math.max(1, Math.ceil(inMs)))
    this.onChange()
  }

  private ask(family: Family): void {
    const onAnswer = (answer: Answer): void => {
      if (typeof answer === "string" || answer.length === 0) {
        this.questions.failed(family, typeof answer === "string" ? answer : "ENOTFOUND")
        this.react()
      } else {
        this.questions.answered(family)
        this.recorder?.note(`${this.settings.host} is ${answer.map(({ address }) => address).join(", ")}`)
        this.found(answer)
      }
    }
    this.listening.push(this.memory.names.ask(this.settings.host, family, onAnswer))
  }

  private found(addresses: ReadonlyArray<Address>): void {
    const own = Net.isIP(this.settings.localAddress ?? "")
    this.race.add(addresses.filter(({ family }) => own === 0 || family === own))
    for (const { address, family } of addresses) if (own !== 0 && family !== own) this.otherFamily.add(address)
    this.react()
  }

  private attempt({ address, family }: Address): void {
    const { recorder, settings } = this
    const limitMs = settings.timeouts.connect
    let connection: SmtpConnection | undefined
    let socket: Net.Socket | undefined
    const close = (): void => {
      clearTimeout(timer)
      socket?.destroy()
    }
    const fail = (problem: DialError.Problem): void => {
      if (!this.attempts.delete(address)) return
      close()
      recorder?.note(DialError.describe(address, problem))
      this.race.failed(address, problem, performance.now())
      this.react()
    }
    const timer = setTimeout(() => fail({ _tag: "Silent", limitMs }), limitMs)
    this.attempts.set(address, close)
    // It stays, because a socket that is given up may still have an error to report.
    const onError = (error: NodeJS.ErrnoException): void => fail({ _tag: "Failed", error })
    const onConnect = (socket: Net.Socket): void => {
      if (!this.attempts.delete(address)) return
      clearTimeout(timer)
      socket.off("error", onError)
      this.race.connected(address, performance.now())
      recorder?.note(`connected to ${address} port ${settings.port} from ${socket.localAddress}`)
      this.won = connection = new SmtpConnection(socket, recorder)
      this.end(Effect.succeed({ connection, peer: address }))
    }
    try {
      const opened = Net.connect({
        ...directRead((bytes) => connection?.take(bytes)),
        host: address,
        family,
        port: settings.port,
        ...(settings.localAddress === undefined ? {} : { localAddress: settings.localAddress })
      })
      socket = opened
      opened.on("error", onError)
      opened.once("connect", () => onConnect(opened))
    } catch (error) {
      // Node throws at once for some values, such as a port above 65535; uncaught, that would end the process.
      setImmediate(onError, error as NodeJS.ErrnoException)
    }
  }

  private end(outcome: Effect.Effect<Connected, MailError.MailError>): void {
    this.outcome = outcome
    this.stop()
    this.onChange()
  }
}

/**
 * Where every connection's bytes arrive. One buffer serves them all, because what is read is decoded before the next read;
 * a buffer for each read is what Node would make otherwise.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536)

/**
 * The option by which a socket reads into the buffer. Deno goes on to read so after TLS has begun over the socket, and the
 * handshake never ends; there the bytes come as events.
 */
const directRead = (take: (bytes: Uint8Array) => void): Pick<Net.NetConnectOpts, "onread"> =>
  process.versions["deno"] === undefined
    ? {
        onread: {
          buffer: readBuffer,
          callback: (length) => {
            take(readBuffer.subarray(0, length))
            return true
          }
        }
      }
    : {}
