/**
 * The options of flow control, and their faults.
 *
 * @since 0.1.0
 */

import * as Data from "effect/Data"
import * as Result from "effect/Result"
import type { Ledgers } from "./Ledgers.ts"
import * as Limit from "./Limit.ts"
import * as LoadGuard from "./LoadGuard.ts"
import * as WarmUp from "./WarmUp.ts"

/**
 * The limits of a relay, a lane or a tenant.
 *
 * @since 0.1.0
 */
export interface Rates {
  /** Limits that all hold, such as `["14/s", "50000/d"]`; `Limit.parse` describes them. Defaults to none. */
  readonly rate?: ReadonlyArray<string> | undefined
  /** A daily limit that grows, such as `from=50/d,factor=1.5,to=100000/d`; see `WarmUp.parse`. Defaults to none. */
  readonly warmUp?: string | undefined
}

/**
 * The limits and the share of a tenant.
 *
 * @since 0.1.0
 */
export interface TenantRates extends Rates {
  /** The tenant's share beside others that wait, more than 0. Defaults to 1. */
  readonly weight?: number | undefined
}

/**
 * The options of flow control. The limits of `rate` and `warmUp` at the top are the relay's.
 *
 * @since 0.1.0
 */
export interface Options extends Rates {
  /** The relay's name, such as `host:port`, in errors, the log and metrics, and where several processes share its limits. Defaults to `relay`. */
  readonly relay?: string | undefined
  /** Limits by lane, the recipient's domain. */
  readonly lanes?: Readonly<Record<string, Rates>> | undefined
  /** Limits and shares by tenant. */
  readonly tenants?: Readonly<Record<string, TenantRates>> | undefined
  /**
   * Whether to follow the relay's complaints: sends at the rate that it takes, and fewer messages at once to a relay that
   * loses connections. Nothing is held back before a first complaint. Defaults to true.
   */
  readonly adaptive?: boolean | undefined
  /** True to leave a relay alone that fails again and again; messages then fail with `CircuitOpen`. Defaults to false. */
  readonly circuit?: boolean | undefined
  /**
   * Which limits of `ProviderRules` hold here: all, or only those of lanes, where several relays with limits of their own stand
   * behind. Defaults to `all`.
   */
  readonly asked?: "all" | "lanes" | undefined
  /**
   * Whether to refuse messages with `CircuitOpen` while a rule leaves the relay alone (`ProviderRules`), so that a router sends
   * them by another relay. Defaults to false: they are sent at the rate that the relay takes.
   */
  readonly refusesPaused?: boolean | undefined
  /**
   * How far to look ahead for messages that may go while others wait, where lanes or tenants have limits: messages, from 1,
   * and bytes of content. Defaults to 10,000 messages and 64 MiB.
   */
  readonly lookAhead?: { readonly messages?: number | undefined; readonly bytes?: number | undefined } | undefined
  /**
   * Where `FlowTransport` keeps the limits that several processes share, such as `RedisLedgers` of `@mailrace/outbox`: those of
   * the relay by its name (`relay`), of lanes and of tenants. Defaults to none: this process keeps them.
   */
  readonly ledgers?: Ledgers | undefined
  /** Slows down while this process is overloaded; `{}` goes by the event loop alone. Defaults to none. */
  readonly guard?: LoadGuard.Options | undefined
}

/**
 * An option that cannot be used.
 *
 * @since 0.1.0
 */
export class FlowOptionsError extends Data.TaggedError("FlowOptionsError")<{
  /** The option's place, as in `lanes.gmail.com.rate`. */
  readonly option: string
  /** The fault, a sentence without a full stop. */
  readonly problem: string
}> {
  override get message() {
    return `${this.option}: ${this.problem}`
  }
}

/**
 * The limits of a relay, lane or tenant, read.
 *
 * @since 0.1.0
 */
export interface ReadRates {
  readonly limits: ReadonlyArray<Limit.Limit>
  readonly warmUp: WarmUp.WarmUp | undefined
  readonly weight: number
}

/**
 * The options, read and complete.
 *
 * @since 0.1.0
 */
export interface Settings {
  readonly name: string
  readonly relay: ReadRates
  readonly lanes: ReadonlyMap<string, ReadRates>
  readonly tenants: ReadonlyMap<string, ReadRates>
  readonly isAdaptive: boolean
  readonly hasCircuit: boolean
  readonly asked: "all" | "lanes"
  readonly refusesPaused: boolean
  readonly lookAhead: { readonly messages: number; readonly bytes: number }
  readonly guard: LoadGuard.LoadGuard | undefined
}

/**
 * Reads the options; `now` is the first day of warm-ups that name none.
 *
 * @since 0.1.0
 */
export const resolve = (options: Options, now: number): Result.Result<Settings, FlowOptionsError> => {
  try {
    return Result.succeed({
      name: options.relay ?? "relay",
      relay: readUnsafe(options, "", now),
      lanes: readEachUnsafe(options.lanes, "lanes", now, (lane) => lane.toLowerCase()),
      tenants: readEachUnsafe(options.tenants, "tenants", now, (tenant) => tenant),
      isAdaptive: options.adaptive !== false,
      hasCircuit: options.circuit === true,
      asked: options.asked ?? "all",
      refusesPaused: options.refusesPaused === true,
      lookAhead: {
        messages: atLeastOneUnsafe("lookAhead.messages", options.lookAhead?.messages ?? 10_000),
        bytes: atLeastOneUnsafe("lookAhead.bytes", options.lookAhead?.bytes ?? 64 * 1024 * 1024)
      },
      guard: options.guard === undefined ? undefined : new LoadGuard.LoadGuard(options.guard)
    })
  } catch (error) {
    if (error instanceof FlowOptionsError) return Result.fail(error)
    throw error
  }
}

const readEachUnsafe = (
  each: Readonly<Record<string, TenantRates>> | undefined,
  option: string,
  now: number,
  nameOf: (key: string) => string
): ReadonlyMap<string, ReadRates> => {
  const read = new Map<string, ReadRates>()
  for (const [key, rates] of Object.entries(each ?? {})) {
    const name = nameOf(key)
    if (name === "") throw new FlowOptionsError({ option, problem: "a name is empty; name what the rate is for" })
    if (read.has(name)) throw new FlowOptionsError({ option: `${option}.${key}`, problem: `"${name}" is there twice` })
    read.set(name, readUnsafe(rates, `${option}.${key}.`, now))
  }
  return read
}

const readUnsafe = (rates: TenantRates, prefix: string, now: number): ReadRates => {
  const limits = (rates.rate ?? []).map((text) => {
    const limit = Limit.parse(text)
    if (Result.isFailure(limit)) throw new FlowOptionsError({ option: `${prefix}rate`, problem: limit.failure })
    if (limit.success.unit === "connections") {
      throw new FlowOptionsError({
        option: `${prefix}rate`,
        problem: `"${text}" limits new connections, which the SMTP transport opens; give it that as \`connectionRate\``
      })
    }
    return limit.success
  })
  const warmUp = rates.warmUp === undefined ? undefined : WarmUp.parse(rates.warmUp, now)
  if (warmUp !== undefined && Result.isFailure(warmUp)) {
    throw new FlowOptionsError({ option: `${prefix}warmUp`, problem: warmUp.failure })
  }
  const { weight = 1 } = rates
  if (!(weight > 0) || !Number.isFinite(weight)) {
    throw new FlowOptionsError({ option: `${prefix}weight`, problem: `${weight} is no share; give a number above 0` })
  }
  return { limits, warmUp: warmUp?.success, weight }
}

const atLeastOneUnsafe = (option: string, value: number): number => {
  if (!(value >= 1)) throw new FlowOptionsError({ option, problem: `${value} is too small; give at least 1` })
  return value
}
