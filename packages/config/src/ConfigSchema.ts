/**
 * The settings of `mailrace.toml` as one Schema, from which the JSON Schema for editors is made too.
 *
 * @since 0.1.0
 */

import type * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"

const optional = <S extends Schema.Constraint>(schema: S, description: string) =>
  Schema.optionalKey(schema).annotateKey({ description })

const OneOrMore = Schema.Union([Schema.String, Schema.Array(Schema.String)])

/**
 * A secret that stands elsewhere: in a variable of the environment, or in a file, whose last line end does not count.
 *
 * @since 0.1.0
 */
export const Secret = Schema.Union([Schema.Struct({ env: Schema.String }), Schema.Struct({ file: Schema.String })])

/**
 * A secret that stands elsewhere.
 *
 * @since 0.1.0
 */
export type Secret = typeof Secret.Type

/**
 * A daily limit that grows.
 *
 * @since 0.1.0
 */
export const WarmUp = Schema.Struct({
  from: Schema.String.annotateKey({ description: 'the limit of the first day, as "500/d"' }),
  to: Schema.String.annotateKey({ description: 'the limit that it grows to, as "200000/d"' }),
  factor: optional(Schema.Finite, "the growth from one day to the next, above 1, as 1.5"),
  since: optional(Schema.String, "the first day, as 2026-12-01")
})

const rates = {
  rate: optional(OneOrMore, 'limits that all hold, as "14/s" or ["14/s", "50000/d"]'),
  warmup: optional(WarmUp, 'a daily limit that grows, as { from = "500/d", to = "200000/d" }')
}

/**
 * A relay.
 *
 * @since 0.1.0
 */
export const Relay = Schema.Struct({
  url: Schema.String.annotateKey({ description: 'the relay\'s address, as "smtps://user@mail.example.org"' }),
  password: optional(Secret, 'where the password is, as { env = "SES_PASSWORD" } or { file = "ses.password" }'),
  weight: optional(Schema.Finite, "the share beside the other relays, a number from 0, as 2"),
  class: optional(Schema.Literals(["primary", "backup"]), '"primary", or "backup" for a relay that stands in'),
  connections: optional(Schema.Int, "the most connections, a whole number from 1, as 20"),
  rate: optional(
    OneOrMore,
    'limits that all hold, as "14/s" or ["14/s", "50000/d"], and on new connections, as "5 connections/s"'
  ),
  warmup: rates.warmup,
  adaptive: optional(
    Schema.Boolean,
    "false to go on as before when the relay asks to slow down; by default messages are sent no faster than it takes them without complaint"
  ),
  size: optional(Schema.Int, "the largest message that the relay takes, in bytes, as 10000000"),
  smtputf8: optional(Schema.Boolean, "false if the relay takes no addresses in UTF-8"),
  requiretls: optional(Schema.Boolean, "false if the relay does not offer REQUIRETLS"),
  dsn: optional(Schema.Boolean, "false if the relay sends no notifications on request")
})

/**
 * The limits of a lane: the messages to one recipient domain.
 *
 * @since 0.1.0
 */
export const Lane = Schema.Struct(rates)

/**
 * The limits and the share of a tenant.
 *
 * @since 0.1.0
 */
export const Tenant = Schema.Struct({
  ...rates,
  weight: optional(Schema.Finite, "the share beside other tenants that wait, a number above 0, as 2")
})

/**
 * A rule for which relays messages go by.
 *
 * @since 0.1.0
 */
export const Route = Schema.Struct({
  tenant: optional(OneOrMore, 'the tenants of the messages, as "acme"'),
  sender: optional(OneOrMore, 'the domains of the senders, as "shop.example" or "*.shop.example"'),
  lane: optional(OneOrMore, 'the domains of the recipients, as "gmail.com"'),
  relay: OneOrMore.annotateKey({ description: 'the names of the relays, as ["ses", "spare"]' })
})

/**
 * A rule for what a reply means: how long to leave alone what, which limits to keep to, whether to give the message up.
 *
 * @since 0.1.0
 */
export const Rule = Schema.Struct({
  reply: Schema.String.annotateKey({
    description: 'the beginning of the reply and words in it, as "421 4.7.28" or "454 daily quota"'
  }),
  lane: optional(OneOrMore, 'the domains of the recipients, as "gmail.com"'),
  relay: optional(OneOrMore, 'the names of the relays, as "ses"'),
  pause: optional(Schema.String, 'how long to leave the lane or the relay alone, as "10m"'),
  retry: optional(
    Schema.String,
    'how long to put off this message, or this recipient of it, even if the reply refuses it for good, as "1h"'
  ),
  slow_to: optional(Schema.String, 'the most messages to the lane or the relay from then on, as "5/s"'),
  connections: optional(
    Schema.Int,
    "the most connections to the relay, or messages to the lane at once, from then on; a whole number from 1, as 3"
  ),
  messages_per_connection: optional(
    Schema.Int,
    "the most messages on a connection to the relay from then on, a whole number from 1, as 20"
  ),
  for: optional(Schema.String, 'how long slow_to and the other limits hold, as "1h", which is the default'),
  bounce_as: optional(
    Schema.String,
    'the enhanced status with which the message is refused for good, though the reply is temporary, as "5.7.1"'
  )
})

/**
 * A key that signs the messages of one sender domain (DKIM, RFC 6376).
 *
 * @since 0.1.0
 */
export const Dkim = Schema.Struct({
  selector: Schema.String.annotateKey({ description: 'the name of the key in the DNS, as "s1"' }),
  key: Secret.annotateKey({ description: 'where the private key is, as { file = "s1.pem" } or { env = "DKIM_KEY" }' })
})

/**
 * Where traces go.
 *
 * @since 0.1.0
 */
export const Telemetry = Schema.Struct({
  otlp: optional(Schema.String, 'the collector of traces, as "http://localhost:4318"'),
  otlp_metrics: optional(Schema.String, 'the collector of metrics, as "http://localhost:4318"; none by default'),
  sample: optional(Schema.Finite, "the share of messages to trace, from 0 to 1, as 0.01"),
  recipient_domains: optional(
    Schema.Array(Schema.String),
    'recipient domains that traces name, as ["gmail.com"]; none by default'
  )
})

/**
 * All settings.
 *
 * @since 0.1.0
 */
export const Settings = Schema.Struct({
  relay: optional(Schema.Record(Schema.String, Relay), "the relays by name, as [relay.ses]"),
  lane: optional(Schema.Record(Schema.String, Lane), 'limits by recipient domain, as [lane."gmail.com"]'),
  tenant: optional(Schema.Record(Schema.String, Tenant), "limits by tenant, as [tenant.acme]"),
  route: optional(Schema.Array(Route), "rules for which relays messages go by, of which the first that matches counts"),
  rule: optional(Schema.Array(Rule), "rules for what replies mean, before those for the big providers"),
  provider_rules: optional(Schema.Boolean, "false to do without the rules for the big providers"),
  sticky_lanes: optional(Schema.Boolean, "true to send the messages to one domain by one relay"),
  dkim: optional(Schema.Record(Schema.String, Dkim), 'keys by sender domain, as [dkim."shop.example"]'),
  telemetry: optional(Telemetry, 'where traces and metrics go, as { otlp = "http://localhost:4318" }'),
  suppress: optional(OneOrMore, 'files with addresses and domains that get no mail, as ["unsubscribed.txt"]')
})

/**
 * All settings.
 *
 * @since 0.1.0
 */
export type Settings = typeof Settings.Type

/**
 * The settings as a JSON Schema (draft 2020-12), for editors.
 *
 * @since 0.1.0
 */
export const jsonSchema = (): JsonSchema.JsonSchema => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(Settings, { onExcessProperty: "error" })
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "mailrace.toml",
    ...schema,
    ...(Object.keys(definitions).length > 0 ? { $defs: definitions } : {})
  }
}
