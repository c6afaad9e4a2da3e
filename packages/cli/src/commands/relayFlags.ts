/**
 * Flags that say how messages go out: through which relay, how many at once, and signed by whom.
 */
import * as Flag from "effect/cli/Flag"
import { atLeast, optional, path } from "./flags.ts"

/** How messages go out. */
export const relayFlags = {
  relay: optional(
    Flag.Redacted("relay").pipe(
      Flag.withAlias("r"),
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "smtp://user@host:587?tls=required, smtps://user@host, smtp://host. Default: MAILRACE_RELAY from the environment"
      )
    )
  ),
  password: optional(
    Flag.Redacted("password").pipe(
      Flag.withMetavar("SECRET"),
      Flag.withDescription("The relay's password. Better: MAILRACE_PASSWORD in the environment, which no one else sees")
    )
  ),
  tlsCa: optional(
    path("tls-ca").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Trust the relay's certificate when this authority signed it (PEM); mail then goes over TLS or not at all"
      )
    )
  ),
  concurrency: optional(
    atLeast("concurrency", 1).pipe(
      Flag.withDescription("Messages on their way at once. Default: what keeps the connections busy")
    )
  ),
  connections: optional(
    atLeast("connections", 1).pipe(Flag.withDescription("The most connections to the relay. Default: 10"))
  ),
  rate: optional(
    Flag.String("rate").pipe(
      Flag.withMetavar("N/s"),
      Flag.withDescription("The most messages in a time, as 100/s, 6000/m or 5000/h. Default: no limit")
    )
  ),
  retries: atLeast("retries", 0).pipe(
    Flag.withDescription("How often a message that failed for now is tried again. Default: 3"),
    Flag.withDefault(3)
  ),
  suppressAdd: optional(
    path("suppress-add").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Add to this file, as gone.txt, whose mailbox or domain does not exist any more, as the relay says (5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10, 5.2.1), one address a line; the next run leaves them out with --suppress gone.txt"
      )
    )
  ),
  pipelining: optional(
    Flag.Literals("pipelining", ["auto", "off", "envelope", "overlap", "speculative"]).pipe(
      Flag.withDescription(
        "How far to run ahead of the relay's replies. Default: auto, the fastest that is safe with any relay"
      )
    )
  ),
  dkimDomain: optional(
    Flag.String("dkim-domain").pipe(
      Flag.withMetavar("DOMAIN"),
      Flag.withDescription("Sign each message (DKIM) as this domain. For a key: mailrace dkim keygen")
    )
  ),
  dkimSelector: optional(
    Flag.String("dkim-selector").pipe(Flag.withMetavar("NAME"), Flag.withDescription("The key's name at that domain"))
  ),
  dkimKey: optional(
    path("dkim-key").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "The private key (PEM). Default: MAILRACE_DKIM_KEY from the environment, the key's text itself"
      )
    )
  )
}
