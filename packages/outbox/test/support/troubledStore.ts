/**
 * A store that fails, or gives no answer, when the test says so; otherwise the one that it stands before.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as OutboxError from "../../src/OutboxError.ts"
import type { OutboxStore, Settlement, DispatcherLease } from "../../src/OutboxStore.ts"

/** What a call meets: nothing, an error, or silence. */
export type Trouble = OutboxError.OutboxError | "silence" | undefined

/** What the test decides. */
export interface Troubles {
  /** Asked for each batch of ends. */
  settle: (batch: ReadonlyArray<Settlement>) => Trouble
  begin: () => Trouble
  claim: () => Trouble
  release: () => Trouble
  /** Comes before each answer to a batch of ends. */
  wait: Effect.Effect<void>
  /** The sizes of the batches of ends that were tried. */
  readonly batches: Array<number>
  /** How often was claimed. */
  claims: number
}

const calm = {
  settle: () => undefined,
  begin: () => undefined,
  claim: () => undefined,
  release: () => undefined,
  wait: Effect.void
}

/** No trouble yet. */
export const troubles = (): Troubles => ({
  ...calm,
  batches: [],
  claims: 0
})

/** Ends them. */
export const end = (decided: Troubles): void => void Object.assign(decided, calm)

/** The disk is full. */
export const diskFull = OutboxError.make(new OutboxError.DiskFull({ store: "test.db" }))

/** Waiting does not mend it. */
export const readOnly = OutboxError.make(new OutboxError.ReadOnly({ store: "test.db" }))

/** Stands before a store. */
export const before = <E>(
  open: Effect.Effect<OutboxStore, E, Scope.Scope>,
  decided: Troubles
): Effect.Effect<OutboxStore, E, Scope.Scope> =>
  Effect.map(open, (store) => ({
    ...store,
    dispatch: (...args) =>
      Effect.map(store.dispatch(...args), (lease): DispatcherLease => ({
        ...lease,
        settle: (batch) =>
          meet(
            () => {
              decided.batches.push(batch.length)
              return decided.settle(batch)
            },
            Effect.andThen(decided.wait, lease.settle(batch))
          ),
        begin: (rows) => meet(() => decided.begin(), lease.begin(rows)),
        claim: (quotas, now) =>
          meet(
            () => {
              decided.claims++
              return decided.claim()
            },
            lease.claim(quotas, now)
          ),
        release: (rows) => meet(() => decided.release(), lease.release(rows))
      }))
  }))

const meet = <A>(
  decide: () => Trouble,
  effect: Effect.Effect<A, OutboxError.OutboxError>
): Effect.Effect<A, OutboxError.OutboxError> =>
  Effect.suspend(() => {
    const trouble = decide()
    if (trouble === undefined) return effect
    return trouble === "silence" ? Effect.never : Effect.fail(trouble)
  })
