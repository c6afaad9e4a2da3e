/**
 * The options of a router with their defaults, or the first fault in them.
 */
import * as Result from "effect/Result"
import { RouterError } from "../RouterError.ts"
import type * as RouterOptions from "../RouterOptions.ts"
import { subsumes } from "./routing.ts"

/** Options in which nothing contradicts anything. */
export interface Checked {
  readonly relays: ReadonlyArray<{
    readonly name: string
    readonly weight: number
    readonly isBackup: boolean
    readonly capabilities: RouterOptions.Capabilities
    readonly concurrency: number | undefined
  }>
  readonly routes: ReadonlyArray<RouterOptions.Route>
}

interface Options {
  readonly relays: ReadonlyArray<Omit<RouterOptions.Relay, "transport">>
  readonly routes?: ReadonlyArray<RouterOptions.Route> | undefined
}

const fault = (field: string, problem: string, remedy: string): Result.Result<never, RouterError> =>
  Result.fail(new RouterError({ field, problem, remedy }))

/** Checks options and fills in the defaults. */
export const checked = ({ relays, routes = [] }: Options): Result.Result<Checked, RouterError> => {
  if (relays.length === 0) return fault("relays", "there is none", "name at least one relay")
  const names = relays.map(({ name }) => name)
  for (const [index, { concurrency, name, weight = 1 }] of relays.entries()) {
    const field = `relays[${index}]`
    if (name === "") return fault(`${field}.name`, "it is empty", "give the relay a name")
    const first = names.indexOf(name)
    if (first < index)
      return fault(`${field}.name`, `relays[${first}] has the name "${name}" too`, "give each relay a name of its own")
    if (!Number.isFinite(weight) || weight < 0)
      return fault(`${field}.weight`, `${weight} is no weight`, "give a number from 0, as 1 or 2.5")
    if (concurrency !== undefined && (!Number.isInteger(concurrency) || concurrency < 1))
      return fault(`${field}.concurrency`, `${concurrency} is no number of messages`, "give a whole number from 1")
  }
  const weightOf = (name: string): number => relays[names.indexOf(name)]!.weight ?? 1
  if (names.every((name) => weightOf(name) === 0))
    return fault("relays", "their weights sum to 0, so none gets messages", "give one of them a weight above 0")
  for (const [index, route] of routes.entries()) {
    const field = `routes[${index}]`
    if (route.relays.length === 0)
      return fault(`${field}.relays`, "the route leads to no relay", `name one or more of ${names.join(", ")}`)
    for (const [position, name] of route.relays.entries())
      if (!names.includes(name))
        return fault(
          `${field}.relays[${position}]`,
          `there is no relay "${name}"`,
          `name one of ${names.join(", ")}, or add this relay`
        )
    if (route.relays.every((name) => weightOf(name) === 0))
      return fault(`${field}.relays`, "the weights of its relays sum to 0", "give one of them a weight above 0")
    for (const name of ["tenant", "senderDomain", "recipientDomain"] as const)
      if (route[name]?.length === 0)
        return fault(
          `${field}.${name}`,
          "it names none, so that the route never matches",
          "name at least one, or leave it out to match them all"
        )
    const earlier = routes.slice(0, index).findIndex((one) => subsumes(one, route))
    if (earlier >= 0)
      return fault(
        field,
        `routes[${earlier}] matches every message of this route, so this one never does`,
        `put it before routes[${earlier}], or take it out`
      )
  }
  return Result.succeed({
    relays: relays.map(({ capabilities = {}, class: rank, concurrency, name, weight = 1 }) => ({
      name,
      weight,
      isBackup: rank === "backup",
      capabilities,
      concurrency
    })),
    routes
  })
}
