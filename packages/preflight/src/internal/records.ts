/**
 * Asks the DNS and distinguishes three answers: records, none, or not known.
 */
import * as Effect from "effect/Effect"
import * as Dns from "effect/net/Dns"

/** The answer to a question. */
export type Answer<A> =
  | { readonly _tag: "Records"; readonly records: ReadonlyArray<A> }
  /** The name has no such record; with `isMissing` it does not exist at all, nor does a name below it (RFC 8020). */
  | { readonly _tag: "None"; readonly isMissing: boolean }
  /** The DNS gave no answer. */
  | { readonly _tag: "Unknown"; readonly why: string }

/** Asks for records of one type. */
export const ask = <T extends Dns.RecordType>(
  name: string,
  type: T
): Effect.Effect<Answer<Dns.RecordFor<T>>, never, Dns.Dns> =>
  settled(Effect.flatMap(Dns.Dns, (dns) => dns.resolve(name, type)))

/** Whether a name does not exist, as far as the DNS can tell. */
export const isMissing = (name: string): Effect.Effect<boolean, never, Dns.Dns> =>
  Effect.map(ask(name, "MX"), (answer) => answer._tag === "None" && answer.isMissing)

/** Asks for the names of an address. */
export const names = (address: string): Effect.Effect<Answer<string>, never, Dns.Dns> =>
  settled(
    Effect.flatMap(Dns.Dns, (dns) =>
      Effect.map(dns.reverse(address), (names) => names.map((name) => withoutDot(String(name))))
    )
  )

/** Asks for texts (RFC 1035 §3.3.14), each joined from its pieces. */
export const texts = (name: string): Effect.Effect<Answer<string>, never, Dns.Dns> =>
  Effect.map(ask(name, "TXT"), (answer) =>
    answer._tag === "Records"
      ? { _tag: "Records", records: answer.records.map(({ chunks }) => chunks.join("")) }
      : answer
  )

/** A name without the dot of the root at its end. */
export const withoutDot = (name: string): string => name.replace(/\.$/, "")

/** Reads `tag=value; tag=value` (RFC 6376 §3.2), with the tags in lower case. */
export const tags = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split(";").flatMap((part) => {
      const at = part.indexOf("=")
      return at === -1 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const]
    })
  )

const settled = <A, R>(
  question: Effect.Effect<ReadonlyArray<A>, Dns.DnsError, R>
): Effect.Effect<Answer<A>, never, R> =>
  question.pipe(
    Effect.map((records): Answer<A> => ({ _tag: "Records", records })),
    Effect.catch(({ cause, message, reason }) =>
      Effect.succeed<Answer<A>>(
        reason === "NotFound" || reason === "BadName"
          ? { _tag: "None", isMissing: isNameError(cause) }
          : { _tag: "Unknown", why: message }
      )
    )
  )

/**
 * Node's code for NXDOMAIN; for a name without such a record it is ENODATA. Effect has one reason for both, because not every
 * platform tells them apart.
 */
const isNameError = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && /^(?:DNS_)?ENOTFOUND$/.test(String(cause.code))
