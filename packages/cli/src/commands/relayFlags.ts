/**
 * Flags for sending: the relay, its limits, and the DKIM signature.
 */
import * as Flag from "effect/cli/Flag"
import { atLeast, optional, path } from "./flags.ts"

const relay = Flag.Redacted("relay").pipe(Flag.withAlias("r"), Flag.withMetavar("URL"))

/** The one relay of a command. */
export const oneRelay = optional(
  relay.pipe(
    Flag.withDescription(
      "The relay, as in smtp://user@host:587?tls=required, smtps://user@host or smtp://host. Default: MAILRACE_RELAY from the environment"
    )
  )
)

/** The flags for sending. */
export const relayFlags = {
  config: optional(
    path("config").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Relays, limits, routes, DKIM keys and suppression lists in one file, such as mailrace.toml. Flags go before it. mailrace config init makes one"
      )
    )
  ),
  relay: relay.pipe(
    Flag.withDescription(
      "The relay, as in smtp://user@host:587?tls=required, smtps://user@host or smtp://host; may be repeated, and each takes an equal share. Default: the relays of --config, else MAILRACE_RELAY from the environment"
    ),
    Flag.atLeast(0)
  ),
  password: optional(
    Flag.Redacted("password").pipe(
      Flag.withMetavar("SECRET"),
      Flag.withDescription(
        "The relay's password. Prefer MAILRACE_PASSWORD in the environment, which other users cannot see"
      )
    )
  ),
  tlsCa: optional(
    path("tls-ca").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Trust certificates signed by this authority (PEM). Mail is then sent over TLS or not at all"
      )
    )
  ),
  concurrency: optional(
    atLeast("concurrency", 1).pipe(
      Flag.withDescription("The most messages in flight. Default: enough to keep the connections busy")
    )
  ),
  connections: optional(
    atLeast("connections", 1).pipe(Flag.withDescription("The most connections to the relay. Default: 10"))
  ),
  rate: Flag.String("rate").pipe(
    Flag.withMetavar("N/s"),
    Flag.withDescription(
      "The most messages in a time, such as 100/s, 6000/m, 5000/h or 50000/d, or the most new connections, as '5 connections/s'; may be repeated, and all hold. Default: no limit"
    ),
    Flag.atLeast(0)
  ),
  laneRate: Flag.String("lane-rate").pipe(
    Flag.withMetavar("DOMAIN=N/s"),
    Flag.withDescription(
      "The most messages to one recipient domain, such as gmail.com=20/s or gmail.com=20/s,50000/d; may be repeated. Messages to other domains go meanwhile"
    ),
    Flag.atLeast(0)
  ),
  tenantRate: Flag.String("tenant-rate").pipe(
    Flag.withMetavar("NAME=N/s"),
    Flag.withDescription("The most messages of one tenant, such as acme=100/s; may be repeated"),
    Flag.atLeast(0)
  ),
  warmup: optional(
    Flag.String("warmup").pipe(
      Flag.withMetavar("PLAN"),
      Flag.withDescription(
        "A daily limit that grows, such as from=50/d,factor=1.5,to=100000/d,since=2026-12-01; days are those of UTC. Without since, today is the first day"
      )
    )
  ),
  adaptive: Flag.Boolean("adaptive").pipe(
    Flag.withDescription(
      "Follow the relay: after it asks to slow down, send at the rate that it takes, and leave a relay alone for a while that fails again and again. Default: on; --no-adaptive goes on as before"
    ),
    Flag.withDefault(true)
  ),
  retries: atLeast("retries", 0).pipe(
    Flag.withDescription("The number of retries for a message that failed for now. Default: 3"),
    Flag.withDefault(3)
  ),
  suppressAdd: optional(
    path("suppress-add").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Append addresses that the relay calls non-existent (5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10, 5.2.1) to this file, such as gone.txt, one a line. --suppress gone.txt drops them in the next run"
      )
    )
  ),
  pipelining: optional(
    Flag.Literals("pipelining", ["auto", "off", "envelope", "overlap", "speculative"]).pipe(
      Flag.withDescription(
        "How far to send ahead of the relay's replies. Default: auto, the fastest mode that is safe with any relay"
      )
    )
  ),
  localAddress: optional(
    Flag.String("local-address").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("The address of this machine to connect from. Default: what the system chooses")
    )
  ),
  transcript: optional(
    path("transcript").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Write the conversation with the relay to this file, which only its owner can read: commands, replies and addresses, without passwords and content. A run with an outbox adds to it; from 64 MiB on, the older part is FILE.1"
      )
    )
  ),
  dkimDomain: optional(
    Flag.String("dkim-domain").pipe(
      Flag.withMetavar("DOMAIN"),
      Flag.withDescription("Sign each message for this domain (DKIM). mailrace dkim keygen makes a key")
    )
  ),
  dkimSelector: optional(
    Flag.String("dkim-selector").pipe(Flag.withMetavar("NAME"), Flag.withDescription("The key's name at that domain"))
  ),
  dkimKey: optional(
    path("dkim-key").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The private key (PEM). Default: the text of MAILRACE_DKIM_KEY in the environment")
    )
  )
}
