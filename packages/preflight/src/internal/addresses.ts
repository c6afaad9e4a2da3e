/**
 * The addresses of hosts.
 */
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import { BlockList, isIP } from "node:net"
import * as Records from "./records.ts"

/** A host's addresses in the DNS. */
export interface Addresses {
  readonly addresses: ReadonlyArray<string>
  /** Why there may be more of them: a question without an answer. */
  readonly unanswered: string | undefined
}

/** The addresses of a host, by its A and AAAA records; those of one family only if `like` is an address of it. */
export const addressesOf = (host: string, like?: string): Effect.Effect<Addresses, never, Dns.Dns> => {
  const types = like === undefined ? (["A", "AAAA"] as const) : ([isIP(like) === 6 ? "AAAA" : "A"] as const)
  return Effect.map(
    Effect.forEach(types, (type) => Records.ask<"A" | "AAAA">(host, type)),
    (answers) => ({
      addresses: answers.flatMap((answer) =>
        answer._tag === "Records" ? answer.records.map(({ address }) => NetAddress.formatIp(address)) : []
      ),
      unanswered: answers.flatMap((answer) => (answer._tag === "Unknown" ? [answer.why] : []))[0]
    })
  )
}

/** True if an address is in a network, as `192.0.2.0/24`; `undefined` if the network is malformed. */
export const isIn = (address: string, network: string): boolean | undefined => {
  const [base = "", prefix] = network.split("/")
  const family = isIP(base)
  const longest = family === 6 ? 128 : 32
  const length = prefix === undefined ? longest : /^\d+$/.test(prefix) ? Number(prefix) : Number.NaN
  if (family === 0 || !(length <= longest)) return undefined
  if (isIP(address) !== family) return false
  const list = new BlockList()
  list.addSubnet(base, length, familyOf(base))
  return list.check(address, familyOf(address))
}

const familyOf = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4")
