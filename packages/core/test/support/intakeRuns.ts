/**
 * Mails run through checks, with what was found.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Screening from "../../src/Screening.ts"
import type * as Mail from "../../src/Mail.ts"
import * as Suppression from "../../src/Suppression.ts"

/** A mail to someone. */
export const mail = (to: Mail.Mailboxes, more: Partial<Mail.Mail> = {}): Mail.Mail => ({
  from: "shop@example.org",
  to,
  subject: "Hello",
  ...more
})

/** Screens elements and gives what goes on, with what was found. */
export const screened = <A extends Screening.Addressed, E = never, R = never>(
  elements: ReadonlyArray<A>,
  checks: ReadonlyArray<Screening.Check<E, R>>,
  options: Screening.Options = {},
  chunk = 100
) =>
  Effect.gen(function* () {
    const findings: Array<Screening.Finding> = []
    const tally = Screening.makeTally()
    const kept = yield* Stream.fromIterable(elements).pipe(
      Stream.rechunk(chunk),
      Screening.screen(checks, {
        ...options,
        onFinding: (finding) =>
          Effect.andThen(
            Effect.sync(() => findings.push(finding)),
            tally.record(finding)
          )
      }),
      Stream.runCollect
    )
    return { kept, findings, counts: tally.counts }
  })

/** The findings in short. */
export const found = (findings: ReadonlyArray<Screening.Finding>) =>
  findings.map(({ action, address, index, isMailDropped, kind }) => [index, kind, action, address, isMailDropped])

/** Provides a suppression list. */
export const list = (...entries: ReadonlyArray<string>) => Effect.provide(Suppression.layerList(entries))
