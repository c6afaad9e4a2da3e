/**
 * The limits that the flags give: `--rate`, `--lane-rate`, `--tenant-rate` and `--warmup`.
 */
import * as ConnectionRate from "@mailrace/flow/ConnectionRate"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Limit from "@mailrace/flow/Limit"
import * as WarmUp from "@mailrace/flow/WarmUp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { CommandError } from "../CommandError.ts"

/** The flags as they were given. */
export interface Options {
  /** Limits of the relay, such as `100/s` or `5 connections/s`; all hold. */
  readonly rate?: ReadonlyArray<string> | undefined
  /** Limits by lane, such as `gmail.com=20/s` or `gmail.com=20/s,50000/d`. */
  readonly laneRate?: ReadonlyArray<string> | undefined
  /** Limits by tenant, such as `acme=100/s`. */
  readonly tenantRate?: ReadonlyArray<string> | undefined
  /** A daily limit that grows, such as `from=50/d,factor=1.5,to=100000/d`. */
  readonly warmup?: string | undefined
  /** Follows the relay's complaints, and leaves one alone that fails again and again. Defaults to true. */
  readonly adaptive?: boolean | undefined
}

/** Follows one relay. Of several each is followed by itself. */
export const following: FlowOptions.Options = { adaptive: true, circuit: true }

/** What `--rate` limits: messages, which flow control counts, and new connections, which the relays' transports hold. */
export interface RelayRates {
  readonly messages: ReadonlyArray<string>
  /** `undefined` if there are none. */
  readonly connections: ConnectionRate.ConnectionRate | undefined
}

/** Reads `--rate`. */
export const readRates = Effect.fnUntraced(function* ({
  rate = []
}: Options): Effect.fn.Return<RelayRates, CommandError> {
  const seen = new Set<string>()
  const messages: Array<string> = []
  const limits: Array<Limit.Limit> = []
  for (const text of rate) {
    const limit = yield* readLimit("--rate", text)
    limits.push(limit)
    const { unit, windowMs } = limit
    const isCounted = unit === "messages" || unit === "connections"
    if (isCounted && seen.has(`${unit}/${windowMs}`)) {
      return yield* new CommandError({
        problem: `--rate ${text}: there is another --rate for the same time`,
        remedy: "leave one of them out; several hold together, such as --rate 14/s --rate 50000/d"
      })
    }
    if (isCounted) seen.add(`${unit}/${windowMs}`)
    if (unit !== "connections") messages.push(text)
  }
  const isOfConnections = limits.some(({ unit }) => unit === "connections")
  return { messages, connections: isOfConnections ? ConnectionRate.make(limits) : undefined }
})

/** Reads the other flags, for one relay or for several together; `undefined` if they and `--rate` limit nothing. */
export const resolve = Effect.fnUntraced(function* (
  options: Omit<Options, "rate">,
  rates: RelayRates,
  { isOneRelay }: { readonly isOneRelay: boolean }
): Effect.fn.Return<FlowOptions.Options | undefined, CommandError> {
  const { laneRate = [], tenantRate = [], warmup } = options
  const adaptive = isOneRelay && options.adaptive !== false
  if (warmup !== undefined) {
    const read = WarmUp.parse(warmup, yield* Clock.currentTimeMillis)
    if (Result.isFailure(read)) {
      return yield* new CommandError({
        problem: `--warmup ${warmup}: ${read.failure}`,
        remedy: "write it as --warmup 'from=50/d,factor=1.5,to=100000/d'"
      })
    }
  }
  const lanes = yield* readEach("--lane-rate", "gmail.com", laneRate)
  const tenants = yield* readEach("--tenant-rate", "acme", tenantRate)
  if (rates.messages.length + laneRate.length + tenantRate.length === 0 && warmup === undefined && !adaptive)
    return undefined
  return { ...(adaptive ? following : { adaptive }), rate: rates.messages, warmUp: warmup, lanes, tenants }
})

/** The most messages a second that the relay's limits let through; `undefined` if none is of a minute or less. */
export const perSecond = ({ rate = [] }: FlowOptions.Options): number | undefined => {
  const rates = rate.flatMap((text) => {
    const limit = Limit.parse(text)
    const isSpaced = Result.isSuccess(limit) && limit.success.unit === "messages" && limit.success.windowMs <= 60_000
    return isSpaced ? [Limit.perSecond(limit.success)] : []
  })
  return rates.length === 0 ? undefined : Math.min(...rates)
}

/** Reads flags of the form `NAME=RATE,RATE`, each name once. */
const readEach = Effect.fnUntraced(function* (flag: string, example: string, texts: ReadonlyArray<string>) {
  const rates: Record<string, FlowOptions.Rates> = {}
  for (const text of texts) {
    const at = text.indexOf("=")
    const name = text.slice(0, at).trim().toLowerCase()
    if (at === -1 || name === "") {
      return yield* new CommandError({
        problem: `${flag} ${text}: it does not name what the rate is for`,
        remedy: `write it as ${flag} ${example}=20/s`
      })
    }
    const key = flag === "--lane-rate" ? name : text.slice(0, at).trim()
    if (Object.hasOwn(rates, key)) {
      return yield* new CommandError({
        problem: `${flag} ${text}: "${key}" has a ${flag} already`,
        remedy: `give all its rates at once, as in ${flag} ${key}=20/s,50000/d`
      })
    }
    const each = text.slice(at + 1).split(",")
    for (const one of each) {
      const { unit } = yield* readLimit(`${flag} ${text}`, one)
      if (unit === "connections") {
        return yield* new CommandError({
          problem: `${flag} ${text}: connections are opened to a relay, and not for a ${flag === "--lane-rate" ? "lane" : "tenant"}`,
          remedy: `limit them with --rate '${one.trim()}'`
        })
      }
    }
    Object.defineProperty(rates, key, { value: { rate: each }, enumerable: true })
  }
  return rates
})

const readLimit = (place: string, text: string): Effect.Effect<Limit.Limit, CommandError> =>
  Effect.fromResult(
    Result.mapError(Limit.parse(text), (problem) => new CommandError({ problem: `${place}: ${problem}` }))
  )
