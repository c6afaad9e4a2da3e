/**
 * What lines have in common, as the flags would say it, and the mails that readers make with it.
 */
import * as Effect from "effect/Effect"
import type * as Template from "mailrace/Template"
import type { Campaign } from "../../src/input/Campaign.ts"
import { describe, type Entry, mailOf } from "../../src/input/Entry.ts"
import * as TemplateFile from "../../src/input/TemplateFile.ts"

/** As `--from`, `--subject`, `--text-file` and `--html-file` give it. */
export const campaignOf = ({ from, ...parts }: Partial<Template.Source> & { readonly from?: string }) =>
  Effect.map(TemplateFile.compileParts({ ...parts, ...(from === undefined ? {} : { from }) }), (filling): Campaign => ({
    from,
    filling
  }))

/** As `--template` gives it. */
export const templateOf = (template: Template.Template): Campaign => ({
  filling: { template, placeOf: (field) => `t.html, ${field}` }
})

/** The mails of entries, filled in; why there is none, in words, where there is none. */
export const mailsOf = (entries: ReadonlyArray<Entry>): Effect.Effect<ReadonlyArray<unknown>> =>
  Effect.forEach(entries, (entry): Effect.Effect<unknown> => {
    if (entry._tag === "BadEntry") return Effect.succeed(describe(entry))
    if (entry.template === undefined) return Effect.succeed(entry.mail)
    return Effect.catch(mailOf(entry), ({ reason }) => Effect.succeed(`line ${entry.line}, ${reason.message}`))
  })
