import { assert, describe, it } from "@effect/vitest"
import * as AttachmentEntity from "../../../src/internal/mime/attachmentEntity.ts"

describe("attachmentEntity", () => {
  it("sends a message as bytes if it contains a line that would end its part", () => {
    const description = {
      field: "attachments[0]",
      filename: "a.eml",
      contentType: "message/rfc822",
      cid: undefined
    }
    const token = "0123456789abcdef"
    const make = (text: string) => AttachmentEntity.make(description, Buffer.from(text), token).header
    assert.include(make("Subject: x\r\n\r\nfine"), "7bit")
    assert.include(make(`Subject: x\r\n\r\n--=_m_${token}`), "application/octet-stream")
    assert.include(make(`Subject: x\r\n\r\n--=_m_${token}`), "base64")
  })
})
