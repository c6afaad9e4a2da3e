/**
 * A relay for each tenant: one transport that looks at `Mail.tenant`.
 *
 * A tenant's connections are opened with its first message and closed five minutes after its last, so that ten thousand
 * tenants cost as much as those who are sending. One tenant's slow relay holds up nobody else.
 */
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"

/** Where tenants' settings come from, such as a table with encrypted passwords. */
export class Tenants extends Context.Service<
  Tenants,
  {
    /** Fails for a tenant that is unknown or may not send. */
    readonly relay: (tenant: string) => Effect.Effect<SmtpOptions.Options, MailError.MailError>
  }
>()("example/Tenants") {}

/** The transport. */
export const layer = Layer.effect(
  MailTransport,
  Effect.gen(function* () {
    const tenants = yield* Tenants
    const transports = yield* RcMap.make({
      lookup: (tenant: string) =>
        Effect.flatMap(tenants.relay(tenant), SmtpTransport.make).pipe(
          Effect.map((services) => Context.get(services, MailTransport)),
          Effect.catchTag("SmtpOptionsError", (error) =>
            Effect.fail(MailError.invalid("tenant", `its relay cannot be used: ${error.message}`))
          )
        ),
      idleTimeToLive: "5 minutes"
    })
    return MailTransport.of({
      concurrency: 100,
      send: (message, options) =>
        message.tenant === undefined
          ? Effect.fail(MailError.invalid("tenant", "it is missing"))
          : RcMap.get(transports, message.tenant).pipe(
              Effect.flatMap((transport) => transport.send(message, options)),
              Effect.scoped
            )
    })
  })
)
