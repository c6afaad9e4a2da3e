/**
 * A value for each message: fixed, or made from the message's data.
 */
import type * as Scope from "./scope.ts"
import * as TemplateSteps from "./steps.ts"

export interface Filling<out A> {
  /** True if all messages have the same value. */
  readonly isFixed: boolean
  /** The value for one message. Throws `MailError`. */
  readonly fillUnsafe: (scope: Scope.Scope) => A
  /** The names that are looked up in the data. */
  readonly names: TemplateSteps.Names
}

const none: TemplateSteps.Names = new Map()

/** A value that all messages share. */
export const fixed = <A>(value: A): Filling<A> => ({ isFixed: true, fillUnsafe: () => value, names: none })

/** A text with fields. */
export const text = (steps: TemplateSteps.Steps, missing: TemplateSteps.Missing): Filling<string> =>
  TemplateSteps.isStatic(steps)
    ? fixed(steps.map((step) => (step._tag === "Static" ? step.text : "")).join(""))
    : {
        isFixed: false,
        fillUnsafe: (scope) => TemplateSteps.textUnsafe(steps, scope, missing),
        names: TemplateSteps.names(steps)
      }

export const map = <A, B>(self: Filling<A>, change: (value: A) => B): Filling<B> => ({
  ...self,
  fillUnsafe: (scope) => change(self.fillUnsafe(scope))
})

/** Several at once; fixed if all are. */
export const all = <A extends { readonly [name: string]: Filling<unknown> }>(
  fillings: A
): Filling<{ readonly [K in keyof A]: A[K] extends Filling<infer B> ? B : never }> => {
  const entries = Object.entries(fillings)
  return {
    isFixed: entries.every(([, filling]) => filling.isFixed),
    fillUnsafe: (scope) =>
      Object.fromEntries(entries.map(([name, filling]) => [name, filling.fillUnsafe(scope)])) as never,
    names: TemplateSteps.firstOf(entries.map(([, filling]) => filling.names))
  }
}

/** A list of them; fixed if all are. */
export const list = <A>(fillings: ReadonlyArray<Filling<A>>): Filling<ReadonlyArray<A>> => ({
  isFixed: fillings.every((filling) => filling.isFixed),
  fillUnsafe: (scope) => fillings.map((filling) => filling.fillUnsafe(scope)),
  names: TemplateSteps.firstOf(fillings.map((filling) => filling.names))
})
