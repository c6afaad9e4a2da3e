/**
 * Lines of NDJSON as mails: a line of nothing but texts is read without the Schema, and must not differ for it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Mail from "mailrace/Mail"
import * as MailJson from "../../src/internal/mailJson.ts"

const { from, subject, to } = Mail.MailJson.fields

const decode = Schema.decodeUnknownResult(
  Schema.Struct({
    ...Mail.MailJson.fields,
    from: Schema.optionalKey(from),
    to: Schema.optionalKey(to),
    subject: Schema.optionalKey(subject)
  })
)

const TextField = Schema.Literals(["id", "from", "to", "subject", "text", "html", "unknown"])

const AnyField = Schema.Literals(["from", "subject", "cc", "messageId", "data", "unknown"])

const AnyValue = Schema.Union([Schema.String, Schema.Finite, Schema.Null])

const AnyTexts = Schema.Array(Schema.Tuple([TextField, Schema.String]))

const AnyFields = Schema.Array(Schema.Tuple([AnyField, AnyValue]))

const isReadAlike = (fields: ReadonlyArray<readonly [string, unknown]>): void => {
  const line = Object.fromEntries(fields)
  const expected = decode(line)
  const read = MailJson.decodeLine(line)
  assert.strictEqual(Result.isSuccess(read), Result.isSuccess(expected))
  if (Result.isSuccess(read) && Result.isSuccess(expected))
    assert.strictEqual(JSON.stringify(read.success), JSON.stringify(expected.success))
}

describe("a line of NDJSON", () => {
  it.prop("of texts is read as the Schema reads it, its fields in the same order", { fields: AnyTexts }, ({ fields }) =>
    isReadAlike(fields)
  )

  it.prop("of anything is read as the Schema reads it", { fields: AnyFields }, ({ fields }) => isReadAlike(fields))

  it("of texts keeps no field that no mail has, whatever its name", () => {
    const line = JSON.parse(`{"text":"Hi","__proto__":"x","constructor":"y","to":"a@b.example","from":"c@d.example"}`)
    assert.strictEqual(
      JSON.stringify(Result.getOrThrow(MailJson.decodeLine(line))),
      `{"from":"c@d.example","to":"a@b.example","text":"Hi"}`
    )
  })
})
