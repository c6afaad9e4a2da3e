/**
 * What the preflight says of SPF, mailauth says too: both evaluate the same records for the same address.
 */
import * as Preflight from "@mailrace/preflight/Preflight"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spf } from "mailauth/lib/spf/index.js"
import * as Zone from "../packages/preflight/test/zone.ts"

const zone = (record: string): { readonly [name: string]: Zone.Names } => ({
  "x.example": { TXT: [record], A: ["192.0.2.7"], MX: ["mx.x.example"] },
  "mx.x.example": { A: ["192.0.2.25"] },
  "inc.example": { TXT: ["v=spf1 ip4:192.0.2.25 -all"] },
  "soft.example": { TXT: ["v=spf1 ip4:198.51.100.0/24 ~all"] },
  "deep.example": { TXT: ["v=spf1 include:inc.example ?all"] }
})

const records = [
  "v=spf1 -all",
  "v=spf1 ip4:192.0.2.25 -all",
  "v=spf1 ip4:192.0.2.0/24 -all",
  "v=spf1 ip4:192.0.2.0/29 ~all",
  "v=spf1 -ip4:192.0.2.25 +ip4:192.0.2.0/24 -all",
  "v=spf1 a -all",
  "v=spf1 a/27 -all",
  "v=spf1 mx -all",
  "v=spf1 a:mx.x.example -all",
  "v=spf1 include:inc.example -all",
  "v=spf1 include:soft.example ~all",
  "v=spf1 include:deep.example -all",
  "v=spf1 redirect=inc.example",
  "v=spf1 redirect=soft.example",
  "V=SPF1 IP4:192.0.2.25 -ALL"
]

const address = "192.0.2.25"

/** mailauth's resolver: names and types to records, as `node:dns` gives them. */
const resolver =
  (names: { readonly [name: string]: Zone.Names }) =>
  (name: string, type: string): Promise<Array<string> | Array<Array<string>>> => {
    const found = names[name.toLowerCase()]
    const none = (): never => {
      throw Object.assign(new Error(`no ${type} for ${name}`), { code: found === undefined ? "ENOTFOUND" : "ENODATA" })
    }
    switch (type) {
      case "TXT":
        return Promise.resolve((found?.TXT ?? none()).map((text) => [text]))
      case "A":
        return Promise.resolve([...(found?.A ?? none())])
      case "MX":
        // Its types leave out what it takes for MX.
        return Promise.resolve(
          (found?.MX ?? none()).map((exchange, priority) => ({ exchange, priority })) as unknown as Array<string>
        )
      default:
        return Promise.reject(Object.assign(new Error(`no ${type}`), { code: "ENODATA" }))
    }
  }

describe("preflight's SPF", () => {
  it.effect.each(records)("agrees with mailauth on %s", (record) =>
    Effect.gen(function* () {
      const names = zone(record)
      const { status } = yield* Effect.promise(() =>
        spf({ ip: address, sender: "a@x.example", helo: "mx.x.example", resolver: resolver(names), strict: true })
      )
      const { findings } = yield* Effect.provide(
        Preflight.checkDomain({ domain: "x.example", sendingAddress: address }),
        Zone.layer(names)
      )
      const { found } = findings.find(({ rule }) => rule === "spf")!
      const ours = /the result is (\w+)/.exec(found)?.[1] ?? (found.includes("lets 192.0.2.25 send") ? "pass" : found)
      assert.strictEqual(ours, status.result)
    })
  )
})
