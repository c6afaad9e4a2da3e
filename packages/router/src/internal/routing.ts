/**
 * Which relays a message may go by: the first route that matches it.
 */
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import * as DomainPattern from "mailrace/DomainPattern"
import type { OneOf, Route } from "../RouterOptions.ts"

/** The conditions on a message. Absent ones hold for all messages; the others must all hold. */
export type Conditions = Omit<Route, "relays">

const listOf = (values: OneOf): ReadonlyArray<string> => (typeof values === "string" ? [values] : values)

const domainOf = (address: Address.Address | undefined): string =>
  address === undefined ? "" : Address.domain(address).toLowerCase()

/** The domain of the first recipient, in lower case. */
export const laneOf = (message: Composed.Composed): string => domainOf(message.envelope.to[0])

const domainTest = (patterns: OneOf): ((domain: string) => boolean) => DomainPattern.matcher(listOf(patterns))

/** Compiles conditions into a test. A message to several domains matches if all of them do. */
export const matcher = (conditions: Conditions): ((message: Composed.Composed) => boolean) => {
  const tests: Array<(message: Composed.Composed) => boolean> = []
  if (conditions.tenant !== undefined) {
    const tenants = new Set(listOf(conditions.tenant))
    tests.push(({ tenant }) => tenant !== undefined && tenants.has(tenant))
  }
  if (conditions.senderDomain !== undefined) {
    const isSender = domainTest(conditions.senderDomain)
    tests.push(({ envelope }) => isSender(domainOf(envelope.from)))
  }
  if (conditions.recipientDomain !== undefined) {
    const isRecipient = domainTest(conditions.recipientDomain)
    tests.push(({ envelope }) => envelope.to.every((address) => isRecipient(domainOf(address))))
  }
  if (conditions.when !== undefined) tests.push(conditions.when)
  return (message) => tests.every((test) => test(message))
}

/** True if every message that `later` matches is matched by `earlier`, as far as the conditions tell. */
export const subsumes = (earlier: Conditions, later: Conditions): boolean => {
  if (earlier.when !== undefined && earlier.when !== later.when) return false
  const within = (name: "senderDomain" | "recipientDomain"): boolean => {
    const [wide, narrow] = [earlier[name], later[name]]
    if (wide === undefined) return true
    return (
      narrow !== undefined &&
      listOf(narrow).every((one) =>
        listOf(wide).some(
          (pattern) =>
            pattern.toLowerCase() === one.toLowerCase() || DomainPattern.matcher([pattern])(one.replace(/^\*/, "x"))
        )
      )
    )
  }
  const sameTenants =
    earlier.tenant === undefined ||
    (later.tenant !== undefined && listOf(later.tenant).every((one) => listOf(earlier.tenant!).includes(one)))
  return sameTenants && within("senderDomain") && within("recipientDomain")
}
