/**
 * A compiled template: the cost of making the bytes of a message whose text and HTML are known except for one field.
 *
 * It renders the same messages that the composers get, so that both can be compared.
 */
import type * as Mail from "mailrace/Mail"
import * as Template from "mailrace/Template"
import * as Effect from "effect/Effect"
import { performance } from "node:perf_hooks"
import type { Batch, MakeContestant } from "../Contestant.ts"

export const make: MakeContestant = async (_, messages) => {
  const template = await Effect.runPromise(Template.compile(templateOf(messages.mail(0))))
  const render = (index: number) => {
    const { date, messageId, to } = messages.mail(index)
    return template.render({ to, messageId, date, data: { number: numberOf(index) } })
  }
  const send = (batch: Batch): Promise<void> =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let index = batch.first; index < batch.first + batch.count; index++) {
          const begin = performance.now()
          const { size } = yield* render(index)
          if (size > 0) batch.accepted(performance.now() - begin)
          else batch.failed("nothing was rendered")
        }
      })
    )
  return {
    concurrency: 1,
    contentOf: (index) =>
      Effect.runPromise(
        Effect.map(render(index), ({ content }) => (content instanceof Uint8Array ? content : new Uint8Array()))
      ),
    send,
    close: async () => {}
  }
}

const numberOf = (index: number): string => String(index).padStart(10, "0")

/** The first message with a field in place of its number. */
const templateOf = (mail: Mail.Mail): Template.Source => {
  const open = (text: string | undefined) => text?.replaceAll(numberOf(0), "{{number}}")
  return { from: mail.from, subject: open(mail.subject) ?? "", text: open(mail.text), html: open(mail.html) }
}
