import { assert, describe, it } from "@effect/vitest"
import { parseServerMessageId } from "nodemailer/lib/smtp-connection/server-message-id.js"
import * as ServerMessageId from "../../src/internal/serverMessageId.ts"

describe("ServerMessageId", () => {
  it("reads the Message-IDs that nodemailer reads, and no others", () => {
    const replies = [
      "250 2.0.0 OK <AM0PR01@AM0PR01.eurprd01.prod.outlook.com> [Hostname=AM0PR01.eurprd01.prod.outlook.com]",
      "250 2.0.0 OK <a@b.example>",
      "250 Ok 0100018B5C3C0A4F-11111111-2222-3333-4444-555555555555-000000",
      "250 ok 0100018b",
      "250 2.0.0 Ok: queued as 4ABC",
      "451 2.0.0 OK <a@b.prod.outlook.com>"
    ]
    const hosts = [
      "smtp.office365.com",
      "email-smtp.us-east-1.amazonaws.com",
      "email-smtp.eu-west-1.amazonaws.com.",
      "vpce-1.email-smtp.ap-southeast-2.vpce.amazonaws.com",
      "email-smtp.eu-west-1.amazonaws.com.evil.example",
      "amazonaws.com"
    ]
    const found = new Set<string | undefined>()
    for (const reply of replies)
      for (const host of hosts) {
        const id = ServerMessageId.read(reply, host)
        found.add(id)
        assert.strictEqual(id, parseServerMessageId(reply, host), `${reply} from ${host}`)
      }
    assert.strictEqual(found.size, 5)
  })
})
