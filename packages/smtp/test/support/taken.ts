/** What a server took, as tests ask for it. */
import { assert } from "@effect/vitest"
import type { TestServerService } from "@mailrace/testing/TestServer"

/** The server took so many messages, each once, and had nothing to complain of. */
export const assertAllTaken = (server: TestServerService, count: number): void => {
  assert.deepStrictEqual(
    server.messages.map(({ from }) => from.address).toSorted(),
    Array.from({ length: count }, (_, n) => `from-${n}@test.example`).toSorted()
  )
  assert.deepStrictEqual(server.protocolErrors, [])
}
