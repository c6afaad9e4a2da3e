/**
 * The process that lengthens the round trip.
 */
import type { RelayOpened, RelayReading, RelayRequest } from "../Protocol.ts"
import * as RoundTrip from "../RoundTrip.ts"
import { serve } from "./serve.ts"

let relay: RoundTrip.RoundTrip | undefined

serve<RelayRequest>(async (request): Promise<RelayOpened | RelayReading> => {
  if (request._tag === "Read") return { rttMs: relay?.measuredRttMs() ?? Number.NaN }
  await relay?.close()
  relay = await RoundTrip.start(request)
  return { port: relay.port }
})
