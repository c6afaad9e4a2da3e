/**
 * The suppression list: people who unsubscribed or complained, and mailboxes that are gone.
 *
 * An entry is an address or a whole domain (`@example.org`, without the domains below it). Case does not count, not even in
 * the local part: one message too few is better than one to a person who said no.
 *
 * The list can be in memory (`layerList`, `layerLines`, `fromBytes`) or in a service of your own (`layer`).
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Address from "./Address.ts"
import * as AddressSet from "./internal/address/addressSet.ts"
import * as SuppressionLine from "./internal/hygiene/suppressionLine.ts"
import type * as Screening from "./Screening.ts"
import * as Utf16 from "./Utf16.ts"

/**
 * The part of an address that is on the list.
 *
 * @since 0.1.0
 */
export type Match = "address" | "domain"

/**
 * The list cannot be read or queried.
 *
 * @since 0.1.0
 */
export class SuppressionError extends Schema.TaggedError<SuppressionError>("mailrace/SuppressionError")(
  "SuppressionError",
  {
    /** The line at fault, from 1; absent if the list cannot be queried. */
    line: Schema.optional(Schema.Int),
    /** The fault, in words. */
    problem: Schema.String,
    /** What to try, as an imperative without a full stop. */
    remedy: Schema.String
  }
) {
  override get message(): string {
    return `${this.line === undefined ? "suppression list" : `suppression list, line ${this.line}`}: ${this.problem}; ${this.remedy}`
  }
}

/**
 * Looks addresses up in the list.
 *
 * @since 0.1.0
 */
export class Suppression extends Context.Service<
  Suppression,
  {
    /** The match of each address, in their order; `undefined` for an address that is not on the list. */
    readonly find: (
      addresses: ReadonlyArray<Address.Address>
    ) => Effect.Effect<ReadonlyArray<Match | undefined>, SuppressionError>
    /** The number of addresses and domains on the list, where it is known. */
    readonly size?: number | undefined
  }
>()("mailrace/Suppression") {}

/**
 * Drops recipients that are on the list.
 *
 * @since 0.1.0
 */
export const check: Screening.Check<SuppressionError, Suppression> = {
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

/**
 * A list in another place, such as a database.
 *
 * @since 0.1.0
 */
export const layer = (service: Suppression["Service"]): Layer.Layer<Suppression> => Layer.succeed(Suppression, service)

/**
 * A list in memory; a million entries take 17 MB.
 *
 * @since 0.1.0
 */
export const layerList = (entries: Iterable<string>): Layer.Layer<Suppression, SuppressionError> =>
  layerLines(Stream.fromIterable(entries))

/**
 * A list read from lines, as of a file: `Stream.decodeText(file).pipe(Stream.splitLines)`.
 *
 * A line is an address, `@domain` (also written `*@domain`) or `domain.tld`, and may hold more of them after commas,
 * semicolons or blanks. Empty lines and lines that begin with `#` are skipped. In a table with a heading, the first column
 * counts and every column that the heading calls addresses. Any other line is an error, also one with other text before its
 * address or not in UTF-8, because a misread entry would get mail.
 *
 * @since 0.1.0
 */
export const layerLines = <E, R>(
  lines: Stream.Stream<string, E, R>
): Layer.Layer<Suppression, SuppressionError | E, R> => Layer.effect(Suppression, fromLines(lines))

/**
 * Reads the bytes of a file, in UTF-8, or in UTF-16 as Excel and PowerShell write it. Its lines are as in `layerLines`; a file
 * in another encoding is refused at its first line that is not ASCII.
 *
 * @since 0.1.0
 */
export const fromBytes = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<Suppression["Service"], SuppressionError | E, R> =>
  bytes.pipe(
    Utf16.toUtf8((problem, remedy) => new SuppressionError({ problem: `it ${problem}`, remedy })),
    Stream.decodeText(),
    Stream.splitLines,
    fromLines
  )

/**
 * Says in one line where in a file of this name the fault is.
 *
 * @since 0.1.0
 */
export const faultIn = (file: string, { line, problem }: SuppressionError): string =>
  line === undefined ? `${file}: ${problem}` : `${file}, line ${line}: ${problem}`

const fromLines = <E, R>(
  lines: Stream.Stream<string, E, R>
): Effect.Effect<Suppression["Service"], SuppressionError | E, R> =>
  Effect.suspend(() => {
    const list = new List()
    return Effect.map(
      Stream.runForEachArray(lines, (chunk) => Effect.suspend(() => list.addAll(chunk))),
      () =>
        Suppression.of({
          find: (addresses) => Effect.sync(() => addresses.map((one) => list.find(one))),
          size: list.size
        })
    )
  })

const verdicts: { readonly [M in Match]: Screening.Verdict } = {
  address: { action: "drop", detail: "the address is on the suppression list" },
  domain: { action: "drop", detail: "the domain is on the suppression list" }
}

class List {
  private readonly addresses = new AddressSet.AddressSet()
  private readonly domains = new AddressSet.AddressSet()
  private line = 0
  private isBegun = false
  private table: SuppressionLine.Table | undefined

  get size(): number {
    return this.addresses.size + this.domains.size
  }

  addAll(lines: ReadonlyArray<string>): Effect.Effect<void, SuppressionError> {
    for (const line of lines) {
      this.line++
      const fault = this.addLine(line.trim())
      if (fault !== undefined)
        return Effect.fail(new SuppressionError({ remedy: usualRemedy, ...fault, line: this.line }))
    }
    return Effect.void
  }

  find(address: Address.Address): Match | undefined {
    if (this.addresses.has(AddressSet.keyOf(address))) return "address"
    return this.domains.has(AddressSet.domainKey(Address.domain(address))) ? "domain" : undefined
  }

  private addLine(line: string): Fault | undefined {
    if (line === "" || line.startsWith("#")) return undefined
    if (line.includes("\0")) return notUtf8("utf-16")
    if (!this.isBegun) {
      this.isBegun = true
      this.table = SuppressionLine.tableOf(line)
      if (this.table !== undefined) return undefined
    }
    const { table } = this
    const cells = table && SuppressionLine.cellsOf(line, table)
    if (cells === undefined) return this.addEntries(SuppressionLine.entriesOf(line))
    const [first, ...others] = cells
    return (
      this.addEntries(SuppressionLine.entriesOf(first ?? "")) ??
      this.addEach(others.flatMap(SuppressionLine.entriesOf).filter(hasAt))
    )
  }

  /** Adds the first entry of a line, and later ones that can be meant for an address or a domain. */
  private addEntries(entries: ReadonlyArray<string>): Fault | undefined {
    const [first, ...rest] = entries
    if (first === undefined) return undefined
    if (!hasAt(first) && first.includes(".")) {
      // A word like a domain may be a name (`ann.lee <…>`), a date or an amount.
      if (/\.\d+$/.test(first)) return { problem: "it begins with a number instead of an address or a domain" }
      if (rest.some((entry) => domainOf(entry) === undefined && hasAt(entry)))
        return { problem: "its address is not in first place" }
    }
    // After an address, a word with a dot is more often a remark than a domain.
    const areDomains = entries.every(isDomain)
    return this.addEach([first, ...(areDomains ? rest : rest.filter(hasAt))])
  }

  private addEach(entries: ReadonlyArray<string>): Fault | undefined {
    for (const entry of entries) {
      const fault = this.add(entry)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  /** Adds an entry; returns the fault of text that is not one. */
  private add(entry: string): Fault | undefined {
    if (entry.includes("\uFFFD")) return notUtf8("latin1")
    const domain = domainOf(entry)
    // In quotes it is a part of an address.
    if ((domain ?? entry).includes("*") && !entry.startsWith('"'))
      return { problem: `"${entry}" is not an address, and "*" is allowed only in the form *@example.org` }
    const parsed = Address.parse(domain === undefined ? entry : `x@${domain}`)
    if (Result.isFailure(parsed)) return { problem: `it is neither an address nor a domain: ${parsed.failure.problem}` }
    if (domain === undefined) this.addresses.add(AddressSet.keyOf(parsed.success))
    else this.domains.add(AddressSet.domainKey(Address.domain(parsed.success)))
    return undefined
  }
}

/** The fault of a line, and a remedy if the usual one does not fit. */
interface Fault {
  readonly problem: string
  readonly remedy?: string
}

const usualRemedy = "write an address, or a domain as @example.org, and put # before a remark"

/** The list is not in UTF-8, as which it was read. */
const notUtf8 = (encoding: "latin1" | "utf-16"): Fault => ({
  problem:
    encoding === "utf-16" ? "the list is UTF-16, not UTF-8" : "it is not UTF-8, so that its address is not known",
  remedy: `save the list as UTF-8 (iconv -f ${encoding} -t utf-8)`
})

/** The domain that an entry means as a whole; `undefined` for an address. */
const domainOf = (entry: string): string | undefined =>
  /^\*?@/.test(entry) ? entry.slice(entry.indexOf("@") + 1) : hasAt(entry) || !entry.includes(".") ? undefined : entry

const isDomain = (entry: string): boolean => {
  const domain = domainOf(entry)
  return domain !== undefined && Result.isSuccess(Address.parse(`x@${domain}`))
}

const hasAt = (entry: string): boolean => entry.includes("@")
