import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Address from "../src/Address.ts"
import * as RoleAddress from "../src/RoleAddress.ts"
import { found, mail, screened } from "./support/intakeRuns.ts"

describe("RoleAddress", () => {
  it("knows roles by their names", () => {
    for (const address of [
      "postmaster@a.b",
      "Abuse@a.b",
      "no-reply+7@a.b",
      '"noreply"@a.b',
      "mailer-daemon@a.b",
      "www@a.b"
    ])
      assert.isTrue(RoleAddress.isRole(Address.fromStringUnsafe(address)), address)
    for (const address of ["ann@a.b", "postmasters@a.b", "in.fo@a.b", "ann+info@a.b", "a@info.b"])
      assert.isFalse(RoleAddress.isRole(Address.fromStringUnsafe(address)), address)
  })

  it.effect("warns, drops or keeps, for custom names too", () =>
    Effect.gen(function* () {
      const mails = [mail("info@example.org"), mail("desk@example.org")]
      const warned = yield* screened(mails, [RoleAddress.check()])
      assert.deepStrictEqual(warned.kept, mails)
      assert.deepStrictEqual(found(warned.findings), [[0, "role", "warned", "info@example.org", false]])
      assert.deepStrictEqual(warned.counts, {
        invalid: 0,
        suppressed: 0,
        duplicates: 0,
        roles: 0,
        roleWarnings: 1,
        mails: 0
      })
      const dropped = yield* screened(mails, [RoleAddress.check({ policy: "drop", names: ["DESK"] })])
      assert.deepStrictEqual(dropped.kept, [mails[0]])
      const kept = yield* screened(mails, [RoleAddress.check({ policy: "keep" })])
      assert.deepStrictEqual([kept.kept, kept.findings], [mails, []] as never)
    })
  )
})
