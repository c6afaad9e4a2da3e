/**
 * From the relay's name to its addresses, with what the DNS says beside them.
 *
 * The addresses are those that the transport would use: of the system's resolver, which also reads the hosts file. The DNS
 * is asked in parallel for what that does not tell: the time to live, the mail exchangers, and whether a name does not exist
 * or only has no address. With name servers of the caller's, these alone are asked.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Dns from "node:dns"
import { isIP } from "node:net"
import type { Settings } from "../../SmtpOptions.ts"
import * as Causes from "./networkCauses.ts"
import type { Exchanger, Problem } from "./report.ts"

/** An address before it is connected to. */
export interface Found {
  readonly address: string
  readonly family: number
  readonly ttl: number | null
}

/** The facts about a name. */
export interface Resolution {
  readonly addresses: ReadonlyArray<Found>
  readonly exchangers: ReadonlyArray<Exchanger>
}

/** The answer to one question: records, or the code of why there are none. */
export type Answer<A> =
  | { readonly _tag: "Records"; readonly records: ReadonlyArray<A> }
  | { readonly _tag: "None"; readonly code: string }

/** How much longer than the addresses the rest may take, in milliseconds. */
const extraMs = 250

/** Resolves the relay's name. An address needs no resolving. */
export const resolve = (
  settings: Settings,
  nameServers: ReadonlyArray<string> | undefined
): Effect.Effect<Resolution, Problem> => {
  const family = isIP(settings.host)
  return family !== 0
    ? Effect.succeed({ addresses: [{ address: settings.host, family, ttl: null }], exchangers: [] })
    : Effect.scoped(resolveName(settings, nameServers))
}

const resolveName = Effect.fnUntraced(function* (settings: Settings, nameServers: ReadonlyArray<string> | undefined) {
  const { host } = settings
  const limitMs = settings.timeouts.dns
  const resolver = yield* makeResolver(limitMs, nameServers)
  const ask = <A>(question: (done: Callback<A>) => void) =>
    Effect.forkScoped(answerTo(limitMs, question), { startImmediately: true })
  const a = yield* ask<Dns.RecordWithTtl>((done) => resolver.resolve4(host, { ttl: true }, done))
  const aaaa = yield* ask<Dns.RecordWithTtl>((done) => resolver.resolve6(host, { ttl: true }, done))
  const mx = yield* ask<Exchanger>((done) => resolver.resolveMx(host, done))
  const asked = Effect.map(Effect.all([Fiber.join(a), Fiber.join(aaaa)]), ([a, aaaa]) => ({
    answers: [a, aaaa],
    found: [...foundIn(a, 4), ...foundIn(aaaa, 6)]
  }))
  const soon = <A>(effect: Effect.Effect<A>) => Effect.map(Effect.timeoutOption(effect, extraMs), Option.getOrUndefined)
  const exchangers = Effect.map(soon(Fiber.join(mx)), (answer) =>
    answer?._tag === "Records"
      ? answer.records
          .map(({ exchange, priority }) => ({ exchange, priority }))
          .toSorted((a, b) => a.priority - b.priority)
      : []
  )
  const system = nameServers === undefined ? yield* lookup(host, limitMs) : undefined
  if (system?._tag === "Records") {
    const ttls = new Map((yield* soon(asked))?.found.map(({ address, ttl }) => [address, ttl]))
    const addresses = system.records.map(({ address, family }) => ({ address, family, ttl: ttls.get(address) ?? null }))
    return { addresses, exchangers: yield* exchangers }
  }
  const dns = nameServers === undefined ? yield* soon(asked) : yield* asked
  if (nameServers !== undefined && dns !== undefined && dns.found.length > 0)
    return { addresses: dns.found, exchangers: yield* exchangers }
  const codes = [...(system === undefined ? [] : [system]), ...(dns?.answers ?? [])].flatMap((answer) =>
    answer._tag === "None" ? answer.code : []
  )
  return yield* Effect.fail(Causes.unresolved(settings, codes, yield* exchangers, nameServers))
})

type Callback<A> = (error: NodeJS.ErrnoException | null, records: Array<A>) => void

/** Asks a question; its answer never fails. */
const answerTo = <A>(limitMs: number, question: (done: Callback<A>) => void): Effect.Effect<Answer<A>> =>
  Effect.callback<Answer<A>>((resume) => {
    question((error, records) =>
      resume(
        Effect.succeed(
          error === null ? { _tag: "Records", records } : { _tag: "None", code: error.code ?? error.message }
        )
      )
    )
  }).pipe(
    Effect.timeoutOrElse({
      duration: limitMs,
      orElse: () => Effect.succeed<Answer<A>>({ _tag: "None", code: Dns.TIMEOUT })
    })
  )

const lookup = (host: string, limitMs: number): Effect.Effect<Answer<Dns.LookupAddress>> =>
  answerTo(limitMs, (done) => Dns.lookup(host, { all: true, order: "verbatim" }, done))

const foundIn = (answer: Answer<Dns.RecordWithTtl>, family: number): ReadonlyArray<Found> =>
  answer._tag === "Records" ? answer.records.map(({ address, ttl }) => ({ address, family, ttl })) : []

/** A resolver whose open questions end with the scope. */
const makeResolver = (limitMs: number, nameServers: ReadonlyArray<string> | undefined) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const resolver = new Dns.Resolver({ timeout: Math.max(1, Math.ceil(limitMs)), tries: 1 })
      if (nameServers !== undefined) resolver.setServers(nameServers)
      return resolver
    }),
    (resolver) => Effect.sync(() => resolver.cancel())
  )
