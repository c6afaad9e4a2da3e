/**
 * A campaign: messages from one template, each with its own data, over 256 domains.
 */
import type * as Mail from "mailrace/Mail"

/** The number of domains. */
export const domains = 256

const template: Pick<Mail.Mail, "from" | "subject" | "text"> = {
  from: "campaign@sender.example",
  subject: "{{name}}, this is new",
  text: `Dear {{name}},\n\n${"the quick brown fox jumps over the lazy dog\n".repeat(20)}\nYour number is {{number}}.\n`
}

/** The message with a number, to be enqueued with `render`. */
export const mail = (index: number): Mail.Mail => ({
  ...template,
  to: `r${index}@lane${index % domains}.example`,
  data: { name: `Reader ${index}`, number: index }
})

/** Yields `count` messages from a number on. */
export function* mails(first: number, count: number): Generator<Mail.Mail> {
  for (let index = first; index < first + count; index++) yield mail(index)
}

/** The bytes of a message's own data, which any store must keep: its recipient and its fields. */
export const ownBytes = ({ data, to }: Mail.Mail): number => String(to).length + JSON.stringify(data).length
