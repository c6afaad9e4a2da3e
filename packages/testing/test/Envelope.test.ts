import { assert, describe, it } from "@effect/vitest"
import * as Envelope from "../src/internal/envelope.ts"

const scan = (path: string, allowNull = false) => {
  const bytes = Buffer.from(path)
  return Envelope.scanPath(bytes, 0, bytes.length, allowNull)
}

describe("paths", () => {
  for (const path of [
    "<a@b>",
    "<first.last+tag@sub.example.org>",
    '<"quoted \\" > @ local"@b.example>',
    "<a@[192.0.2.1]>",
    "<a@[IPv6:2001:db8::1]>",
    "<jörg@例.example>",
    `<${"l".repeat(64)}@${"d".repeat(189)}>`
  ]) {
    it(`takes ${path.slice(0, 40)}`, () => assert.strictEqual(scan(path), Buffer.byteLength(path)))
  }

  it("takes the postmaster without a domain as a recipient, and not as a sender", () => {
    for (const path of ["<Postmaster>", "<postmaster>", "<POSTMASTER>"]) {
      assert.strictEqual(scan(path), path.length)
      assert.strictEqual(scan(path, true), -1)
    }
    for (const path of ["<postmasters>", "<hostmaster>", '<"postmaster">', "<postmaster", "<postmaster@>"])
      assert.strictEqual(scan(path), -1)
  })

  for (const path of [
    "",
    "a@b",
    "<a@b",
    "<>",
    "<@@>",
    "<@b>",
    "<a@>",
    "<a>",
    "<a..b@c>",
    "<.a@c>",
    "<a.@c>",
    "<a@b..c>",
    "<a b@c>",
    "<a@b c>",
    '<"a@b>',
    "<a@[]>",
    "<a@[192.0.2.1>",
    `<${"l".repeat(65)}@${"d".repeat(189)}>`
  ]) {
    it(`refuses "${path.slice(0, 40)}"`, () => assert.strictEqual(scan(path), -1))
  }

  it("takes the null path as a sender only", () => {
    assert.strictEqual(scan("<>", true), 2)
    assert.strictEqual(scan("<>", false), -1)
  })

  it("stops at the end of the path", () => assert.strictEqual(scan("<a@b> SIZE=1"), 5))
})
