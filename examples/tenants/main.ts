/**
 * An app with many customers, each of whom sends through a relay of their own.
 *
 *     pnpm mailrace sink --port 2525 & pnpm mailrace sink --port 2526    # in one terminal
 *     pnpm --filter @mailrace/example-tenants start                       # in another
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import * as TenantRelays from "./TenantRelays.ts"

const ports: Record<string, number> = { acme: 2525, globex: 2526 }

const tenants = Layer.succeed(TenantRelays.Tenants, {
  relay: (tenant) =>
    Object.hasOwn(ports, tenant)
      ? Effect.succeed({ host: "127.0.0.1", port: ports[tenant] })
      : Effect.fail(MailError.invalid("tenant", `"${tenant}" is unknown`))
})

Stream.fromIterable(["acme", "globex", "nobody"]).pipe(
  Stream.map((tenant) => ({
    id: tenant,
    tenant,
    from: `news@${tenant}.example`,
    to: "ann@example.org",
    subject: "News",
    text: `From ${tenant}`
  })),
  Mailer.sendAll(),
  Stream.runForEach((delivery) =>
    Console.log(`${delivery.id}: ${delivery._tag}`, delivery._tag === "Accepted" ? "" : delivery.error.message)
  ),
  Effect.provide(TenantRelays.layer.pipe(Layer.provide(tenants))),
  NodeRuntime.runMain
)
