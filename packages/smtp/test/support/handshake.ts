/** What a handshake came to. */
import type { TestServerService } from "@mailrace/testing/TestServer"
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as SmtpOptions from "../../src/SmtpOptions.ts"
import * as Relay from "./relay.ts"

/** Opens a session, and gives the error that it failed with. */
export const failure = (
  server: Pick<TestServerService, "host" | "port">,
  options: Partial<SmtpOptions.Options> = {}
): Effect.Effect<MailError.MailError, void, Scope.Scope> =>
  Effect.flatMap(Relay.open(server, options), ({ smtp }) => Effect.flip(smtp.verify))

/** The lines of one side, in order. */
export const said = (server: TestServerService, by: "client" | "server" = "client"): ReadonlyArray<string> =>
  server.transcript.filter((line) => line.by === by).map(({ line }) => line)
