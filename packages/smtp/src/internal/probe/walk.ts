/**
 * The walk of a probe: one phase after the other, each timed, until one fails.
 *
 * The steps are those of the transport (`internal/open/handshake`, `internal/session/speculationTest`), taken one at a time.
 * Something worth mentioning that does not stop the walk is kept as a concern.
 */
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Handshake from "../open/handshake.ts"
import { LoginAttempt } from "../open/login.ts"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import * as SmtpCommand from "../protocol/command.ts"
import * as RelayMemory from "../../RelayMemory.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as Details from "./details.ts"
import { type Concern, diagnose } from "./diagnose.ts"
import * as Encrypt from "./encrypt.ts"
import { extensionsOf, hasBlottedKeyword } from "./extensionMeaning.ts"
import { reach } from "./reach.ts"
import type { Diagnosis, PhaseName, Problem, Report } from "./report.ts"
import { resolve } from "./resolve.ts"
import * as SelfTest from "./selfTest.ts"
import * as Causes from "./sessionCauses.ts"
import { spokenAtPort } from "./spokenAtPort.ts"
import * as TestMessages from "./testMessages.ts"
import * as TlsCauses from "./tlsCauses.ts"

/** How far the walk goes. */
export interface Route {
  /** The name servers to ask, instead of the system's. */
  readonly nameServers: ReadonlyArray<string> | undefined
  /** True if it only connects: no login, no self-test, no message. */
  readonly connectsOnly: boolean
  readonly messages: TestMessages.Wanted | undefined
}

/** How long a port that does not greet is looked at, in milliseconds. */
const lookMs = 2_000

/** How long a reply to QUIT is worth waiting for, in milliseconds. */
const quitMs = 500

/** Walks through the phases. */
export const walk = (settings: Settings, route: Route): Effect.Effect<Report> =>
  Effect.suspend(() => new Walk(settings, route).run)

type Found = { -readonly [field in keyof Omit<Report, "target" | "ok" | "phases" | "diagnosis">]: Report[field] }

class Walk {
  private readonly settings: Settings
  private readonly route: Route
  private readonly memory = RelayMemory.make()
  private readonly phases: Array<Report["phases"][number]> = []
  private readonly concerns: Array<Concern> = []
  private readonly found: Found = {
    addresses: [],
    exchangers: [],
    greeting: null,
    extensions: [],
    auth: { offered: [], mechanism: null, loggedIn: false },
    tls: null,
    pipelining: { selfTest: "skipped", mode: "off", why: "the probe did not come that far" },
    limits: { size: null, maxRecipients: null, maxMessages: null },
    roundTripMs: null,
    messages: []
  }
  private readonly open: Array<SmtpConnection> = []

  constructor(settings: Settings, route: Route) {
    this.settings = settings
    this.route = route
  }

  readonly run: Effect.Effect<Report> = Effect.suspend(() =>
    Effect.map(
      Effect.ensuring(
        Effect.result(this.steps),
        Effect.sync(() => this.open.forEach((connection) => connection.destroy()))
      ),
      (end) => this.report(Result.isFailure(end) ? end.failure : undefined)
    )
  )

  private readonly steps = Effect.gen({ self: this }, function* () {
    const { route, settings } = this
    const { addresses, exchangers } = yield* this.step("dns", resolve(settings, route.nameServers), (found) =>
      Details.dns(settings.host, found.addresses, found.exchangers)
    )
    this.found.addresses = addresses.map(({ address, ttl }) => ({ address, ttl, connectMs: null, problem: null }))
    this.found.exchangers = exchangers
    const reached = yield* this.step("tcp", reach(settings, addresses), ({ address }) => `connected to ${address}`)
    this.open.push(reached.connection)
    this.answered(reached.ms)
    const survey = yield* Effect.forkChild(reached.survey, { startImmediately: true })
    const result = yield* Effect.result(this.session(reached.connection, reached.address))
    const { addresses: surveyed, problem } = yield* Fiber.join(survey)
    this.found.addresses = surveyed
    if (problem !== undefined) this.concerns.push({ phase: "tcp", ...problem })
    yield* Effect.fromResult(result)
    if (this.found.tls !== null && !route.connectsOnly) yield* this.resumption(reached.address)
  })

  private session(connection: SmtpConnection, address: string) {
    return Effect.gen({ self: this }, function* () {
      const { route, settings } = this
      if (settings.tlsMode === "implicit") yield* this.encryption(connection)
      const greeted = yield* this.greeted(connection, address)
      const identified = yield* this.secured(yield* this.identified(greeted))
      if (route.connectsOnly) return yield* this.quit(connection)
      const ready = yield* this.loggedIn(identified, address)
      if (route.messages !== undefined) yield* this.testMessages(ready, route.messages)
      yield* this.selfTest(ready)
    })
  }

  private greeted(connection: SmtpConnection, address: string): Effect.Effect<Handshake.Greeted, Diagnosis> {
    const { settings } = this
    return Effect.tap(
      this.step(
        "greeting",
        Handshake.awaitGreeting(connection, settings),
        ({ greeting }) => greeting.replaceAll("\n", " "),
        (error) => {
          const mayBeOther = !connection.isEncrypted && error.reply === undefined
          const spoken = mayBeOther
            ? spokenAtPort(address, settings.port, Math.min(lookMs, settings.timeouts.greeting))
            : Effect.succeed<Causes.Spoken>("nothing")
          return Effect.map(spoken, (spoken) => Causes.ungreeted(settings, error, spoken))
        }
      ),
      ({ greeting }) => Effect.sync(() => (this.found.greeting = greeting))
    )
  }

  private identified(greeted: Handshake.Greeted): Effect.Effect<Handshake.Identified, Diagnosis> {
    const { settings } = this
    return Effect.tap(
      this.step(
        "ehlo",
        Handshake.identify(greeted, settings),
        ({ capabilities, connection, offer }) =>
          Details.ehlo(capabilities, extensionsOf(offer), connection.isEncrypted),
        (error) => Effect.succeed(Causes.unidentified(settings, error))
      ),
      ({ capabilities, offer }) =>
        Effect.sync(() => {
          this.answered(this.phases.at(-1)!.ms)
          const { found } = this
          found.extensions = extensionsOf(offer)
          found.auth = { ...found.auth, offered: capabilities.auth }
          found.limits = {
            size: capabilities.size ?? null,
            maxRecipients: capabilities.maxRecipients ?? null,
            maxMessages: capabilities.maxMessages ?? null
          }
          found.pipelining = SelfTest.withoutTest(capabilities, 0) ?? {
            selfTest: "skipped",
            mode: "envelope",
            why: "whether the relay gets BDAT right was not tested"
          }
        })
    )
  }

  /** STARTTLS where the mode wants it. */
  private secured(identified: Handshake.Identified): Effect.Effect<Handshake.Identified, Diagnosis> {
    const { capabilities, connection, greeting, offer } = identified
    const { tlsMode } = this.settings
    if (tlsMode === "off" || tlsMode === "implicit") return Effect.succeed(identified)
    return Effect.gen({ self: this }, function* () {
      if (capabilities.startTls) yield* this.step("starttls", this.askForTls(connection), () => "the relay agrees")
      else if (!(yield* this.unofferedTls(connection, hasBlottedKeyword(offer)))) return identified
      yield* this.encryption(connection)
      return yield* this.identified({ step: "greeted", connection, greeting })
    })
  }

  private askForTls(connection: SmtpConnection): Effect.Effect<void, Problem> {
    const { settings } = this
    return connection.exchange(SmtpCommand.startTls, "starttls", settings.timeouts.command).pipe(
      Effect.mapError((error) => Causes.broken(settings, error, "the reply to STARTTLS")),
      Effect.flatMap((reply) => (reply.code === 220 ? Effect.void : Effect.fail(Causes.startTlsRefused(reply))))
    )
  }

  /**
   * Asks for TLS although it is not offered: a relay that agrees shows that the offer was changed on its way. Tells whether
   * it agrees; fails where TLS is required.
   */
  private unofferedTls(connection: SmtpConnection, isBlotted: boolean): Effect.Effect<boolean, Diagnosis> {
    const { settings } = this
    const asked = Effect.map(
      Effect.result(connection.exchange(SmtpCommand.startTls, "starttls", settings.timeouts.command)),
      (reply) => Result.isSuccess(reply) && reply.success.code === 220
    )
    const problemOf = (isAnswered: boolean): Problem => Causes.startTlsMissing(settings, isBlotted, isAnswered)
    if (settings.tlsMode === "required")
      return this.step<never, Problem>(
        "starttls",
        Effect.flatMap(asked, (isAnswered) => Effect.fail(problemOf(isAnswered))),
        () => ""
      )
    return Effect.map(asked, (isAnswered) => {
      this.concerns.push(
        isAnswered || isBlotted
          ? { phase: "starttls", ...problemOf(isAnswered) }
          : { phase: "starttls", ...Causes.inClear, isMinor: true }
      )
      return isAnswered
    })
  }

  private encryption(connection: SmtpConnection): Effect.Effect<void, Diagnosis> {
    const encrypted = Effect.flatMap(
      Encrypt.encrypt(connection, this.settings, this.memory),
      ({ concern, facts, refusal }) => {
        this.found.tls = { ...facts, fullMs: Details.rounded(facts.fullMs) }
        if (refusal !== undefined) return Effect.fail(refusal)
        if (concern !== undefined) this.concerns.push({ phase: "tls", ...concern })
        return Effect.succeed(facts)
      }
    )
    return Effect.asVoid(this.step("tls", encrypted, Details.tls))
  }

  private loggedIn(identified: Handshake.Identified, address: string): Effect.Effect<Handshake.Ready, Diagnosis> {
    const { found, settings } = this
    if (settings.auth === undefined) return Effect.orDie(Handshake.authenticate(identified, settings))
    return Effect.tap(
      this.step(
        "auth",
        this.login(identified, address),
        (ready) => Details.login(ready.mechanism, ready.connection !== identified.connection),
        (error) => Effect.succeed(Causes.loginFailed(settings, error))
      ),
      ({ mechanism }) =>
        Effect.sync(() => {
          found.auth = { ...found.auth, mechanism: mechanism ?? null, loggedIn: mechanism !== undefined }
        })
    )
  }

  /** Logs in as the transport does, which tries the next mechanism on a new connection where the relay closed the old one. */
  private login(
    identified: Handshake.Identified,
    address: string
  ): Effect.Effect<Handshake.Ready, MailError.MailError> {
    const { memory, settings } = this
    const attempt = new LoginAttempt()
    const again = (error: MailError.MailError): Effect.Effect<Handshake.Ready, MailError.MailError> =>
      attempt.takeReconnect()
        ? reach(settings, [{ address, family: 0, ttl: null }]).pipe(
            Effect.mapError(() => error),
            Effect.flatMap(({ connection }) => {
              this.open.push(connection)
              return Handshake.establish(connection, settings, memory, attempt)
            }),
            Effect.catch((later) => again(attempt.report(later)))
          )
        : Effect.fail(error)
    return Effect.catch(Handshake.authenticate(identified, settings, memory.login, attempt), again)
  }

  private testMessages(ready: Handshake.Ready, wanted: TestMessages.Wanted): Effect.Effect<void, Diagnosis> {
    return Effect.flatMap(TestMessages.send(ready, this.settings, wanted), ({ ended, messages }) => {
      this.found.messages = messages.map((message) => ({
        ...message,
        envelopeMs: Details.rounded(message.envelopeMs),
        contentMs: Details.rounded(message.contentMs)
      }))
      const envelopes = messages.map(({ envelopeMs }) => envelopeMs)
      const contents = messages.map(({ contentMs }) => contentMs)
      const isEnvelopeTimed = envelopes.length > 0 && ended?.phase !== "envelope"
      if (isEnvelopeTimed) this.passed("envelope", Details.median(envelopes), Details.times(envelopes))
      else if (ended?.phase === "content") this.passed("envelope", ended.envelopeMs, Details.times([ended.envelopeMs]))
      if (ended !== undefined) return Effect.fail(this.failed(ended.phase, ended.ms, ended.problem))
      this.passed("content", Details.median(contents), Details.content(messages))
      return Effect.void
    })
  }

  /** Tests the pipelining, which ends the session, or says goodbye. */
  private selfTest({ capabilities, connection }: Handshake.Ready): Effect.Effect<void> {
    const { found, settings } = this
    const known = SelfTest.withoutTest(capabilities, found.messages.length)
    if (known !== undefined) {
      found.pipelining = known
      return this.quit(connection)
    }
    return Effect.map(SelfTest.run(connection, settings), (report) => {
      found.pipelining = report
      if (report.selfTest === "failed") this.concerns.push({ phase: "content", ...SelfTest.concern(report) })
      connection.destroy()
    })
  }

  private quit(connection: SmtpConnection): Effect.Effect<void> {
    return connection.quit(SmtpCommand.quit, Math.min(quitMs, this.settings.timeouts.quit))
  }

  /** A second connection, only for its handshake. Its failure is no finding: the first handshake succeeded. */
  private resumption(address: string): Effect.Effect<void> {
    const { memory, settings } = this
    const again = Effect.gen({ self: this }, function* () {
      const { connection } = yield* reach(settings, [{ address, family: 0, ttl: null }])
      this.open.push(connection)
      if (settings.tlsMode === "implicit") return yield* Encrypt.resume(connection, settings, memory)
      yield* Handshake.identify(yield* Handshake.awaitGreeting(connection, settings), settings)
      yield* this.askForTls(connection)
      return yield* Encrypt.resume(connection, settings, memory)
    })
    return Effect.map(
      Effect.orElseSucceed(again, () => null),
      (ms) => {
        const { found } = this
        if (found.tls !== null && ms !== null) found.tls = { ...found.tls, resumedMs: Details.rounded(ms) }
      }
    )
  }

  /** Times a phase. */
  private step<A, E>(
    name: PhaseName,
    effect: Effect.Effect<A, E>,
    detail: (value: A) => string,
    ...[problemOf]: E extends Problem ? [] : [(error: E) => Effect.Effect<Problem>]
  ): Effect.Effect<A, Diagnosis> {
    return Effect.suspend(() => {
      const started = performance.now()
      return Effect.flatMap(Effect.result(effect), (end) => {
        const ms = performance.now() - started
        if (Result.isSuccess(end)) {
          this.passed(name, ms, detail(end.success))
          return Effect.succeed(end.success)
        }
        const alert = this.lateAlert(end.failure)
        if (alert !== undefined) return Effect.fail(alert)
        const problem = problemOf === undefined ? Effect.succeed(end.failure as Problem) : problemOf(end.failure)
        return Effect.flatMap(problem, (problem) => Effect.fail(this.failed(name, ms, problem)))
      })
    })
  }

  /** The handshake's failure that a later step has met, in the place of that step. */
  private lateAlert(failure: unknown): Diagnosis | undefined {
    if (!MailError.isMailError(failure) || failure.reason._tag !== "ConnectionLost") return undefined
    const alert = TlsCauses.alertIn(this.settings, failure.reason.problem)
    const handshake = this.phases.findLastIndex(({ name }) => name === "tls")
    if (alert === undefined || handshake === -1) return undefined
    const [{ ms }] = this.phases.splice(handshake) as [Report["phases"][number]]
    return this.failed("tls", ms, alert.problem)
  }

  private passed(name: PhaseName, ms: number, detail: string): void {
    this.phases.push({ name, ms: Details.rounded(ms), ok: true, detail })
  }

  private failed(phase: PhaseName, ms: number, problem: Problem): Diagnosis {
    this.phases.push({ name: phase, ms: Details.rounded(ms), ok: false, detail: problem.cause })
    return { phase, cause: problem.cause, advice: problem.advice }
  }

  /** A command, or an attempt to connect, was answered after this many milliseconds. */
  private answered(ms: number): void {
    this.found.roundTripMs = Details.rounded(Math.min(ms, this.found.roundTripMs ?? Number.POSITIVE_INFINITY))
  }

  private report(failure: Diagnosis | undefined): Report {
    const { found, phases, settings } = this
    return {
      target: `${settings.tlsMode === "implicit" ? "smtps" : "smtp"}://${settings.relay}`,
      ok: phases.every(({ ok }) => ok),
      phases,
      ...found,
      addresses: found.addresses.map((one) => ({
        ...one,
        connectMs: one.connectMs === null ? null : Details.rounded(one.connectMs)
      })),
      diagnosis: failure ?? diagnose(phases, this.concerns, found.roundTripMs ?? 0, settings.host)
    }
  }
}
