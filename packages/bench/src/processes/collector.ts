/**
 * The process that receives spans over OTLP/HTTP and discards them.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import type { CollectorOpened, CollectorReading, CollectorRequest } from "../Protocol.ts"
import { serve } from "./serve.ts"

let exports = 0

const server = Http.createServer((request, response) => {
  exports++
  request.resume()
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/json" })
    response.end("{}")
  })
})

serve<CollectorRequest>(async (request): Promise<CollectorOpened | CollectorReading> => {
  if (request._tag === "Read") return { exports }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { port: (server.address() as AddressInfo).port }
})
