import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as Template from "../src/Template.ts"
import { ann, bytesOf, header, read, refusal, renderOne, source } from "./support/templateRuns.ts"

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
      assert.deepStrictEqual(
        ["a", "j", "q"].map((name) => template.places.get(name)),
        [
          { field: "from.name", line: 1, column: 1 },
          { field: "text", line: 1, column: 1 },
          { field: "html", line: 1, column: 71 }
        ]
      )
    })
  )

  it.effect("names a mail's recipients before it is rendered", () =>
    Effect.gen(function* () {
      const filled = yield* Template.compile({ ...source, to: ["{{name}} <{{email}}>", "all@example.org"] })
      const to = (recipient: Template.Recipient) =>
        Result.mapError(filled.to(recipient), ({ reason }) => reason.message)
      assert.deepStrictEqual(to({ to: "own@example.org" }), Result.succeed("own@example.org"))
      assert.deepStrictEqual(
        to({ data: { name: "Ann", email: "ann@example.org" } }),
        Result.succeed([{ name: "Ann", address: "ann@example.org" }, "all@example.org"])
      )
      assert.match(String(Result.merge(to({ data: { name: "Ann" } }))), /^data\.email: the template needs it/)
      const nobody = yield* Template.compile(source)
      assert.deepStrictEqual(nobody.to({}), Result.succeed(undefined))
    })
  )

  it.effect("keeps its source, with the attached files read", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, attachments: [{ filename: "a.txt", content: "words" }] })
      const [file] = template.source.attachments ?? []
      assert.strictEqual(template.source.subject, source.subject)
      assert.strictEqual(file?.filename, "a.txt")
      assert.deepStrictEqual(file?.content, Buffer.from("words"))
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
          headers: {
            "X-Fixed": "f",
            Sender: "Office <office@example.org>",
            "X-Code": ["{{code}}", "a"],
            "X-Rep": "{{rep.name}}"
          },
          listUnsubscribe: { url: "{{url}}&r={{rep.name}}", mailto: "leave+{{code}}@example.org", oneClick: false },
          priority: "high"
        },
        { ...ann.data, rep: { name: "Zoë, Rep", user: "zoe" }, url: "https://example.org/u?t=1" }
      )
      const seen = yield* read(rendered)
      assert.deepStrictEqual(seen.from, ["Zoë, Rep <zoe@example.org>"])
      assert.deepStrictEqual(seen.replyTo, [" <zoe+4711@example.org>"])
      assert.deepStrictEqual(seen.header("x-fixed"), ["f"])
      assert.deepStrictEqual(seen.header("sender"), ["Office <office@example.org>"])
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

  it.effect("a non-ASCII address needs SMTPUTF8, and the message says so", () =>
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
        "InvalidMessage: date: it is not a date between the years 1900 and 9999"
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
        "attachments[0].path: there is no FileSystem to read it; provide NodeServices.layer, or give content; correct it in the template"
      ]
    ] as const)("%j", ([given, message]) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(given as Partial<Template.Source>), message)
      })
    )
  })
})
