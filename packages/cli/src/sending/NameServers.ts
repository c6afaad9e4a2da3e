/**
 * Name servers that are asked in place of the system's.
 */
import * as Effect from "effect/Effect"
import { isIP, SocketAddress } from "node:net"
import { CommandError } from "../CommandError.ts"

/** Fails for anything but an IP address, with or without a port. */
export const check = (servers: ReadonlyArray<string>): Effect.Effect<void, CommandError> => {
  const bad = servers.find((text) => isIP(text) === 0 && SocketAddress.parse(text) === undefined)
  return bad === undefined
    ? Effect.void
    : Effect.fail(
        new CommandError({
          problem: `--name-server: "${bad}" is not an address`,
          remedy: "give an IP address, with a port if it is not 53, as in 127.0.0.1:5353"
        })
      )
}
