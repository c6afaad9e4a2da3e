/**
 * A sign-up form behind HTTP: the answer tells whether the confirmation mail is on its way.
 *
 * `Mailer.send` fails with one error whose reason says what to do: a refused address is the visitor's to correct, a
 * relay that is busy is nobody's fault. Connections to the relay are kept open between requests, so a request waits for
 * a few round trips and not for a handshake.
 *
 *     pnpm --filter @mailrace/example-signup start
 *     curl -d '{"name":"Ann","email":"ann@example.org"}' -H 'content-type: application/json' localhost:3000/signup
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "mailrace/Address"
import * as Mailer from "mailrace/Mailer"
import { createServer } from "node:http"

const SignUp = Schema.Struct({ name: Schema.NonEmptyString, email: Address.Address })

const confirm = ({ email, name }: typeof SignUp.Type) =>
  Mailer.send({
    from: "Example <hello@example.org>",
    to: { name, address: email },
    subject: "Please confirm your address",
    text: `Hello ${name},\n\nplease confirm: https://example.org/confirm/${crypto.randomUUID()}\n`
  })

const answer = (status: number, message: string) =>
  Effect.succeed(HttpServerResponse.jsonUnsafe({ message }, { status }))

const signUp = HttpServerRequest.schemaBodyJson(SignUp).pipe(
  Effect.flatMap(confirm),
  Effect.flatMap(() => answer(202, "look into your inbox")),
  Effect.catchTags({
    MailError: ({ isRetryable, reason }) =>
      reason._tag === "RecipientsRejected" && !isRetryable
        ? answer(422, "this address does not take mail, is it spelt right?")
        : answer(503, "we cannot send mail now, please try again in a minute"),
    SchemaError: () => answer(400, "a name and an email address are needed"),
    HttpServerError: () => answer(400, "this is no JSON")
  })
)

const relay = SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")
const port = Number(process.env["PORT"] ?? 3000)

HttpRouter.serve(HttpRouter.add("POST", "/signup", signUp)).pipe(
  Layer.provide(Layer.merge(NodeHttpServer.layer(createServer, { port }), relay)),
  Layer.launch,
  NodeRuntime.runMain
)
