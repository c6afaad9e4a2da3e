/**
 * The errors of a relay that cannot be reached: each address that was tried, and its reason.
 */
import * as MailError from "mailrace/MailError"
import { isIP } from "node:net"
import type { Settings } from "../../SmtpOptions.ts"
import type { Failure } from "./addressRace.ts"

/** Why an address could not be connected to. */
export type Problem =
  | { readonly _tag: "Failed"; readonly error: NodeJS.ErrnoException }
  | { readonly _tag: "Silent"; readonly limitMs: number }

/** The most addresses that an error names. */
const maxNamed = 8

/**
 * The error for a relay none of whose addresses could be connected to. `nameFailure` is why its name has none, `otherFamily` are those that
 * the local address cannot reach.
 */
export const make = (
  settings: Settings,
  failures: ReadonlyArray<Failure<Problem>>,
  nameFailure: string | undefined,
  otherFamily: ReadonlyArray<string>
): MailError.MailError => {
  const [first] = failures
  if (first === undefined)
    return otherFamily.length === 0 ? unresolved(settings, nameFailure) : unreachableFrom(settings, otherFamily)
  const unbound = failures.find(({ problem }) => isUnbound(problem))
  if (unbound !== undefined) return notHere(settings, unbound.problem)
  const { host, port, relay, timeouts } = settings
  const reasons = failures.slice(0, maxNamed).map(({ address, problem }) => describe(address, problem))
  if (failures.length > maxNamed) reasons.push(`and ${failures.length - maxNamed} addresses more`)
  const list = reasons.join("; ")
  if (failures.every(({ problem }) => problem._tag === "Silent"))
    return MailError.make(
      new MailError.Timeout({
        phase: "connect",
        limitMs: timeouts.connect,
        problem: `${relay} cannot be reached: ${list}`
      })
    )
  const isRefused = failures.every(({ problem }) => codeOf(problem) === "ECONNREFUSED")
  const isAlone = failures.length === 1 && first.address === host
  const problem = isRefused
    ? `nothing listens at ${relay}${isAlone ? "" : ` (${failures.map(({ address }) => address).join(", ")})`}`
    : `${relay} cannot be reached: ${list}`
  return MailError.make(
    new MailError.ConnectFailed({ kind: isRefused ? "refused" : "unreachable", host, port, problem })
  )
}

/** True if the local address could not be taken; the relay was not asked then. */
const isUnbound = (problem: Problem): boolean => problem._tag === "Failed" && problem.error.syscall === "bind"

const notHere = ({ host, localAddress, port }: Settings, problem: Problem): MailError.MailError => {
  const code = codeOf(problem)
  return MailError.make(
    new MailError.ConnectFailed({
      kind: "localAddress",
      host,
      port,
      problem:
        code === "EADDRNOTAVAIL"
          ? `the local address ${localAddress} does not belong to this machine`
          : `the local address ${localAddress} cannot be used (${code})`
    })
  )
}

const unreachableFrom = (
  { host, localAddress = "", port }: Settings,
  otherFamily: ReadonlyArray<string>
): MailError.MailError => {
  const family = isIP(localAddress)
  const named = otherFamily.slice(0, maxNamed).join(", ")
  return MailError.make(
    new MailError.ConnectFailed({
      kind: "localAddress",
      host,
      port,
      problem: `the local address ${localAddress} is IPv${family}, and ${host} has no IPv${family} address (${named})`
    })
  )
}

/** The reason of one address, in words. */
export const describe = (address: string, problem: Problem): string => {
  if (problem._tag === "Silent") return `${address} did not answer within ${problem.limitMs} ms`
  const code = codeOf(problem)
  switch (code) {
    case "ECONNREFUSED":
      return `${address} refused the connection`
    case "ENETUNREACH":
    case "EHOSTUNREACH":
      return `${address} has no route (${code})`
    default:
      return `${address} failed (${code ?? problem.error.message})`
  }
}

const codeOf = (problem: Problem): string | undefined => (problem._tag === "Failed" ? problem.error.code : undefined)

const unresolved = ({ host, port, timeouts }: Settings, code: string | undefined): MailError.MailError => {
  if (code === "TIMEOUT") return MailError.make(new MailError.Timeout({ phase: "dns", limitMs: timeouts.dns }))
  return code === "ENOTFOUND"
    ? MailError.make(
        new MailError.ConnectFailed({ kind: "dns", host, port, problem: `the name ${host} does not exist` })
      )
    : MailError.make(
        new MailError.ConnectFailed({
          kind: "unreachable",
          host,
          port,
          problem: `the name ${host} could not be resolved just now`,
          hint: "check this machine's name servers, or try later"
        })
      )
}
