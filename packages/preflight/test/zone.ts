/** A DNS of fixed records, and one that is broken for some names. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** The records of a name. A text that is longer than 255 bytes is cut into pieces, as in the DNS. */
export interface Names {
  readonly TXT?: ReadonlyArray<string>
  readonly MX?: ReadonlyArray<string>
  readonly A?: ReadonlyArray<string>
  readonly PTR?: ReadonlyArray<string>
}

/**
 * A DNS that knows these names and no others; `broken` ones it gives no answer for. Of names within `missing` it says, as
 * Node's resolver does, that they do not exist.
 */
export const layer = (
  zone: { readonly [name: string]: Names },
  broken: ReadonlyArray<string> = [],
  missing: ReadonlyArray<string> = []
): Layer.Layer<Dns.Dns> =>
  Layer.sync(Dns.Dns, () => {
    const records = Object.fromEntries(Object.entries(zone).map(([name, one]) => [name, recordsOf(one)]))
    const dns = Result.getOrThrow(Dns.makeStatic({ records }))
    const isBroken = (name: string) => broken.includes(name)
    const isMissing = (name: string) => missing.some((one) => name === one || name.endsWith(`.${one}`))
    const failure = (name: string, type: Dns.RecordType, reason: Dns.DnsErrorReason, cause?: unknown) =>
      Effect.fail(new Dns.DnsError({ reason, method: "resolve", hostname: name, recordType: type, cause }))
    return {
      ...dns,
      reverse: (address) =>
        isBroken(arpaOf(String(address)))
          ? Effect.fail(new Dns.DnsError({ reason: "Timeout", method: "reverse", hostname: String(address) }))
          : dns.reverse(address),
      resolve: (name, type) =>
        isBroken(String(name))
          ? failure(String(name), type, "Timeout")
          : isMissing(String(name))
            ? failure(String(name), type, "NotFound", { code: "ENOTFOUND" })
            : dns.resolve(name, type)
    } satisfies Dns.Dns["Service"]
  })

/** The name under which an IPv4 address has its PTR records (RFC 1035 §3.5). */
const arpaOf = (address: string): string => `${address.split(".").toReversed().join(".")}.in-addr.arpa`

const recordsOf = ({ A = [], MX = [], PTR = [], TXT = [] }: Names): ReadonlyArray<Dns.DnsRecord> => [
  ...A.map((address) =>
    Dns.makeRecordUnsafe("A", { address: NetAddress.ipFromStringUnsafe(address) as NetAddress.Ipv4Address })
  ),
  ...MX.map((exchange, priority) =>
    Dns.makeRecordUnsafe("MX", { exchange: Host.domainNameFromStringUnsafe(exchange), priority })
  ),
  ...PTR.map((host) => Dns.makeRecordUnsafe("PTR", { host })),
  ...TXT.map((text) =>
    Dns.makeRecordUnsafe("TXT", { chunks: (text.match(/.{1,255}/gs) ?? [""]) as unknown as readonly [string] })
  )
]
