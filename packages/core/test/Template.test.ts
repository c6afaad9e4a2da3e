import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Composed from "../src/Composed.ts"
import { Composer } from "../src/Composer.ts"
import * as Dkim from "../src/Dkim.ts"
import * as Mailer from "../src/Mailer.ts"
import { MailTransport } from "../src/MailTransport.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Template from "../src/Template.ts"
import * as Dkims from "./support/dkim.ts"
import * as Files from "./support/files.ts"
import { readWithMailparser, readWithPostalMime, wireProblem } from "./support/readers.ts"

const source: Template.Source = {
  from: "Shop <shop@example.org>",
  subject: "Hello {{name}}",
  text: "Dear {{name}},\nyour code is {{code}}.\n"
}

const ann = { to: "Ann <ann@example.org>", data: { name: "Ann", code: 4711 } }

const bytesOf = ({ content }: Composed.Composed) =>
  content instanceof Uint8Array
    ? Effect.succeed(Buffer.from(content))
    : Effect.map(Stream.runCollect(content.stream), (chunks) => Buffer.concat(chunks))

const read = (composed: Composed.Composed) =>
  Effect.flatMap(bytesOf(composed), (raw) => {
    assert.strictEqual(wireProblem(raw), undefined)
    assert.strictEqual(raw.length, composed.size)
    return Effect.promise(() => readWithPostalMime(raw))
  })

const header = (composed: Composed.Composed) =>
  Effect.map(bytesOf(composed), (raw) => raw.toString().split("\r\n\r\n")[0]!)

/** Compiles and renders, for one person. */
const renderOne = (given: Partial<Template.Source>, data: Template.Fields = ann.data, options?: Template.Options) =>
  Effect.flatMap(Template.compile({ ...source, ...given }, options), (template) => template.render({ ...ann, data }))

const refusal = (given: Partial<Template.Source>, options?: Template.Options) =>
  Effect.map(Effect.flip(Template.compile({ ...source, ...given }, options)), (error) => error.message)

describe("Template", () => {
  it.effect("renders a message", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 2, 3, 4, 5))
      const template = yield* Template.compile(source)
      const rendered = yield* template.render({ ...ann, id: "7", tenant: "blue" })
      assert.deepInclude(rendered, { _tag: "Composed", id: "7", tenant: "blue", eightBit: false, utf8Headers: false })
      assert.deepStrictEqual<ReadonlyArray<string>>(rendered.envelope.to, ["ann@example.org"])
      assert.strictEqual(rendered.envelope.from, "shop@example.org")
      assert.match(rendered.messageId, /^<[\da-f]{32}@example\.org>$/)
      assert.strictEqual(
        (yield* bytesOf(rendered)).toString(),
        [
          "From: Shop <shop@example.org>",
          "To: Ann <ann@example.org>",
          "Subject: Hello Ann",
          "Date: Fri, 02 Jan 2026 03:04:05 +0000",
          `Message-ID: ${rendered.messageId}`,
          "MIME-Version: 1.0",
          "Content-Type: text/plain; charset=utf-8",
          "Content-Transfer-Encoding: quoted-printable",
          "",
          "Dear Ann,",
          "your code is 4711.",
          ""
        ].join("\r\n")
      )
      assert.notStrictEqual((yield* template.render(ann)).messageId, rendered.messageId)
    })
  )

  it.effect("names the fields that it looks up", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({
        from: { name: "{{a}}", address: "{{b}}@example.org" },
        to: "{{c}}",
        replyTo: ["{{d}} <x@example.org>"],
        subject: "{{e.f|g}}",
        headers: { "X-A": "{{h}}" },
        listUnsubscribe: "https://example.org/{{i}}",
        text: "{{#if j}}{{k}}{{else}}{{k}}{{/if}}",
        html: "{{#each l}}{{this}}{{m}}{{#each n}}{{o}}{{else}}{{p}}{{/each}}{{else}}{{q}}{{/each}}"
      })
      assert.deepStrictEqual(template.fields, ["a", "b", "c", "d", "e.f", "h", "i", "j", "k", "l", "q"])
    })
  )

  it.effect("the recipient's own words go before the template's", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, to: "all@example.org", replyTo: "desk@example.org" })
      const rendered = yield* template.render({
        data: ann.data,
        from: "Eve <eve@example.com>",
        to: ["ann@example.org", { name: "Bob", address: "bob@example.org" }],
        cc: "cc@example.org",
        bcc: "bcc@example.org",
        replyTo: "eve@example.net",
        messageId: "a@b",
        date: new Date(0),
        inReplyTo: "<c@d>",
        references: "<c@d> <e@f>",
        dsn: { notify: "never" },
        requireTls: true
      })
      assert.deepStrictEqual(rendered.envelope, {
        from: "eve@example.com",
        to: ["ann@example.org", "bob@example.org", "cc@example.org", "bcc@example.org"],
        dsn: { notify: "never" },
        requireTls: true
      } as never)
      assert.strictEqual(
        (yield* header(rendered)).split("\r\nMIME")[0],
        [
          "From: Eve <eve@example.com>",
          "To: ann@example.org, Bob <bob@example.org>",
          "Cc: cc@example.org",
          "Reply-To: eve@example.net",
          "Subject: Hello Ann",
          "Date: Thu, 01 Jan 1970 00:00:00 +0000",
          "Message-ID: <a@b>",
          "In-Reply-To: <c@d>",
          "References: <c@d> <e@f>"
        ].join("\r\n")
      )
      const replying = yield* template.render({ data: ann.data, inReplyTo: "<c@d>" })
      assert.match(yield* header(replying), /^In-Reply-To: <c@d>\r$/m)
      const referring = yield* template.render({ data: ann.data, references: "<c@d>" })
      assert.match(yield* header(referring), /^References: <c@d>\r$/m)
      const own = yield* template.render({ data: ann.data, envelope: { from: "", to: ["x@example.org"] } })
      assert.deepStrictEqual([own.envelope.from, own.envelope.to], [undefined, ["x@example.org" as never]])
      assert.match(yield* header(own), /^To: all@example\.org\r$/m)
      const hidden = yield* template.render({ data: ann.data, to: [], bcc: "bcc@example.org" })
      assert.match(yield* header(hidden), /^To: undisclosed-recipients:;\r$/m)
    })
  )

  it.effect("mailboxes, custom headers and the unsubscribe address are filled in", () =>
    Effect.gen(function* () {
      const rendered = yield* renderOne(
        {
          from: '"{{rep.name}}" <{{rep.user}}@example.org>',
          replyTo: "{{rep.user}}+{{code}}@example.org",
          headers: { "X-Fixed": "f", "X-Code": ["{{code}}", "a"], "X-Rep": "{{rep.name}}" },
          listUnsubscribe: { url: "{{url}}&r={{rep.name}}", mailto: "leave+{{code}}@example.org", oneClick: false },
          priority: "high"
        },
        { ...ann.data, rep: { name: "Zoë, Rep", user: "zoe" }, url: "https://example.org/u?t=1" }
      )
      const seen = yield* read(rendered)
      assert.deepStrictEqual(seen.from, ["Zoë, Rep <zoe@example.org>"])
      assert.deepStrictEqual(seen.replyTo, [" <zoe+4711@example.org>"])
      assert.deepStrictEqual(seen.header("x-fixed"), ["f"])
      assert.deepStrictEqual(seen.header("x-code"), ["4711", "a"])
      assert.deepStrictEqual(seen.header("x-rep"), ["Zoë, Rep"])
      assert.deepStrictEqual(seen.header("importance"), ["high"])
      assert.deepStrictEqual(seen.header("list-unsubscribe"), [
        "<mailto:leave+4711@example.org>, <https://example.org/u?t=1&r=Zo%C3%AB%2C%20Rep>"
      ])
      assert.deepStrictEqual(seen.header("list-unsubscribe-post"), [])
      assert.strictEqual(rendered.envelope.from, "zoe@example.org")
      assert.match(rendered.messageId, /@example\.org>$/)
    })
  )

  it.effect("an address beyond ASCII needs SMTPUTF8, and says so", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, to: "{{email}}" })
      const plain = yield* template.render({ data: { ...ann.data, email: "ann@bücher.example" } })
      assert.isFalse(plain.utf8Headers)
      const utf8 = yield* template.render({ data: { ...ann.data, name: "Ö", email: "änn@bücher.example" } })
      assert.isTrue(utf8.utf8Headers)
      assert.include((yield* bytesOf(utf8)).toString(), "To: änn@bücher.example\r\nSubject: =?UTF-8?")
    })
  )

  describe("a field that the data lack", () => {
    it.effect("is an error that says where it is needed", () =>
      Effect.gen(function* () {
        const failed = (given: Partial<Template.Source>, data: Template.Fields) =>
          Effect.map(Effect.flip(renderOne(given, data)), (error) => {
            return error.message
          })
        assert.strictEqual(
          yield* failed({ text: "a\nb {{user.name}}", subject: "" }, { user: {} }),
          "InvalidMessage: data.user.name: the template needs it, it is missing (text, line 2, column 3)"
        )
        assert.strictEqual(
          yield* failed({ subject: "{{name}}" }, { name: null }),
          "InvalidMessage: data.name: the template needs it, it is missing (subject, line 1, column 1)"
        )
        assert.strictEqual(
          yield* failed({ text: "{{#each items}}{{price}}{{/each}}", subject: "" }, { items: [{ price: 1 }, {}] }),
          "InvalidMessage: data.items[1].price: the template needs it, it is missing (text, line 1, column 16)"
        )
        assert.strictEqual(
          yield* failed(
            { text: "{{#each a.b}}{{#each this}}{{this.c}}{{/each}}{{/each}}", subject: "" },
            { a: { b: [[{}]] } }
          ),
          "InvalidMessage: data.a.b[0][0].c: the template needs it, it is missing (text, line 1, column 28)"
        )
        assert.strictEqual(
          yield* failed({ text: "{{#each items}}x{{/each}}", subject: "" }, {}),
          "InvalidMessage: data.items: the template needs a list, it is missing (text, line 1, column 1)"
        )
        assert.strictEqual(
          yield* failed({ text: "{{#each items}}x{{/each}}", subject: "" }, { items: "abc" }),
          "InvalidMessage: data.items: the template needs a list, it is none (text, line 1, column 1)"
        )
        assert.strictEqual(
          yield* failed({ headers: { "X-A": ["", "{{a}}"] } }, { ...ann.data, a: {} }),
          "InvalidMessage: data.a: the template needs a text or a number, it is an object; name one of its fields (headers.X-A[1], line 1, column 1)"
        )
        assert.strictEqual(
          yield* failed({ html: "<p>{{a}}" }, { ...ann.data, a: [1] }),
          "InvalidMessage: data.a: the template needs a text or a number, it is a list; go through it with {{#each}} (html, line 1, column 4)"
        )
        for (const [field, text] of [
          ["text", "\0"],
          ["html", "a\0"]
        ] as const)
          assert.strictEqual(
            yield* failed({ subject: "", text: "", [field]: "{{a}}" }, { a: text }),
            `InvalidMessage: data.a: NUL is not allowed in a text (${field}, line 1, column 1)`
          )
      })
    )

    it.effect("is left out or kept where that is wanted", () =>
      Effect.gen(function* () {
        const given = {
          subject: "Hi {{name}}!",
          text: "{{ a.b }}{{#each c}}x{{/each}}{{d|e}}",
          html: '<a href="{{url}}" title="{{t|<}}">{{{h}}}</a>'
        }
        const empty = yield* read(yield* renderOne(given, {}, { missing: "empty" }))
        assert.deepInclude(empty, { subject: "Hi !", text: "e", html: '<a href="" title="&lt;"></a>' })
        const kept = yield* read(yield* renderOne(given, {}, { missing: "keep" }))
        assert.deepInclude(kept, {
          subject: "Hi {{name}}!",
          text: "{{ a.b }}e",
          html: '<a href="%7B%7Burl%7D%7D" title="&lt;">{{{h}}}</a>'
        })
      })
    )
  })

  it.effect("a value that is not in place is refused under its name, and a mail without recipients too", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, to: "{{name}} <{{email}}>" })
      const message = (recipient: Template.Recipient) =>
        Effect.map(Effect.flip(template.render(recipient)), (error) => error.message)
      assert.strictEqual(
        yield* message({ data: { ...ann.data, email: "ann" } }),
        "InvalidMessage: to.address: there is no @ (at character 4): write it as local@domain"
      )
      assert.strictEqual(
        yield* message({ data: { ...ann.data, name: "a\nb", email: "ann@example.org" } }),
        "InvalidMessage: data.name: a line feed is not allowed in a header (at character 2) (to, line 1, column 1)"
      )
      assert.strictEqual(
        yield* message({ data: ann.data, to: [] }),
        "InvalidMessage: to: there is no recipient; name at least one"
      )
      const noOne = yield* Template.compile(source)
      assert.strictEqual(
        (yield* Effect.flip(noOne.render({ data: ann.data }))).message,
        "InvalidMessage: to: there is no recipient; name at least one"
      )
      assert.strictEqual(
        (yield* Effect.flip(noOne.render({ ...ann, date: new Date(NaN) }))).message,
        "InvalidMessage: date: it is no date between the years 1900 and 9999"
      )
    })
  )

  describe("is refused when it is compiled", () => {
    it.effect.each([
      [
        { from: "nobody" },
        "from: there is no address here (at character 1): write Name <local@domain>, with the name in double quotes if it holds a comma; correct it in the template"
      ],
      [
        { subject: "a\nb" },
        "subject: a line feed is not allowed in a header (at character 2); correct it in the template"
      ],
      [
        { subject: "{{a" },
        "subject, line 1, column 1: {{ is never closed; close it with }}, or write \\{{ for braces that stand for themselves"
      ],
      [
        { to: "nobody" },
        "to: there is no address here (at character 1): write Name <local@domain>, with the name in double quotes if it holds a comma; correct it in the template"
      ],
      [
        { to: "{{a}} <b@example.org>, c@example.org" },
        "to: a list with fields stands in one string; give a list of strings"
      ],
      [
        { replyTo: { name: "{{", address: "a@example.org" } },
        "replyTo.name, line 1, column 1: {{ is never closed; close it with }}, or write \\{{ for braces that stand for themselves"
      ],
      [
        { headers: { Sender: "{{a}} <b@example.org>" } },
        "headers.Sender: a header of mailboxes takes no fields; use from, to or replyTo, or write it out"
      ],
      [
        { headers: { "X A": "{{a}}" } },
        'headers["X A"]: a header name is 1 to 76 printable ASCII characters without spaces and colons; correct it in the template'
      ],
      [
        { headers: { "X-A": "{{#each a}}" } },
        "headers.X-A, line 1, column 1: {{#each a}} is never closed; add {{/each}} where the block ends"
      ],
      [
        { headers: { Subject: "{{a}}" } },
        "headers.Subject: this header cannot be set here: use the field subject; correct it in the template"
      ],
      [
        { headers: { "List-Unsubscribe": "{{a}}" }, listUnsubscribe: "{{b}}" },
        "headers.List-Unsubscribe: this header cannot be set here: the field listUnsubscribe gives it already; correct it in the template"
      ],
      [
        { listUnsubscribe: "ftp://example.org/" },
        "listUnsubscribe.url: it must begin with https: or http:; correct it in the template"
      ],
      [
        { listUnsubscribe: "javascript:{{a}}" },
        'listUnsubscribe.url, line 1, column 12: nothing is safe in an address that begins with "javascript:"; take the field out, or allow the scheme with the option schemes'
      ],
      [
        { attachments: [{ filename: "a" }] },
        "attachments[0]: it has neither content nor a path; correct it in the template"
      ],
      [
        { attachments: [{ path: "/nowhere/a" }] },
        "attachments[0].path: no FileSystem is at hand to read it; provide NodeServices.layer, or give content; correct it in the template"
      ]
    ] as const)("%j", ([given, message]) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(given as Partial<Template.Source>), message)
      })
    )
  })

  it.effect("images and files are encoded once and come along with each mail", () =>
    Effect.gen(function* () {
      const image = Uint8Array.from({ length: 3000 }, (_, i) => i & 255)
      const template = yield* Template.compile({
        ...source,
        html: '<p>{{name}}</p><img src="cid:logo">',
        attachments: [
          { filename: "logo.png", content: image, cid: "logo" },
          { filename: "terms.txt", content: "Terms\n" },
          { filename: "large.bin", content: new Uint8Array(100_000).fill(7) }
        ]
      })
      for (const name of ["Ann", "Bob"]) {
        const rendered = yield* template.render({ ...ann, data: { ...ann.data, name } })
        const raw = yield* bytesOf(rendered)
        for (const reader of [readWithMailparser, readWithPostalMime]) {
          const seen = yield* Effect.promise(() => reader(raw))
          assert.strictEqual(seen.html, `<p>${name}</p><img src="cid:logo">`)
          assert.deepStrictEqual(
            seen.attachments.map(({ base64, cid, filename, inline, type }) => [
              filename,
              cid,
              inline,
              type,
              base64.length
            ]),
            [
              ["logo.png", "logo", true, "image/png", 4000],
              ["terms.txt", undefined, false, "text/plain", 8],
              ["large.bin", undefined, false, "application/octet-stream", 133_336]
            ]
          )
          assert.strictEqual(seen.attachments[0]!.base64, Buffer.from(image).toString("base64"))
        }
      }
    })
  )

  it.effect("what is the same in all bodies is the same object, and is where it is said to be", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, attachments: [{ filename: "a", content: "b" }] })
      const bodies = yield* Effect.forEach(["Ann", "Zoë"], (name) =>
        Effect.gen(function* () {
          const rendered = yield* template.render({ ...ann, data: { name, code: name } })
          const raw = yield* bytesOf(rendered)
          const { head, start, tail } = rendered.body!
          assert.strictEqual(raw.subarray(0, start).toString().split("\r\n\r\n").length, 2)
          const body = raw.subarray(start)
          assert.strictEqual(Buffer.compare(body.subarray(0, head.length), head), 0)
          assert.strictEqual(Buffer.compare(body.subarray(body.length - tail.length), tail), 0)
          assert.isAbove(head.length, 50)
          assert.isAbove(tail.length, 50)
          return rendered.body!
        })
      )
      assert.strictEqual(bodies[0]!.head, bodies[1]!.head)
      assert.strictEqual(bodies[0]!.tail, bodies[1]!.tail)
      const fixed = yield* renderOne({ text: "always the same" })
      assert.strictEqual(Buffer.from(fixed.body!.head).toString(), "always the same\r\n")
      assert.lengthOf(fixed.body!.tail, 0)
    })
  )

  it.effect("large files are read once and shared by all mails", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "mailrace-"))),
        (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
      )
      const file = path.join(folder, "large.bin")
      const content = Buffer.from(Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 7) & 255))
      yield* Effect.promise(() => fs.writeFile(file, content))
      const template = yield* Template.compile({
        ...source,
        attachments: [
          { path: file },
          { filename: "b.txt", content: Stream.fromIterable([Buffer.from("str"), Buffer.from("eam")]) }
        ]
      }).pipe(Effect.provide(Files.layer))
      yield* Effect.promise(() => fs.rm(file))
      const [one, other] = yield* Effect.all([template.render(ann), template.render(ann)])
      assert.isUndefined(one.body)
      for (const rendered of [one, other]) {
        assert.notInstanceOf(rendered.content, Uint8Array)
        for (const attempt of [1, 2]) {
          const seen = yield* read(rendered)
          assert.strictEqual(seen.text, "Dear Ann,\nyour code is 4711.", `attempt ${attempt}`)
          assert.deepStrictEqual(seen.header("message-id"), [rendered.messageId])
          assert.strictEqual(seen.attachments[0]!.base64, content.toString("base64"))
          assert.strictEqual(Buffer.from(seen.attachments[1]!.base64, "base64").toString(), "stream")
        }
      }
      const inFull = yield* read(yield* template.render({ ...ann, calendar: { content: "METHOD:REQUEST" } }))
      assert.includeMembers(
        inFull.attachments.map(({ base64, filename, type }) => `${filename} ${type} ${base64.length}`),
        ["large.bin application/octet-stream 2000000", "b.txt text/plain 8"]
      )
      const largest = (rendered: Composed.Composed) =>
        Effect.map(
          Stream.runCollect((rendered.content as Composed.StreamedContent).stream),
          (chunks) => chunks.toSorted((a, b) => b.length - a.length)[0]!
        )
      assert.strictEqual(yield* largest(one), yield* largest(other))
    })
  )

  it.effect("a mail's own files and invitation come beside the template's", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, attachments: [{ filename: "a.txt", content: "a" }] })
      const rendered = yield* template.render({
        ...ann,
        id: "9",
        attachments: [{ filename: "b.txt", content: "b" }],
        calendar: { content: "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR" }
      })
      assert.strictEqual(rendered.id, "9")
      assert.isUndefined(rendered.body)
      const seen = yield* read(rendered)
      assert.strictEqual(seen.subject, "Hello Ann")
      assert.includeMembers(
        seen.attachments.map((one) => one.filename),
        ["a.txt", "b.txt"]
      )
      assert.include((yield* bytesOf(rendered)).toString(), "text/calendar; method=REQUEST")
      const invited = yield* template.render({ ...ann, calendar: { content: "METHOD:CANCEL" } })
      assert.include((yield* bytesOf(invited)).toString(), "text/calendar; method=CANCEL")
      const failed = template.render({ ...ann, data: {}, calendar: { content: "" }, id: "10" })
      assert.strictEqual(failed.id, "10")
      assert.include((yield* Effect.flip(failed)).message, "data.name")
    })
  )

  it.effect("what the composer around does to every message, it does to rendered ones", () =>
    Effect.gen(function* () {
      const marked = (message: Composed.Composed) => Effect.succeed({ ...message, tenant: `${message.tenant} marked` })
      const composer = Composer.of({
        compose: (mail) => Effect.flatMap(MimeComposer.compose(mail), marked),
        finish: marked
      })
      const template = yield* Template.compile(source)
      for (const given of [ann, { ...ann, calendar: { content: "METHOD:REQUEST" } }]) {
        const rendered = yield* template
          .render({ ...given, tenant: "blue" })
          .pipe(Effect.provideService(Composer, composer))
        assert.strictEqual(rendered.tenant, "blue marked")
        assert.isUndefined(rendered.body)
        assert.strictEqual((yield* read(rendered)).text, "Dear Ann,\nyour code is 4711.")
      }
    })
  )

  it.live("rendered mails are signed where mails are, once", () =>
    Effect.gen(function* () {
      const { ed25519 } = yield* Dkims.keys
      const template = yield* Template.compile({ ...source, html: "<p>{{name}}</p>" })
      const key = { domain: "example.org", selector: "e", privateKey: ed25519.privateKey }
      const marked = (message: Composed.Composed) => Effect.succeed({ ...message, tenant: "marked" })
      const around = Layer.succeed(Composer, {
        compose: (mail) => Effect.flatMap(MimeComposer.compose(mail), marked),
        finish: marked
      })
      for (const given of [ann, { ...ann, calendar: { content: "METHOD:REQUEST" } }]) {
        const rendered = yield* template.render(given).pipe(Effect.provide(Layer.provide(Dkim.layer(key), around)))
        assert.strictEqual(rendered.tenant, "marked")
        const signed = yield* bytesOf(rendered)
        assert.deepStrictEqual(
          yield* Dkims.verify(signed, [
            { domain: "example.org", selector: "e", algorithm: "ed25519-sha256", publicKey: ed25519.publicKey }
          ]),
          ["e ed25519-sha256 pass"]
        )
      }
    })
  )

  it.effect("HTML alone gets a plain text, unless none is wanted", () =>
    Effect.gen(function* () {
      const html = '<h1>Hi {{name}}</h1><p>See <a href="https://e.org/{{code}}">it</a></p>'
      const both = yield* read(yield* renderOne({ text: undefined, html }, { name: "A & B", code: "c d" }))
      assert.strictEqual(both.text, "Hi A & B\n\nSee it (https://e.org/c%20d)")
      assert.strictEqual(both.html, '<h1>Hi A &amp; B</h1><p>See <a href="https://e.org/c%20d">it</a></p>')
      for (const given of [
        { text: "", html },
        { text: undefined, html: "<img src='cid:{{name}}'>" }
      ]) {
        const raw = (yield* bytesOf(yield* renderOne(given))).toString()
        assert.include(raw, "Content-Type: text/html")
        assert.notInclude(raw, "text/plain")
      }
    })
  )

  describe("with a schema", () => {
    const Person = Schema.Struct({
      name: Schema.NonEmptyString,
      code: Schema.FiniteFromString,
      tags: Schema.optionalKey(Schema.Array(Schema.String))
    })

    it.effect("data are decoded, and refused where the schema does", () =>
      Effect.gen(function* () {
        const template = yield* Template.compile(
          { ...source, text: "{{code}}{{#each tags}} {{this}}{{else}}{{/each}}" },
          { schema: Person, missing: "empty" }
        )
        const seen = yield* read(yield* template.render({ to: "a@example.org", data: { name: "Ann", code: "1e3" } }))
        assert.strictEqual(seen.text, "1000")
        // @ts-expect-error: the type knows what the schema wants
        const wrong = template.render({ to: "a@example.org", data: { name: "Ann", code: 5 } })
        assert.strictEqual((yield* Effect.flip(wrong)).message, "InvalidMessage: data.code: Expected string")
        // @ts-expect-error: there are no data
        const none = template.render({ to: "a@example.org" })
        assert.include((yield* Effect.flip(none)).message, "InvalidMessage: data.name:")
        const mail = yield* Effect.flip(
          template.mail({ to: "a@example.org", data: { name: "Ann", code: "1", tags: ["", 5 as never] } })
        )
        assert.strictEqual(mail.message, "InvalidMessage: data.tags.1: Expected string")
      })
    )

    it.effect("a field that it does not have is found when the template is compiled", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Template.compile({ ...source, text: "{{nmae}}" }, { schema: Person }))
        assert.strictEqual(
          error.message,
          "schema: the template names {{nmae}}, the schema has no such field; correct the template or the schema"
        )
        yield* Template.compile(
          { ...source, text: "{{any.thing}}" },
          { schema: Schema.Record(Schema.String, Schema.Unknown) }
        )
      })
    )
  })

  it.effect("a stream of people becomes a stream of deliveries; who cannot be written to is one of them", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile(source)
      const sent: Array<string> = []
      const transport = MailTransport.of({
        send: (message) =>
          Effect.map(read(message), (seen) => {
            sent.push(`${seen.subject} to ${message.envelope.to[0]}`)
            const reply = { code: 250, enhanced: undefined, lines: ["ok"] } as never
            return {
              reply,
              relay: "test:25",
              recipients: message.envelope.to.map((address) => ({ address, outcome: "accepted" as const, reply }))
            }
          })
      })
      const people = [
        { id: "1", to: "ann@example.org", data: { name: "Ann", code: 1 } },
        { id: "2", to: "bob@example.org", data: { code: 1 } },
        { id: "3", to: "carl", data: { name: "Carl", code: 1 } },
        { id: "4", to: "dora@example.org", data: { name: "Dora", code: 1 } }
      ]
      const deliveries = yield* Stream.fromIterable(people).pipe(
        Stream.map(template.render),
        Mailer.sendAll({ ordered: true }),
        Stream.runCollect,
        Effect.provideService(MailTransport, transport)
      )
      assert.deepStrictEqual(
        deliveries.map((delivery) => [delivery.id, delivery.index, delivery._tag, delivery.attempts]),
        [
          ["1", 0, "Accepted", 1],
          ["2", 1, "Rejected", 0],
          ["3", 2, "Rejected", 0],
          ["4", 3, "Accepted", 1]
        ]
      )
      assert.deepStrictEqual(sent, ["Hello Ann to ann@example.org", "Hello Dora to dora@example.org"])
      const [, missing] = deliveries
      assert.include("error" in missing! ? missing.error.message : "", "data.name")
      const one = yield* Effect.provideService(Mailer.send(template.render(people[0]!)), MailTransport, transport)
      assert.strictEqual(one.id, "1")
    })
  )

  it.effect("a run within a run, from a getter of the data, disturbs neither", () =>
    Effect.gen(function* () {
      const inner = yield* Template.compile({ ...source, text: "inner {{x}}" })
      let seen = ""
      const data = {
        name: "Ann",
        get code() {
          const rendered = Effect.runSync(inner.render({ ...ann, data: { name: "I", x: "y".repeat(100) } }))
          seen = Buffer.from(rendered.content as Uint8Array).toString()
          return "outer"
        }
      }
      const outer = yield* read(yield* renderOne({ text: "a{{code}}b" }, data))
      assert.strictEqual(outer.text, "aouterb")
      assert.include(seen, "inner yyy")
    })
  )
})
