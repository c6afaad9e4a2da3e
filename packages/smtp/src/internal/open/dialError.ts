/**
 * The errors of a relay that cannot be reached: each address that was tried, and its reason.
 */
import * as MailError from "mailrace/MailError"
import type { Settings } from "../../SmtpOptions.ts"
import type { Failure } from "./addressRace.ts"

/** Why an address could not be connected to. */
export type Problem =
  | { readonly _tag: "Failed"; readonly error: NodeJS.ErrnoException }
  | { readonly _tag: "Silent"; readonly limitMs: number }

/** The most addresses that an error names. */
const maxNamed = 8

/** The error for a relay none of whose addresses could be connected to; `nameFailure` is why its name has none. */
export const make = (
  settings: Settings,
  failures: ReadonlyArray<Failure<Problem>>,
  nameFailure: string | undefined
): MailError.MailError => {
  const [first] = failures
  if (first === undefined) return unresolved(settings, nameFailure)
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
