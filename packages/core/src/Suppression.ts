/**
 * The list of those who must not be written to: who unsubscribed, who complained, whose mailbox is gone.
 *
 * An entry is an address or a whole domain (`@example.org`; the domains below it are others). Case does not count, in the
 * local part neither: better one mail too few than one to someone who said no.
 *
 * The list can be in memory (`layerList`, `layerLines`), or wherever a service of your own looks it up (`layer`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Address from "./Address.ts"
import * as AddressSet from "./internal/addressSet.ts"
import type * as Intake from "./Intake.ts"

/** What of an address is on the list. */
export type Match = "address" | "domain"

/** A list that cannot be read, or that cannot be asked. */
export class SuppressionError extends Schema.TaggedError<SuppressionError>("mailrace/SuppressionError")(
  "SuppressionError",
  {
    /** The line at fault, from 1; absent when the list cannot be asked. */
    line: Schema.optional(Schema.Int),
    /** What is wrong, in words. */
    problem: Schema.String,
    /** What to try, as an imperative without a full stop. */
    remedy: Schema.String
  }
) {
  override get message(): string {
    return `${this.line === undefined ? "suppression list" : `suppression list, line ${this.line}`}: ${this.problem}; ${this.remedy}`
  }
}

/** Tells who is on the list. */
export class Suppression extends Context.Service<
  Suppression,
  {
    /** What of each address is on the list, in their order, `undefined` for who may be written to. */
    readonly find: (
      addresses: ReadonlyArray<Address.Address>
    ) => Effect.Effect<ReadonlyArray<Match | undefined>, SuppressionError>
  }
>()("mailrace/Suppression") {}

/** Drops recipients that are on the list. */
export const check: Intake.Check<SuppressionError, Suppression> = {
  kind: "suppressed",
  start: Effect.map(
    Suppression,
    ({ find }) =>
      (addresses) =>
        Effect.map(find(addresses), (matches) =>
          matches.map((match) => (match === undefined ? undefined : verdicts[match]))
        )
  )
}

/** A list that is looked up elsewhere, as in a database. */
export const layer = (service: Suppression["Service"]): Layer.Layer<Suppression> => Layer.succeed(Suppression, service)

/** A list in memory; a million entries take 17 MB. */
export const layerList = (entries: Iterable<string>): Layer.Layer<Suppression, SuppressionError> =>
  layerLines(Stream.fromIterable(entries))

/**
 * A list read from lines, as of a file: `Stream.decodeText(file).pipe(Stream.splitLines)`.
 *
 * A line is an address, `@domain` or `domain.tld`. Empty lines and those that begin with `#` are passed over, and of a
 * table the first column counts, without its heading. Any other line is an error, also one that has its address further
 * on: an entry that was not understood is someone who would be written to.
 */
export const layerLines = <E, R>(
  lines: Stream.Stream<string, E, R>
): Layer.Layer<Suppression, SuppressionError | E, R> =>
  Layer.effect(
    Suppression,
    Effect.suspend(() => {
      const list = new List()
      return Effect.map(
        Stream.runForEachArray(lines, (chunk) => Effect.suspend(() => list.addAll(chunk))),
        () => Suppression.of({ find: (addresses) => Effect.sync(() => addresses.map((one) => list.find(one))) })
      )
    })
  )

const verdicts: { readonly [M in Match]: Intake.Verdict } = {
  address: { action: "drop", detail: "the address is on the suppression list" },
  domain: { action: "drop", detail: "the domain is on the suppression list" }
}

class List {
  private readonly addresses = new AddressSet.AddressSet()
  private readonly domains = new AddressSet.AddressSet()
  private line = 0

  addAll(lines: ReadonlyArray<string>): Effect.Effect<void, SuppressionError> {
    for (const line of lines) {
      this.line++
      const { entry, rest } = columns(line, this.line === 1)
      const problem = this.add(entry, rest)
      if (problem !== undefined)
        return Effect.fail(
          new SuppressionError({
            line: this.line,
            problem,
            remedy: "write an address, or a domain as @example.org, and put # before a remark"
          })
        )
    }
    return Effect.void
  }

  find(address: Address.Address): Match | undefined {
    if (this.addresses.has(AddressSet.keyOf(address))) return "address"
    return this.domains.has(AddressSet.domainKey(Address.domain(address))) ? "domain" : undefined
  }

  /** Adds an entry; says what is wrong with one that is none. */
  private add(entry: string, rest: string): string | undefined {
    if (entry === "") return undefined
    const isBareDomain = !entry.includes("@") && entry.includes(".")
    // What looks like a domain may as well be a name (`ann.lee <…>`), a date or an amount.
    if (isBareDomain && /\.\d+$/.test(entry)) return "it begins with a number, not with an address or a domain"
    if (isBareDomain && rest.includes("@")) return "its address does not stand first"
    const isDomain = entry.startsWith("@") || isBareDomain
    const parsed = Address.parse(isDomain ? `x@${entry.replace(/^@/, "")}` : entry)
    if (Result.isFailure(parsed)) return `it is no address and no domain: ${parsed.failure.problem}`
    if (isDomain) this.domains.add(AddressSet.domainKey(Address.domain(parsed.success)))
    else this.addresses.add(AddressSet.keyOf(parsed.success))
    return undefined
  }
}

/** What a line says: nothing, or its first column; and what follows that, without a remark. */
const columns = (line: string, isFirst: boolean): { readonly entry: string; readonly rest: string } => {
  const text = line.trim()
  if (text.startsWith("#")) return nothing
  // A quoted local part may hold what else ends a column.
  const quoted = /^"([^"@]+@[^"]+)"/.exec(text)
  const column = quoted?.[1] ?? /^(?:"(?:[^"\\]|\\.)*")?[^\s,;]*/.exec(text)![0]
  if (isFirst && heading.test(column)) return nothing
  return { entry: column, rest: text.slice(column.length).replace(/\s#.*$/, "") }
}

const nothing = { entry: "", rest: "" }

const heading = /^"?(?:e-?mail|address|e-?mail[ _-]?address|recipient|domain)"?$/i
