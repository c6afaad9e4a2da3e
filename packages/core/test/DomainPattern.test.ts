import { assert, describe, it } from "@effect/vitest"
import * as DomainPattern from "../src/DomainPattern.ts"

describe("DomainPattern.matcher", () => {
  const matches = DomainPattern.matcher(["Example.org", "*.shop.example"])

  it("holds for a domain itself and for those below a star, in any capitals", () => {
    for (const domain of ["example.org", "EXAMPLE.ORG", "a.shop.example", "a.b.Shop.Example"])
      assert.isTrue(matches(domain), domain)
  })

  it("does not hold for others", () => {
    for (const domain of ["a.example.org", "shop.example", ".shop.example", "myshop.example", "example.org.x", ""])
      assert.isFalse(matches(domain), domain)
  })

  it("holds for nothing without a pattern", () => assert.isFalse(DomainPattern.matcher([])("example.org")))
})
