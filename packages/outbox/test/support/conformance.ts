/**
 * What every store must do, shown through the service. Each test has a database of its own.
 */
import { describe } from "@effect/vitest"
import type { Fresh } from "./fixtures.ts"
import { deliverySuite } from "./deliveryConformance.ts"
import { flowSuite } from "./flowConformance.ts"
import { intakeSuite } from "./intakeConformance.ts"
import { retentionSuite } from "./retentionConformance.ts"

/** Runs the conformance tests against a store. */
export const suite = (name: string, fresh: Fresh): void => {
  describe(name, () => {
    intakeSuite(fresh)
    deliverySuite(fresh)
    flowSuite(fresh)
    retentionSuite(fresh)
  })
}
