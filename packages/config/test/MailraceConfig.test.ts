/** What a configuration says, where its faults are, and what is made of it. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as TestServer from "@mailrace/testing/TestServer"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Delivery from "mailrace/Delivery"
import * as Dkim from "mailrace/Dkim"
import type * as Reply from "mailrace/Reply"
import * as Mailer from "mailrace/Mailer"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { jsonSchema } from "../src/ConfigSchema.ts"
import * as MailraceConfig from "../src/MailraceConfig.ts"

const example = `# Where the mail of the shop goes.
sticky_lanes = false
suppress = ["unsubscribed.txt"]
telemetry = { otlp = "http://localhost:4318", sample = 0.01, otlp_metrics = "http://localhost:4319" }

[relay.ses]
url = "smtps://user@email-smtp.example:465"
password = { env = "SES_PASSWORD" }
rate = ["14/s", "50000/d"]
connections = 20
weight = 3

[relay.own]
url = "smtp://10.0.0.7"

[relay.spare]
url = "smtp://10.0.0.5"
class = "backup"

[lane."gmail.com"]
rate = "20/s"
warmup = { from = "500/d", factor = 1.5, to = "200000/d", since = 2026-12-01 }

[tenant.acme]
weight = 2
rate = "100/s"

[[route]]
tenant = "acme"
lane = ["gmail.com", "googlemail.com"]
relay = ["ses", "spare"]

[[route]]
sender = "*.shop.example"
relay = "own"

[[rule]]
reply = "421 4.7.0 busy"
lane = "partner.example"
pause = "2m"

[[rule]]
reply = "452"
relay = ["own", "spare"]
retry = "1h"

[dkim."shop.example"]
selector = "s1"
key = { file = "s1.pem" }
`

const faultsOf = (text: string, file = "mailrace.toml"): ReadonlyArray<string> => {
  const parsed = MailraceConfig.parse(text, { file })
  return Result.isSuccess(parsed)
    ? []
    : parsed.failure.faults.map((fault) => `${fault.line}:${fault.column} ${fault.problem}; ${fault.remedy}`)
}

const relay = '[relay.a]\nurl = "smtp://a.test"\n'

describe("MailraceConfig", () => {
  it("says the same in TOML and in JSON", () => {
    const toml = Result.getOrThrow(MailraceConfig.parse(example, { file: "mailrace.toml" }))
    const json = MailraceConfig.parse(JSON.stringify(toml.settings), { file: "mailrace.json" })
    assert.deepStrictEqual(Result.getOrThrow(json).settings, toml.settings)
    assert.strictEqual(toml.settings.lane!["gmail.com"]!.warmup!.since, "2026-12-01")
  })

  it("is described in sentences", () => {
    const config = Result.getOrThrow(MailraceConfig.parse(example, { file: "mailrace.toml" }))
    assert.deepStrictEqual(MailraceConfig.describe(config), [
      "Relay ses (email-smtp.example:465) takes 75 % of the messages, at most 14/s and 50000/d, 20 connections at most.",
      "Relay own (10.0.0.7) takes 25 % of the messages.",
      "Relay spare (10.0.0.5) takes messages while no primary relay is usable.",
      "Mail of tenant acme to gmail.com or googlemail.com goes by ses and spare, at most 20/s and 500/d growing by ×1.5 a day to 200000/d for gmail.com and at most 100/s for tenant acme.",
      "Mail from *.shop.example goes by own.",
      "All other mail goes by ses, own and spare.",
      "Mail to gmail.com goes at most 20/s and 500/d growing by ×1.5 a day to 200000/d.",
      "Tenant acme has a share of 2 beside the others, and sends at most 100/s.",
      'At a reply "421 4.7.0 busy" about partner.example, the domain is left alone for 2m.',
      'At a reply "452" of own or spare, the message is left alone for 1h.',
      "Mail from shop.example is signed with the key s1._domainkey.shop.example.",
      "Traces of 1 % of the messages go to http://localhost:4318.",
      "Metrics go to http://localhost:4319.",
      "Addresses in unsubscribed.txt get no mail."
    ])
  })

  it("says what limits the messages of a route", () => {
    const text = `${relay}[lane."Gmail.com"]\nrate = "20/s"\n[tenant.acme]\nrate = "100/s"\n[[route]]\ntenant = "acme"\nlane = "gmail.com"\nrelay = "a"\n[[route]]\nlane = "gmail.com"\nrelay = "a"\n`
    const sentences = MailraceConfig.describe(Result.getOrThrow(MailraceConfig.parse(text, { file: "m.toml" })))
    assert.include(
      sentences,
      "Mail of tenant acme to gmail.com goes by a, at most 20/s and at most 100/s for tenant acme."
    )
    assert.include(sentences, "Mail to gmail.com goes by a, at most 20/s.")
  })

  const faults: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    [
      "a = \n",
      [
        "2:1 this is not TOML: unspecified values are invalid; correct the line; texts stand in quotes, and a name stands once in its table"
      ]
    ],
    [
      `${relay}url = "smtp://b.test"\n`,
      [
        "3:1 this is not TOML: defining a key multiple times is invalid; correct the line; texts stand in quotes, and a name stands once in its table"
      ]
    ],
    ['[rely.a]\nurl = "smtp://a.test"\n', ["1:1 rely is not a setting; write relay if that is meant"]],
    [`${relay}wieght = 2\n`, ["3:1 relay.a.wieght is not a setting; write weight if that is meant"]],
    [
      `${relay}zzzzzzzz = 2\n`,
      [
        "3:1 relay.a.zzzzzzzz is not a setting; write one of url, password, weight, class, connections, rate, warmup, adaptive, size, smtputf8, requiretls, dsn"
      ]
    ],
    [
      "[relay.a]\nweight = 2\n",
      ['1:1 relay.a.url is missing; add url: the relay\'s address, as "smtps://user@mail.example.org"']
    ],
    [
      `${relay}weight = "2"\n`,
      ['3:1 relay.a.weight cannot be "2"; give the share beside the other relays, a number from 0, as 2']
    ],
    [
      `${relay}class = "third"\n`,
      ['3:1 relay.a.class cannot be "third"; give "primary", or "backup" for a relay that stands in']
    ],
    [`${relay}connections = 0\n`, ["3:1 relay.a.connections is 0; give a whole number from 1, or leave it out"]],
    [
      `${relay}rate = ["14/s", "14/x"]\n`,
      ['3:17 relay.a.rate[2] cannot be used: "14/x" is not a rate; write it as 100/s, 6000/m, 5000/h or 50000/d']
    ],
    [
      `${relay}rate = "0/s"\n`,
      ['3:1 relay.a.rate cannot be used: "0/s" would send nothing; the number must be more than 0']
    ],
    [
      `${relay}rate = "5 connections/s"\n[lane."a.test"]\nrate = ["9/s", "5 connections/s"]\n`,
      [
        '5:16 lane."a.test".rate[2] limits new connections, which are opened to a relay; put it into the table of a relay, as [relay.main]'
      ]
    ],
    [
      `${relay}rate = [5]\n`,
      [
        '3:9 relay.a.rate[1] cannot be 5; give limits that all hold, as "14/s" or ["14/s", "50000/d"], and on new connections, as "5 connections/s"'
      ]
    ],
    [
      `${relay}warmup = { from = "50/d", to = "40/d" }\n`,
      ['3:1 relay.a.warmup cannot be used: it shrinks, from 50 to 40 a day; give a "to" that is not below "from"']
    ],
    [
      `${relay}password = "secret"\n`,
      [
        '3:1 relay.a.password stands in clear; say where the password is, as { env = "SES_PASSWORD" } or { file = "ses.password" }'
      ]
    ],
    [
      '[relay.a]\nurl = "smtp://u:secret@a.test"\n',
      [
        '2:1 relay.a.url has a password in clear; take it out, and add password = { env = "RELAY_PASSWORD" } or { file = "…" }'
      ]
    ],
    [
      '[relay.a]\nurl = "smtp://u@a.test"\n',
      ['2:1 relay.a.url has a user without a password; add password = { env = "RELAY_PASSWORD" } or { file = "…" }']
    ],
    [
      `${relay}password = { env = "A" }\n`,
      ['2:1 relay.a.url has no user for the password; name the user, as in "smtps://user@mail.example.org"']
    ],
    [`${relay}password = { evn = "A" }\n`, ["3:14 relay.a.password.evn is not a setting; write env if that is meant"]],
    [`${relay}weight = -1\n`, ["3:1 relay.a.weight: -1 is no weight; give a number from 0, as 1 or 2.5"]],
    [
      `${relay}weight = 0\n`,
      ["1:1 relay: their weights sum to 0, so none gets messages; give one of them a weight above 0"]
    ],
    [
      `${relay}[[route]]\nrelay = ["a", "b"]\n`,
      ['4:15 route[1].relay[2]: there is no relay "b"; name one of a, or add this relay']
    ],
    [`${relay}[[route]]\nrelay = []\n`, ["4:1 route[1].relay: the route leads to no relay; name one or more of a"]],
    [
      `${relay}[[route]]\nrelay = "a"\n[[route]]\ntenant = "t"\nrelay = "a"\n`,
      [
        "5:1 route[2]: route 1 matches every message of this route, so this one never does; put it before route 1, or take it out"
      ]
    ],
    [
      '[lane."a@gmail.com"]\nrate = "1/s"\n',
      ['1:1 lane."a@gmail.com" is an address; name the domain alone, as [lane."gmail.com"]']
    ],
    [
      '[lane."gmail.com"]\nrate = "1/s"\n[lane."GMAIL.com"]\nrate = "1/s"\n',
      ['3:1 lane."GMAIL.com" is there twice, as gmail.com too; put the settings into one table']
    ],
    ["[tenant.t]\nweight = 0\n", ["2:1 tenant.t.weight gives it no share; give a number above 0, as 2"]],
    [
      '[dkim."d.test"]\nselector = "a b"\nkey = { file = "k" }\n',
      ['2:1 dkim."d.test".selector is not a name in the DNS; give letters, digits and dots, as s1']
    ],
    [
      '[[rule]]\nreply = "slow down"\npause = "1m"\n',
      ['2:1 rule[1].reply does not begin with the code of a refusal; write it as "421 4.7.28" or "454 daily quota"']
    ],
    [
      '[[rule]]\nreply = "421"\npause = "1 minute"\n',
      ['3:1 rule[1].pause is no time: "1 minute"; write it as "30s", "10m", "4h" or "1d", at most "30d"']
    ],
    [
      '[[rule]]\nreply = "421"\nretry = "999999999999999d"\n',
      ['3:1 rule[1].retry is no time: "999999999999999d"; write it as "30s", "10m", "4h" or "1d", at most "30d"']
    ],
    [
      '[[rule]]\nreply = "421"\npause = "1m"\nrelay = "toString"\n' + relay,
      ['4:1 rule[1].relay names "toString", and there is no such relay; name one of a, or add this relay']
    ],
    [
      '[[rule]]\nreply = "421"\npause = "1m"\nlane = "Gmail.com"\n[[rule]]\nreply = "421"\npause = "1m"\nlane = "gmail.com"\n',
      ["5:1 rule[2] never matches, because rule 1 takes all its replies; put it before rule 1, or take it out"]
    ],
    ['[tenant.__proto__]\nrate = "1/s"\n', ['1:1 "__proto__" cannot be a name; choose another name']],
    [
      '[[rule]]\nreply = "421"\npause = "1m"\nrelay = "b"\n' + relay,
      ['4:1 rule[1].relay names "b", and there is no such relay; name one of a, or add this relay']
    ],
    [
      '[[rule]]\nreply = "421 4.7.28"\npause = "1m"\n[[rule]]\nreply = "421 4.7.28 rate"\nlane = "x.test"\npause = "1m"\n',
      ["4:1 rule[2] never matches, because rule 1 takes all its replies; put it before rule 1, or take it out"]
    ],
    // The place is that of the first name that leads there, wherever it stands.
    [`${relay}[rely.b]\nurl = "smtp://b.test"\n`, ["3:1 rely is not a setting; write relay if that is meant"]],
    [
      `${relay}lane."b.test".rate = "1/s"\n`,
      [
        "3:1 relay.a.lane is not a setting; write one of url, password, weight, class, connections, rate, warmup, adaptive, size, smtputf8, requiretls, dsn"
      ]
    ],
    [
      `[lane."b.test"]\nrate = "1/s"\n${relay}weight = 0\n`,
      ["3:1 relay: their weights sum to 0, so none gets messages; give one of them a weight above 0"]
    ],
    // What would never match.
    [
      `[[rule]]\nreply = "421"\npause = "1m"\nlane = "*.b.test"\n[[rule]]\nreply = "421"\npause = "1m"\nlane = ["x.b.test", "*.Y.b.test"]\n`,
      ["5:1 rule[2] never matches, because rule 1 takes all its replies; put it before rule 1, or take it out"]
    ],
    [
      '[[route]]\nrelay = ["a"]\n',
      ['2:10 route[1].relay[1]: there is no relay "a"; add it: [relay.a] with url = "smtp://…"']
    ],
    [
      '[[rule]]\nreply = "421"\npause = "1m"\nrelay = "a"\n',
      ['4:1 rule[1].relay names "a", and there is no such relay; add it: [relay.a] with url = "smtp://…"']
    ],
    ...(["lane", "sender", "tenant"] as const).map((name): readonly [string, ReadonlyArray<string>] => [
      `${relay}[[route]]\nrelay = "a"\n${name} = []\n`,
      [
        `5:1 route[1].${name} names none, so that the route never matches; name at least one, or leave it out to match them all`
      ]
    ]),
    ...(["lane", "relay"] as const).map((name): readonly [string, ReadonlyArray<string>] => [
      `[[rule]]\nreply = "421"\npause = "1m"\n${name} = []\n${relay}`,
      [
        `4:1 rule[1].${name} names none, so that the rule never matches; name at least one, or leave it out to match them all`
      ]
    ]),
    [
      `${relay}[[route]]\nrelay = "a"\nlane = ["b.test", "x@b.test"]\n`,
      ['5:19 route[1].lane[2] is an address; name the domain alone, as "b.test"']
    ],
    [
      `${relay}[[route]]\nrelay = "a"\nsender = "x@b.test"\n`,
      ['5:1 route[1].sender is an address; name the domain alone, as "b.test"']
    ],
    [
      '[[rule]]\nreply = "421"\npause = "1m"\nlane = "x@b.test"\n',
      ['4:1 rule[1].lane is an address; name the domain alone, as "b.test"']
    ],
    [
      '[dkim."x@b.test"]\nselector = "s1"\nkey = { env = "KEY" }\n',
      ['1:1 dkim."x@b.test" is an address; name the domain alone, as [dkim."b.test"]']
    ],
    ...(["otlp", "otlp_metrics"] as const).map((name): readonly [string, ReadonlyArray<string>] => [
      `[telemetry]\n${name} = "https://shop:hunter2@otel.example"\n`,
      [
        `2:1 telemetry.${name} has a password in clear; take it out, and set OTEL_EXPORTER_OTLP_HEADERS in the environment, as "authorization=Basic …"`
      ]
    ]),
    [
      `${relay}password = { env = "A", file = "b" }\n`,
      ["3:1 relay.a.password has both env and file; keep the one that holds the secret"]
    ],
    [
      `${relay}password = {}\n`,
      [
        '3:1 relay.a.password has neither env nor file; say where the password is, as { env = "SES_PASSWORD" } or { file = "ses.password" }'
      ]
    ],
    [
      `${relay}password = { file = 5 }\n`,
      [
        '3:14 relay.a.password.file cannot be 5; say where the password is, as { env = "SES_PASSWORD" } or { file = "ses.password" }'
      ]
    ],
    [
      '[dkim."b.test"]\nselector = "s1"\nkey = { env = "A", file = "b", flie = "c" }\n',
      ['3:32 dkim."b.test".key.flie is not a setting; write file if that is meant']
    ],
    [
      '[telemetry]\notlp = "localhost:4318"\n',
      ['2:1 telemetry.otlp is no address of a collector; write it as "http://localhost:4318"']
    ],
    [
      '[telemetry]\notlp = "http://localhost:4318"\nsample = 2\n',
      ["3:1 telemetry.sample is 2; give a share from 0 to 1, as 0.01"]
    ],
    [
      '[telemetry]\notlp_metrics = "collector"\n',
      ['2:1 telemetry.otlp_metrics is no address of a collector; write it as "http://localhost:4318"']
    ],
    [
      '[telemetry]\notlp_metrics = "http://localhost:4318"\nsample = 0.5\n',
      ["3:1 telemetry.sample is about traces, which go nowhere; name their collector with otlp, or take it out"]
    ],
    [
      "suppress = 5\n",
      ['1:1 suppress cannot be 5; give files with addresses and domains that get no mail, as ["unsubscribed.txt"]']
    ]
  ]
  it("names for a bad URL a form that it takes", () => {
    for (const url of ["mail.example.org", "https://a.test", "smtp://u:p#w@a.test", "smtp://a.test?tls=maybe"]) {
      const text = `[relay.a]\nurl = "${url}"\n`
      const { remedy } = Result.getOrThrow(Result.flip(MailraceConfig.parse(text, { file: "m.toml" })))
      const [plain, withUser] = [...remedy.matchAll(/"(smtps?:[^"]+)"/g)].map(([, form]) => form)
      const password = /password = \{.*\}/.exec(remedy)?.[0]
      assert.deepStrictEqual(faultsOf(`[relay.a]\nurl = "${plain}"\n`), [])
      assert.deepStrictEqual(faultsOf(`[relay.a]\nurl = "${withUser}"\n${password}\n`), [])
    }
  })

  for (const [text, expected] of faults)
    it(`names the place and the remedy of ${JSON.stringify(text).slice(0, 70)}`, () =>
      assert.deepStrictEqual(faultsOf(text), expected))

  it("has its own rules for replies before those for the big providers", () => {
    const config = Result.getOrThrow(MailraceConfig.parse(example, { file: "mailrace.toml" }))
    const rules = MailraceConfig.rules(config)
    const busy = { code: 421, enhanced: "4.7.0", text: "Sorry, BUSY now" }
    const named = (reply: Reply.Reply, lane: string, host: string) =>
      ProviderRules.find(reply, { lane, relay: host }, rules)?.name
    assert.strictEqual(named(busy, "partner.example", "10.0.0.5"), "rule 1")
    assert.isUndefined(named({ ...busy, text: "later" }, "partner.example", "10.0.0.5"))
    assert.strictEqual(named({ code: 452, text: "full" }, "gmail.com", "10.0.0.7"), "rule 2")
    assert.strictEqual(named({ code: 421, enhanced: "4.7.28", text: "rate" }, "gmail.com", "10.0.0.7"), "gmail-rate")
    const without = Result.getOrThrow(MailraceConfig.parse("provider_rules = false\n", { file: "m.toml" }))
    assert.deepStrictEqual(MailraceConfig.rules(without), [])
  })

  it("names all faults, in the order of the file", () => {
    assert.deepStrictEqual(
      faultsOf(`${relay}wieght = 2\nrate = 5\n[lame]\n`).map((fault) => fault.split(" ")[0]),
      ["3:1", "4:1", "5:1"]
    )
  })

  it("names places in JSON too", () => {
    assert.deepStrictEqual(
      faultsOf('{\n  "relay": {\n    "a": { "url": "smtp://a.test", "wieght": 2 }\n  }\n}', "m.json"),
      ["3:36 relay.a.wieght is not a setting; write weight if that is meant"]
    )
    assert.match(faultsOf('{ "relay": }', "m.json")[0]!, /^1:12 this is not JSON: value expected; /)
  })

  it("refuses names in JSON that are there twice or mean more than a name, and lists without end", () => {
    assert.deepStrictEqual(faultsOf('{ "tenant": { "a": { "rate": "1/s" },\n"a": {} } }', "m.json"), [
      '2:1 this is not JSON: "a" is there twice; put the settings into one table'
    ])
    assert.deepStrictEqual(faultsOf('{ "tenant": { "__proto__": {} } }', "m.json"), [
      '1:15 "__proto__" cannot be a name; choose another name'
    ])
    const lists = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
    const name = `${"a.".repeat(20_000)}a`
    for (const [file, text] of [
      ["m.json", lists(20_000)],
      ["m.toml", `a = ${lists(20_000)}`],
      ["m.toml", `a = ${lists(3000)}`],
      ["m.toml", `${name} = 1`],
      ["m.toml", `[${name}]`]
    ] as const)
      assert.match(
        faultsOf(text, file).join(),
        /^1:1 this is not (JSON|TOML): its lists and tables are nested too deep; /
      )
  })

  it("tells no secret that stands in the wrong place", () => {
    const key = "-----BEGIN PRIVATE KEY----- hunter2"
    for (const text of [
      'relay = "smtp://user:hunter2@a.test"',
      '[relay]\nses = "smtp://user:hunter2@a.test"',
      '[relay]\nurl = "smtp://user@a.test"\npassword = "hunter2"',
      '[relay.a]\nurl = "smtp://user@a.test"\npassword = "hunter2"',
      '[relay.a]\nurl = "smtp://user:hunter2@a.test"',
      '[telemetry]\notlp = "http://user:hunter2@localhost:4318"',
      '[relay.a]\nurl = "smtp://user:hunter2@a.test:99999"',
      '[relay.a]\nurl = "smtp://user:hunter2@a.test?pasword=1"',
      '[relay."smtp://user:hunter2@a.test"]\nurl = "smtp://a.test"\nwieght = 1',
      `${relay}[[route]]\nrelay = "smtp://user:hunter2@a.test"`,
      `${relay}[[rule]]\nreply = "421"\npause = "1m"\nrelay = "smtp://user:hunter2@a.test"`,
      `[dkim]\n"a.test" = "${key}"`,
      `[dkim."a.test"]\nselector = "s1"\nkey = "${key}"`
    ]) {
      const faults = faultsOf(text)
      assert.isNotEmpty(faults, text)
      assert.notInclude(faults.join(), "hunter2")
    }
  })

  it("recognises replies by names in any capitals", () => {
    const text = `[relay.a]\nurl = "smtp://Mail.A.test"\n[[rule]]\nreply = "421"\nlane = "Gmail.com"\nrelay = "a"\npause = "1m"\n`
    const rules = MailraceConfig.rules(Result.getOrThrow(MailraceConfig.parse(text, { file: "m.toml" })))
    const reply = { code: 421, text: "busy" }
    assert.strictEqual(ProviderRules.find(reply, { lane: "gmail.com", relay: "Mail.A.test" }, rules)?.name, "rule 1")
  })

  it("gives an error with a place, and no other failure, for any broken byte", () => {
    const json = JSON.stringify(Result.getOrThrow(MailraceConfig.parse(example, { file: "a.toml" })).settings, null, 1)
    let seed = 20_261_127
    const random = (below: number): number => (seed = (seed * 16_807) % 2_147_483_647) % below
    let broken = 0
    for (const [text, file] of [
      [example, "a.toml"],
      [json, "a.json"]
    ] as const)
      for (let run = 0; run < 1_000; run++) {
        const at = random(text.length)
        const parsed = MailraceConfig.parse(text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1), {
          file
        })
        if (Result.isSuccess(parsed)) continue
        broken++
        for (const fault of parsed.failure.faults) {
          assert.isTrue(fault.line >= 1 && fault.column >= 1, String(fault))
          assert.isNotEmpty(fault.problem)
          assert.isNotEmpty(fault.remedy)
          assert.notMatch(fault.problem, /\bat .*\.[jt]s:|Error:|undefined/)
        }
      }
    assert.isAtLeast(broken, 500)
  })

  it("has a JSON Schema that takes and refuses the same", () => {
    const validate = new Ajv2020({ strict: false }).compile(jsonSchema())
    const { settings } = Result.getOrThrow(MailraceConfig.parse(example, { file: "a.toml" }))
    assert.isTrue(validate(settings), JSON.stringify(validate.errors))
    for (const bad of [
      { rely: {} },
      { relay: { a: {} } },
      { relay: { a: { url: "smtp://a.test", wieght: 1 } } },
      { relay: { a: { url: "smtp://a.test", class: "third" } } },
      { relay: { a: { url: "smtp://a.test", password: "x" } } },
      { route: [{}] }
    ]) {
      assert.isFalse(validate(bad), JSON.stringify(bad))
      assert.isNotEmpty(faultsOf(JSON.stringify(bad), "a.json"))
    }
  })

  it("takes every example of the documentation", () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url))
    const files = globSync(["README.md", "packages/*/README.md", "packages/docs/*.md", "packages/config/src/*.ts"], {
      cwd: root
    })
    const examples = files.flatMap((file) =>
      [
        ...readFileSync(`${root}/${file}`, "utf8")
          .replace(/^ \* ?/gm, "")
          .matchAll(/```toml\n([^]*?)```/g)
      ].map(([, text]) => text!)
    )
    assert.isNotEmpty(examples)
    for (const text of examples) assert.deepStrictEqual(faultsOf(text), [], text)
  })
})

describe("MailraceConfig.composer", () => {
  it.effect("signs for the domain of the sender, however its address is written", () =>
    Effect.gen(function* () {
      const { privateKey } = yield* Dkim.generateKeys("ed25519-sha256")
      const text = `[dkim."a.test"]\nselector = "s1"\nkey = { env = "KEY" }\n[dkim."Bücher.test"]\nselector = "s1"\nkey = { env = "KEY" }\n`
      const composer = yield* Effect.provide(
        MailraceConfig.composer(Result.getOrThrow(MailraceConfig.parse(text, { file: "m.toml" }))),
        ConfigProvider.layer(ConfigProvider.fromUnknown({ KEY: Redacted.value(privateKey) }))
      )
      const signerOf = (content: unknown) => /d=([^;]+);/.exec(Buffer.from(content as Uint8Array).toString())?.[1]
      for (const [from, domain] of [
        ["x@a.test", "a.test"],
        ["Ann <x@Sub.A.test>", "a.test"],
        ["x@a.test (at work)", "a.test"],
        ["x@xn--bcher-kva.test", "xn--bcher-kva.test"],
        ["x@bücher.test", "xn--bcher-kva.test"],
        ["J. Doe <x@a.test>", "a.test"],
        ["=?utf-8?q?J=C3=B6rg?= <x@a.test>", "a.test"],
        ["x@b.test", undefined]
      ] as const) {
        const mail = { from, to: "y@c.test", subject: "s", text: "t" }
        assert.strictEqual(signerOf((yield* composer.compose(mail)).content), domain, from)
        const ready = Composed.make({
          messageId: "<1@a.test>",
          envelope: { from: "x@other.test" as never, to: ["y@c.test" as never] },
          content: new TextEncoder().encode(`To: y@c.test\r\nFrom:\r\n ${from}\r\nSubject: s\r\n\r\nt\r\n`)
        })
        assert.strictEqual(signerOf((yield* composer.finish!(ready)).content), domain, from)
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("MailraceConfig.layer", () => {
  it.live("sends by the relays and routes of a file, with secrets from elsewhere", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const [shop, other] = yield* Effect.all([
        TestServer.make({ users: { u: "from a file" }, requireAuth: true }),
        TestServer.make()
      ])
      yield* fs.writeFileString(`${folder}/secret`, "from a file\n")
      yield* fs.writeFileString(
        `${folder}/mailrace.toml`,
        `[relay.shop]
url = "smtp://u@127.0.0.1:${shop.port}?tls=off&allowInsecureAuth=true"
password = { file = "secret" }
[relay.other]
url = "smtp://127.0.0.1:${other.port}"
rate = ["10000/s", "1 connections/h"]
[lane."slow.test"]
rate = "1000/s"
[[route]]
sender = "shop.test"
relay = "shop"
[[route]]
relay = "other"
`
      )
      const config = yield* MailraceConfig.load(`${folder}/mailrace.toml`)
      const deliveries = yield* Stream.range(1, 40).pipe(
        Stream.map((n) => ({
          from: n % 4 === 0 ? "a@shop.test" : "a@b.test",
          to: `${n}@${n % 2 === 0 ? "slow" : "quick"}.test`,
          subject: "s",
          text: "t"
        })),
        Mailer.sendAll(),
        Stream.runCollect,
        Effect.provide(MailraceConfig.layer(config))
      )
      assert.isTrue(deliveries.every(Delivery.isAccepted), JSON.stringify(deliveries[0]))
      assert.deepStrictEqual([shop.messages.length, other.messages.length], [10, 30])
      assert.strictEqual(other.stats.connections, 1)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("names a secret that is not there", () =>
    Effect.gen(function* () {
      const at = (secret: string) =>
        Result.getOrThrow(
          MailraceConfig.parse(`[relay.a]\nurl = "smtp://u@a.test"\npassword = ${secret}\n`, {
            file: "m.toml",
            folder: "/nowhere"
          })
        )
      const failure = (secret: string) =>
        Effect.flip(Effect.scoped(Effect.provide(Effect.void, MailraceConfig.layer(at(secret)))))
      const env = yield* failure('{ env = "MAILRACE_NOT_THERE" }')
      assert.strictEqual(env.message, "m.toml, line 3, column 14: the environment has no variable MAILRACE_NOT_THERE")
      assert.strictEqual(env.remedy, 'set MAILRACE_NOT_THERE, or say { file = "…" }')
      const file = yield* failure('{ file = "gone" }')
      assert.strictEqual(
        file.message,
        "m.toml, line 3, column 14: the file that relay.a.password.file names does not exist"
      )
      assert.strictEqual(file.remedy, "check the path; a relative path begins at /nowhere")
      const none = yield* Effect.flip(
        Effect.scoped(
          Effect.provide(
            Effect.void,
            MailraceConfig.layer(Result.getOrThrow(MailraceConfig.parse("", { file: "m.toml" })))
          )
        )
      )
      assert.strictEqual(none.message, "m.toml, line 1, column 1: there is no relay")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("tells no secret that stands where its place should be named, nor a part of one", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${folder}/empty`, "\n")
      yield* fs.writeFile(`${folder}/latin1`, Buffer.from("hunter2\xfc", "latin1"))
      yield* fs.writeFileString(`${folder}/not-a-key`, "hunter2")
      const key = "-----BEGIN PRIVATE KEY-----\\nhunter2"
      const env = ConfigProvider.fromEnvRecord({ EMPTY: "", KEY: "hunter2" })
      const failure = (settings: string) =>
        Effect.gen(function* () {
          const text = `[relay.a]\nurl = "smtp://u@127.0.0.1:1"\n${settings}\n`
          const config = yield* Effect.fromResult(MailraceConfig.parse(text, { file: "m.toml", folder }))
          const error = yield* Effect.flip(Effect.scoped(Layer.build(MailraceConfig.layer(config))))
          assert.notInclude(error.message + error.remedy, "hunter2", settings)
          return error.message.replace("m.toml, ", "") + "; " + error.remedy
        }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, env))
      const notAName =
        'line 3, column 14: relay.a.password.env is not the name of a variable of the environment; write the name alone, as { env = "RELAY_PASSWORD" }, and set that variable to the secret'
      for (const name of ["$PASSWORD", "hunter2!", "PASSWORD=hunter2", "", "A B", key])
        assert.strictEqual(yield* failure(`password = { env = "${name}" }`), notAName)
      assert.strictEqual(
        yield* failure('password = { env = "EMPTY" }'),
        'line 3, column 14: the environment has no variable EMPTY; set EMPTY, or say { file = "…" }'
      )
      assert.strictEqual(
        yield* failure('password = { env = "hunter2" }'),
        'line 3, column 14: the environment has no variable as relay.a.password.env names it; set that variable, or say { file = "…" }'
      )
      const named = "line 3, column 14: the file that relay.a.password.file names"
      const begins = `a relative path begins at ${folder}`
      assert.strictEqual(
        yield* failure('password = { file = "hunter2" }'),
        `${named} does not exist; check the path; ${begins}`
      )
      assert.strictEqual(
        yield* failure(`password = { file = "${key}" }`),
        `${named} does not exist; check the path; ${begins}`
      )
      assert.strictEqual(yield* failure('password = { file = "." }'), `${named} is a folder; name a file; ${begins}`)
      assert.strictEqual(yield* failure('password = { file = "empty" }'), `${named} is empty; write the secret into it`)
      assert.strictEqual(
        yield* failure('password = { file = "latin1" }'),
        `${named} is not text in UTF-8; save it as UTF-8; ${begins}`
      )
      const signed = 'password = { env = "KEY" }\n[dkim."a.test"]\nselector = "s1"\nkey = '
      for (const key of ['{ env = "KEY" }', '{ file = "not-a-key" }']) {
        const config = yield* Effect.fromResult(
          MailraceConfig.parse(`[relay.a]\nurl = "smtp://u@127.0.0.1:1"\n${signed}${key}\n`, { file: "m.toml", folder })
        )
        const error = yield* Effect.flip(Effect.scoped(Layer.build(MailraceConfig.layer(config)))).pipe(
          Effect.provideService(ConfigProvider.ConfigProvider, env)
        )
        assert.match(error.message, /^m\.toml, line 4, column 1: the key of a\.test: /)
        assert.notInclude(error.message + error.remedy, "hunter2")
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("reads lists as they come, and names the place of one that it cannot", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const at = (name: string) => `${folder}/${name}`
      yield* fs.writeFile(at("excel.txt"), Buffer.from("\uFEFFemail\r\nann@x.test\r\n", "utf16le"))
      yield* fs.writeFileString(at("plain.txt"), "\uFEFF# gone\n@y.test\n")
      yield* fs.writeFile(at("latin1.txt"), Buffer.from("ann@x.test\njürgen@x.test\n", "latin1"))
      yield* fs.writeFileString(at("wrong.txt"), "ann@x.test\n\nbob at x.test\n")
      yield* fs.writeFile(at("cut.txt"), Buffer.from("\uFEFFann@x.test", "utf16le").subarray(0, -1))
      const lists = (suppress: string) =>
        Effect.flatMap(
          Effect.fromResult(MailraceConfig.parse(`suppress = ${suppress}\n`, { file: "m.toml", folder })),
          MailraceConfig.suppressionLists
        )
      const [excel, plain] = yield* lists('["excel.txt", "plain.txt"]')
      const addresses = ["ann@x.test", "bob@y.test"].map(Address.fromStringUnsafe)
      assert.deepStrictEqual(yield* excel!.list.find(addresses), ["address", undefined])
      assert.deepStrictEqual(yield* plain!.list.find(addresses), [undefined, "domain"])
      for (const [name, problem, remedy] of [
        ["latin1.txt", ", line 2: it is not UTF-8, so that its address is not known", /iconv -f latin1/],
        ["wrong.txt", ", line 3: it is neither an address nor a domain: ", /^write an address, or a domain/],
        ["cut.txt", ": it is not valid UTF-16: it ends inside a character", /^save the file again as UTF-8$/],
        ["none.txt", " does not exist", /^check the path$/],
        [".", " is a folder", /^name a file$/],
        ["plain.txt/x", " cannot be read: a part of its path is not a folder", /^check the path$/]
      ] as const) {
        const error = yield* Effect.flip(lists(`["plain.txt", "${name}"]`))
        const file = name === "." ? folder : at(name)
        assert.include(error.message, `m.toml, line 1, column 26: ${file}${problem}`)
        assert.match(error.remedy, remedy)
        assert.lengthOf((yield* Effect.flip(lists(`["${name}", "none.txt", "plain.txt"]`))).faults, 2)
        assert.include((yield* Effect.flip(lists(`"${name}"`))).message, `m.toml, line 1, column 1: ${file}${problem}`)
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("MailraceConfig.load", () => {
  it.live("gives an error with a place, and no other failure, for a file with any broken byte", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      let seed = 20_261_128
      const random = (below: number): number => (seed = (seed * 16_807) % 2_147_483_647) % below
      const whole = Buffer.from(example)
      let broken = 0
      for (let run = 0; run < 200; run++) {
        const bytes = Buffer.from(whole)
        bytes[random(bytes.length)] = random(256)
        yield* fs.writeFile(`${folder}/m.toml`, bytes)
        const exit = yield* Effect.result(MailraceConfig.load(`${folder}/m.toml`))
        if (Result.isSuccess(exit)) continue
        broken++
        for (const { line, problem, remedy } of exit.failure.faults) {
          assert.isNotEmpty(remedy)
          assert.notMatch(problem, /\bat .*\.[jt]s:|Error:|undefined/)
          // Bytes that are no text have no place.
          if (problem !== "it is not text in UTF-8") assert.isAtLeast(line, 1, problem)
        }
      }
      assert.isAtLeast(broken, 100)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("says what is wrong with a file that it cannot read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFile(`${folder}/latin1.toml`, Buffer.from('suppress = "ungült.txt"\n', "latin1"))
      yield* fs.writeFile(`${folder}/powershell.toml`, Buffer.from("\uFEFFsticky_lanes = true\r\n", "utf16le"))
      for (const [name, problem, remedy] of [
        ["", "it is a folder", "name a file"],
        ["/none.toml", "it does not exist", "check the path"],
        ["/latin1.toml/x", "it cannot be read: a part of its path is not a folder", "check the path"],
        ["/latin1.toml", "it is not text in UTF-8", "save it as UTF-8"]
      ] as const) {
        const error = yield* Effect.flip(MailraceConfig.load(folder + name))
        assert.strictEqual(error.message, `${folder}${name}: ${problem}`)
        assert.strictEqual(error.remedy, remedy)
      }
      const { settings } = yield* MailraceConfig.load(`${folder}/powershell.toml`)
      assert.deepStrictEqual(settings, { sticky_lanes: true })
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
