/**
 * Stores why the messages of each dispatcher wait, so that other processes can report it, as `Outbox.stats` does.
 *
 * All dispatchers share one ledger. Each writes to it while messages wait, at most every two seconds, and once more when
 * none wait any longer. The report of a dispatcher that died is out of date after half a minute.
 */
import type { Wait } from "@mailrace/flow/FlowControl"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { StoredWait } from "../../OutboxEntry.ts"
import type { OutboxError } from "../../OutboxError.ts"
import type { Ledgers } from "../../OutboxStore.ts"
import * as OutboxId from "../store/outboxId.ts"

const ledgerName = "waits"

const everyMs = 2_000

/** A report that has not changed is written again after this many milliseconds. */
const renewedMs = 10_000

const outdatedMs = 30_000

/** Shorter waits are not worth a write, in milliseconds. */
const shortestMs = 1_000

/** The largest number of waits kept for one dispatcher. */
const most = 100

/** A dispatcher's report: its waits, with times in milliseconds since 1970; infinite ones are `null`. */
interface Entry {
  readonly at: number
  readonly waits: ReadonlyArray<Omit<Wait, "until"> & { readonly until: number | null }>
}

type Entries = Readonly<Record<string, Entry>>

/** Reports the waits for as long as the scope lasts; never fails, because it only informs. */
export const run = (
  ledgers: Ledgers,
  waits: (now: number) => ReadonlyArray<Wait>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const name = OutboxId.make(yield* Clock.currentTimeMillis)
    let written = ""
    let writtenAt = Number.NEGATIVE_INFINITY
    const write = (own: Entry["waits"]) =>
      Effect.gen(function* () {
        const { ledger, now, version } = yield* ledgers.read(ledgerName)
        const others = Object.entries(current(ledger, now)).filter(([other]) => other !== name)
        const entries = own.length === 0 ? others : [...others, [name, { at: now, waits: own }] as const]
        return yield* ledgers.write(ledgerName, version, JSON.stringify(Object.fromEntries(entries)))
      })
    const report = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const own = waits(now)
        .filter(({ gate, since }) => gate !== "window" && now - since >= shortestMs)
        .slice(0, most)
        .map((wait) => ({ ...wait, until: Number.isFinite(wait.until) ? wait.until : null }))
      // A time that only comes nearer is not a change.
      const text = own.map(({ gate, key, reply, since }) => `${gate} ${key} ${since} ${reply}`).join("\n")
      if (text === written && (own.length === 0 || now - writtenAt < renewedMs)) return
      if (!(yield* write(own))) return
      written = text
      writtenAt = now
    })
    yield* Effect.addFinalizer(() =>
      written === "" ? Effect.void : Effect.ignore(Effect.timeout(write([]), "1 second"))
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(everyMs), Effect.ignore(report))))
  })

/** The waits that live dispatchers report, the longest first. */
export const read = (ledgers: Ledgers): Effect.Effect<ReadonlyArray<StoredWait>, OutboxError> =>
  Effect.map(ledgers.read(ledgerName), ({ ledger, now }) =>
    Object.values(current(ledger, now))
      .flatMap(({ waits }) =>
        waits.map(({ gate, key, reply, since, until }) => ({
          gate,
          key,
          since: new Date(since),
          until: until === null ? undefined : new Date(until),
          reply
        }))
      )
      .sort((a, b) => a.since.getTime() - b.since.getTime())
  )

const current = (ledger: string | undefined, now: number): Entries =>
  Object.fromEntries(
    Object.entries(ledger === undefined ? {} : (JSON.parse(ledger) as Entries)).filter(
      ([, { at }]) => now - at < outdatedMs
    )
  )
