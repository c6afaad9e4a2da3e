/**
 * The mails of the outboxes in `fixtures`: written there by an older version (`fixtures/write.ts`), and looked for by
 * the version under test. Neither may change once a fixture is made.
 */
import { createHash } from "node:crypto"
import type { Sendable } from "mailrace/Mailer"
import type * as Mail from "mailrace/Mail"
import * as Composed from "mailrace/Composed"
import type * as Envelope from "mailrace/Envelope"
import type { EnqueueOptions } from "../../src/EnqueueOptions.ts"
import type { State } from "../../src/OutboxEntry.ts"

/** A mail and where it stood when the fixture was written. */
export interface KeptMail {
  /** Its first recipient, by which it is known. */
  readonly recipient: string
  readonly mail: Sendable
  readonly options: EnqueueOptions
  readonly state: State
  /** Whether it was tried, and deferred, before. */
  readonly isDeferred: boolean
  /** Recipients that are still owed the mail, where those are not all of them. */
  readonly owed: ReadonlyArray<string> | undefined
}

/** When the mails were written, by their own Date field. */
const date = new Date("2026-11-27T12:00:00Z")

/** Later than anybody will run this. */
const farAway = new Date("2200-01-01T00:00:00Z")

/** Mails of this lane wait until it is resumed. */
export const pausedLane = "paused.test"

/** Bytes that do not pack, the same each time. */
const noise = (seed: string, length: number): Buffer => {
  const blocks: Array<Buffer> = []
  for (let i = 0; i * 32 < length; i++) blocks.push(createHash("sha256").update(`${seed} ${i}`).digest())
  return Buffer.concat(blocks).subarray(0, length)
}

const lines = (text: string, count: number): string =>
  Array.from({ length: count }, (_, i) => `${text} ${i}`).join("\n")

const newsletter = {
  from: "Äpfel & Söhne <news@shop.example>",
  subject: "Grüße aus dem Laden",
  text: lines("The same line in every mail of this campaign", 60),
  html: `<p>${lines("The same paragraph in every mail of this campaign", 60)}</p>`,
  date
}

const template = {
  from: "Shop <news@shop.example>",
  subject: "{{name|customer}}, order {{order.id}}",
  text: "Dear {{name|customer}},\n{{#each order.lines}}- {{this}}\n{{/each}}",
  html: '<p>Dear {{name|"customer"}}: <a href="https://shop.example/o/{{order.id}}">your order</a></p>',
  date
}

const catalogue = { filename: "catalogue.bin", content: noise("catalogue", 5_000) }

const composed = (to: string, body: string): Composed.Composed =>
  Composed.make({
    id: `made-${to}`,
    messageId: `<made-${to}>`,
    envelope: {
      from: "maker@sender.example" as Envelope.Envelope["from"],
      to: [to as Envelope.Envelope["to"][number]]
    },
    content: Buffer.from(
      `From: maker@sender.example\r\nTo: ${to}\r\nMessage-ID: <made-${to}>\r\nSubject: made\r\n\r\n${body}`
    )
  })

const plain = (to: string, more: Partial<Mail.Mail> = {}): Mail.Mail => ({
  from: "a@sender.example",
  to,
  subject: `For ${to}`,
  text: `This is for ${to}.\n.\n..\nMAIL FROM:<x@y>\n`,
  date,
  ...more
})

/** One of each kind for a lane. */
const kinds: ReadonlyArray<readonly [name: string, mail: (to: string) => Sendable, options?: EnqueueOptions]> = [
  ["plain", (to) => plain(to)],
  ["body", (to) => ({ ...newsletter, to })],
  ["body2", (to) => ({ ...newsletter, to: `Zoë <${to}>` })],
  [
    "render",
    (to) => ({ ...template, to, data: { name: `<${to}>`, order: { id: "7&8", lines: ["a", "b"] } } }),
    { render: true }
  ],
  ["render2", (to) => ({ ...template, to, data: { order: { id: "9", lines: [] } } }), { render: true, tenant: "shop" }],
  ["files", (to) => plain(to, { attachments: [catalogue, { filename: "note.txt", content: "klein, aber größer" }] })],
  ["files2", (to) => plain(to, { html: '<img src="cid:c1">', attachments: [{ ...catalogue, cid: "c1" }] })],
  ["made", (to) => composed(to, "Grüße\r\n.\r\n..\r\nRSET\r\n")],
  ["large", (to) => composed(to, `${"x".repeat(76)}\r\n`.repeat(4_000))],
  [
    "many",
    (to) =>
      plain(to, {
        to: [to, `Second <second-${to}>`],
        cc: `third-${to}`,
        bcc: `hidden-${to}`,
        replyTo: "r@sender.example"
      })
  ],
  ["own", (to) => plain(to, { id: `id-${to}`, messageId: `<own-${to}>`, headers: { "X-Kept": "Ünicode" } })],
  ["bounce", (to) => plain(to, { envelope: { from: "bounces@sender.example" } }), { priority: "high", tenant: "a" }],
  ["keyed", (to) => plain(to), { idempotencyKey: "order 1", priority: "bulk" }]
]

const kept = (
  recipient: string,
  state: State,
  mail: Sendable,
  options: EnqueueOptions = {},
  more: Partial<KeptMail> = {}
): KeptMail => ({
  recipient,
  mail,
  options: { expiresAt: farAway, ...options },
  state,
  isDeferred: false,
  owed: undefined,
  ...more
})

const ofKinds = (state: State, lane: string, only = kinds): ReadonlyArray<KeptMail> =>
  only.map(([name, mail, options = {}]) => {
    const to = `${name}@${lane}`
    const key = options.idempotencyKey
    return kept(to, state, mail(to), { ...options, idempotencyKey: key && `${key} of ${lane}` })
  })

/** Settled before the process was killed, or deferred. The relay of `write.ts` goes by the recipient's name. */
export const tried: ReadonlyArray<KeptMail> = [
  ...ofKinds("accepted", "done.test"),
  kept("rejected@done.test", "rejected", plain("rejected@done.test"), { idempotencyKey: "refused once" }),
  kept("lost@done.test", "dead", plain("lost@done.test")),
  ...["one", "two", "three"].map((name) => {
    const to = `later-${name}@later.test`
    return kept(to, "due", plain(to, { attachments: [catalogue] }), {}, { isDeferred: true })
  }),
  kept(
    "half@later.test",
    "due",
    plain("half@later.test", { to: ["half@later.test", "later-half@later.test"], cc: "rejected@later.test" }),
    {},
    { isDeferred: true, owed: ["later-half@later.test"] }
  )
]

/** Claimed when two processes were killed one after the other, so that the second watched them. */
export const claimedTwice: ReadonlyArray<KeptMail> = ofKinds("claimed", "hang.test")

/** Claimed when the second of them was killed. */
export const claimedOnce: ReadonlyArray<KeptMail> = ofKinds("claimed", "hang-once.test")

/** Untouched. */
export const waiting: ReadonlyArray<KeptMail> = [
  ...ofKinds("due", "first.test"),
  ...ofKinds("due", pausedLane, kinds.slice(0, 4)),
  ...Array.from({ length: 20 }, (_, i) =>
    kept(`reader@lane${i}.test`, "due", { ...newsletter, to: `reader@lane${i}.test` })
  ),
  ...["a", "b"].map((name) =>
    kept(`${name}@lanes.test`, "due", plain(`${name}@lanes.test`), { lane: "a lane ünlike a domain" })
  ),
  kept("soon@later.test", "due", plain("soon@later.test"), { sendAt: new Date("2026-11-27T23:00:00Z") }),
  kept("never@later.test", "due", plain("never@later.test"), { sendAt: new Date("2199-01-01T00:00:00Z") }),
  kept("withdrawn@first.test", "cancelled", plain("withdrawn@first.test"))
]

/** All of them. */
export const all: ReadonlyArray<KeptMail> = [...tried, ...claimedTwice, ...claimedOnce, ...waiting]
