/**
 * What is found about a message.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import * as Dkim from "mailrace/Dkim"
import type * as Mail from "mailrace/Mail"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { generateKeyPairSync } from "node:crypto"
import * as Preflight from "../src/Preflight.ts"

const mail: Mail.Mail = {
  from: "News <news@example.org>",
  to: "ann@x.example",
  subject: "Hello",
  html: '<p>Hello <a href="https://example.org/leave/1">Unsubscribe</a></p>',
  listUnsubscribe: "https://example.org/leave/1"
}

const privateKey = Redacted.make(
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string
)

const signed = (options: Partial<Dkim.Settings & { readonly domain: string }> = {}, of: Mail.Mail = mail) =>
  Effect.gen(function* () {
    return yield* (yield* Composer).compose(of)
  }).pipe(Effect.provide(Dkim.layer({ domain: "example.org", selector: "s1", privateKey, ...options })))

/** A message as it stands. */
const raw = (lines: ReadonlyArray<string>) =>
  Effect.map(MimeComposer.compose(mail), ({ envelope }) =>
    Composed.make({ messageId: "<1@example.org>", envelope, content: Buffer.from(lines.join("\r\n")) })
  )

const header = ["From: a@example.org", "Date: Fri, 27 Nov 2026 20:00:00 +0000", "Message-ID: <1@example.org>"]

interface Row {
  readonly what: string
  readonly message: Effect.Effect<Composed.Composed, unknown>
  readonly options?: Preflight.MessageOptions
  readonly rule: Preflight.Rule
  readonly verdict: Preflight.Verdict
  readonly found: RegExp
  readonly remedy: RegExp
}

const rows: ReadonlyArray<Row> = [
  {
    what: "no way off the list",
    message: MimeComposer.compose({ ...mail, listUnsubscribe: undefined }),
    rule: "unsubscribe",
    verdict: "problem",
    found: /offers no way off the list/,
    remedy: /`listUnsubscribe`/
  },
  {
    what: "an address to write to alone",
    message: MimeComposer.compose({ ...mail, listUnsubscribe: { mailto: "leave@example.org" } }),
    rule: "unsubscribe",
    verdict: "problem",
    found: /no https: address/,
    remedy: /one-click/
  },
  {
    what: "a link without one-click",
    message: MimeComposer.compose({
      ...mail,
      listUnsubscribe: { url: "https://example.org/leave/1", oneClick: false }
    }),
    rule: "unsubscribe",
    verdict: "problem",
    found: /not offered for one click/,
    remedy: /List-Unsubscribe-Post/
  },
  {
    what: "one-click that is not signed",
    message: signed({ headers: ["From", "Subject"] }),
    rule: "unsubscribe",
    verdict: "problem",
    found: /does not cover the fields/,
    remedy: /sign List-Unsubscribe/
  },
  {
    what: "one-click that is signed",
    message: signed(),
    rule: "unsubscribe",
    verdict: "ok",
    found: /one click, and signed/,
    remedy: /^null$/
  },
  {
    what: "no visible link",
    message: MimeComposer.compose({ ...mail, html: "<p>Hello</p>" }),
    rule: "unsubscribeLink",
    verdict: "advice",
    found: /no visible way off/,
    remedy: /add a link/
  },
  {
    what: "a link in other words, known from the header",
    message: MimeComposer.compose({ ...mail, html: '<a href="https://example.org/leave/1">Nein danke</a>' }),
    rule: "unsubscribeLink",
    verdict: "ok",
    found: /names a way off/,
    remedy: /^null$/
  },
  {
    what: "a signature of the organisation",
    message: signed({}, { ...mail, from: "a@news.example.org" }),
    rule: "alignment",
    verdict: "ok",
    found: /signed by example\.org, which speaks for news\.example\.org/,
    remedy: /^null$/
  },
  {
    what: "a signature of the organisation where the whole domain is wanted",
    message: signed({}, {
      ...mail,
      from: "a@news.example.org",
      envelope: { from: "bounce@other.example" }
    } as Mail.Mail),
    options: { strictness: { dkim: "strict", spf: "strict" } },
    rule: "alignment",
    verdict: "problem",
    found: /neither speaks for news\.example\.org|signature is by example\.org/,
    remedy: /sign for/
  },
  {
    what: "a signature of somebody else",
    message: signed({ domain: "provider.example" }, { ...mail, from: "a@shop.co.uk" }),
    rule: "alignment",
    verdict: "ok",
    found: /the envelope's sender is at shop\.co\.uk, if SPF passes/,
    remedy: /^null$/
  },
  {
    what: "no signature",
    message: MimeComposer.compose(mail),
    rule: "alignment",
    verdict: "unknown",
    found: /not signed here/,
    remedy: /sign it for example\.org/
  },
  {
    what: "a sender at a mailbox provider",
    message: MimeComposer.compose({ ...mail, from: "shop@gmail.com" }),
    rule: "from",
    verdict: "problem",
    found: /at a mailbox provider/,
    remedy: /Reply-To/
  },
  {
    what: "two fields From",
    message: raw([...header, "From: b@example.org", "", "Hello"]),
    rule: "format",
    verdict: "problem",
    found: /occurs 2 times/,
    remedy: /give From once/
  },
  {
    what: "two senders",
    message: raw(["From: a@example.org, b@example.org", ...header.slice(1), "", "Hello"]),
    rule: "format",
    verdict: "problem",
    found: /has 2 addresses/,
    remedy: /exactly one/
  },
  {
    what: "no date",
    message: raw([header[0]!, header[2]!, "", "Hello"]),
    rule: "format",
    verdict: "problem",
    found: /missing/,
    remedy: /give the message a Date/
  },
  {
    what: "a long line",
    message: raw([...header, "", "x".repeat(999)]),
    rule: "format",
    verdict: "problem",
    found: /longer than 998 bytes/,
    remedy: /wrap/
  },
  {
    what: "HTML that Gmail clips",
    message: MimeComposer.compose({ ...mail, html: `<p>${"word ".repeat(25_000)}</p>` }),
    rule: "size",
    verdict: "advice",
    found: /Gmail shows the first 102 KB/,
    remedy: /smaller/
  }
]

describe("Preflight.checkMessage", () => {
  for (const { found, message, options, remedy, rule, verdict, what } of rows) {
    it.effect(`finds ${what}`, () =>
      Effect.gen(function* () {
        const findings = yield* Preflight.checkMessage(yield* message, options)
        const finding = findings.find((one) => one.rule === rule)!
        assert.strictEqual(finding.verdict, verdict, JSON.stringify(finding))
        assert.match(finding.found, found)
        assert.match(String(finding.remedy), remedy)
      })
    )
  }

  it.effect("finds nothing wrong with a good message", () =>
    Effect.gen(function* () {
      const findings = yield* Preflight.checkMessage(yield* signed())
      assert.deepStrictEqual(
        findings.map(({ rule, verdict }) => [rule, verdict]),
        [
          ["format", "ok"],
          ["from", "ok"],
          ["alignment", "ok"],
          ["unsubscribe", "ok"],
          ["unsubscribeLink", "ok"],
          ["size", "ok"]
        ]
      )
    })
  )

  it.effect("asks no way off a list of what readers asked for themselves", () =>
    Effect.gen(function* () {
      const message = yield* MimeComposer.compose({ ...mail, listUnsubscribe: undefined, html: "<p>Your receipt</p>" })
      const findings = yield* Preflight.checkMessage(message, { kind: "transactional" })
      assert.notIncludeMembers(
        findings.map(({ rule }) => rule),
        ["unsubscribe", "unsubscribeLink"]
      )
    })
  )
})
