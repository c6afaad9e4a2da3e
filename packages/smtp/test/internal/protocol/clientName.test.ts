import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as ClientName from "../../../src/internal/protocol/clientName.ts"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

const parsed = (text: string): string => Result.getOrElse(ClientName.parse(text), (problem) => `! ${problem}`)

describe("clientName", () => {
  it("puts an address into brackets, with or without them", () => {
    for (const [given, sent] of [
      ["192.0.2.7", "[192.0.2.7]"],
      ["[192.0.2.7]", "[192.0.2.7]"],
      ["2001:db8::1", "[IPv6:2001:db8::1]"],
      ["[2001:db8::1]", "[IPv6:2001:db8::1]"],
      ["[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"],
      ["[ipv6:::1]", "[IPv6:::1]"],
      ["::ffff:192.0.2.7", "[192.0.2.7]"]
    ] as const)
      assert.strictEqual(parsed(given), sent, given)
  })

  it("takes domain names, in ASCII or not", () => {
    for (const name of [
      "mail.example.com",
      "localhost",
      "vm",
      "a-1.example",
      "EXAMPLE.com",
      `${"a".repeat(63)}.example`
    ])
      assert.strictEqual(parsed(name), name)
    assert.strictEqual(parsed("mäil.example"), "xn--mil-qla.example")
  })

  it("refuses what is neither", () => {
    for (const name of [
      "",
      " ",
      "my_host.example",
      "-a.example",
      "a-.example",
      "a..example",
      ".example",
      "example.",
      "256.1.1.1",
      "1.2.3",
      "a b",
      "a@b.example",
      "a\r\nMAIL FROM:<x>",
      "a\0b",
      "[",
      "[]",
      "[mail.example]",
      "[IPv6:192.0.2.7]",
      "[IPv6:]",
      "fe80::1%eth0",
      `${"a".repeat(64)}.example`,
      `${"abcdefgh.".repeat(30)}example`
    ])
      assert.match(parsed(name), /^! /, JSON.stringify(name))
  })

  it("takes the machine's name only if it is a full one for the world", () => {
    for (const name of ["mail.example.com", "a.b.c.example"]) assert.strictEqual(ClientName.ofMachine(name), name)
    for (const name of [
      "vm",
      "a1b2c3d4e5f6",
      "localhost",
      "laptop.local",
      "localhost.localdomain",
      "ip-10-0-0-1.ec2.internal",
      "MAC.LOCAL",
      "my_host.example.com",
      "10.0.0.1",
      ""
    ])
      assert.isUndefined(ClientName.ofMachine(name), name)
  })

  it("writes the socket's own address as a literal", () => {
    for (const [address, literal] of [
      ["127.0.0.1", "[127.0.0.1]"],
      ["::ffff:10.0.0.1", "[10.0.0.1]"],
      ["::1", "[IPv6:::1]"],
      ["fe80::1%eth0", "[IPv6:fe80::1]"]
    ] as const)
      assert.strictEqual(ClientName.literal(address), literal)
  })

  it.prop(
    "what it takes is one word of a command, and is taken again as it is",
    [Arbitrary.schema(Schema.String)],
    ([text]) => {
      const name = ClientName.parse(text)
      if (Result.isFailure(name)) return
      assert.match(name.success, /^[A-Za-z0-9.-]+$|^\[[A-Za-z0-9.:]+\]$/)
      assert.strictEqual(parsed(name.success), name.success)
    }
  )
})
