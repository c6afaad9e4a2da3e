import { globSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { defineConfig } from "vitest/config"

/**
 * Packages each of whose test files gets a process of its own, because they start mail servers and keep track of them. The
 * files of the others share a worker's modules: loading Effect anew for each was half of their CPU.
 */
const isolated = ["test"]

/**
 * Compiled code is kept between processes. Beside the time that this saves, Node then strips the types of the thread of an
 * SQLite outbox once and not in each process: the WebAssembly that strips them now and then crashes Node 24 where threads come
 * and go ("Check failed: jit_page.has_value()", nodejs/node#64500).
 */
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules", ".cache", "compiled")

/** The tests against real mail servers, which `pnpm test` leaves out and `pnpm test:servers` is. */
const servers = "test/servers"

/**
 * Fleets and killed processes, full disks and stopped databases, files of megabytes, and the programs of the documentation.
 * They take two minutes, and `pnpm test` has three on two cores. `.ci/run` runs them on the lowest Node, and `pnpm test:long` here.
 */
const long = [
  "packages/cli/test/deepNesting.test.ts",
  "packages/cli/test/output/htmlReport/HtmlReport.browser.test.ts",
  "packages/cli/test/outboxDurable.test.ts",
  "packages/cli/test/outboxFleet.test.ts",
  "packages/cli/test/outboxMoved.test.ts",
  "packages/cli/test/outboxUnrecorded.test.ts",
  "packages/cli/test/permissions.test.ts",
  "packages/cli/test/templateDurable.test.ts",
  "packages/cli/test/terminal.test.ts",
  "packages/cli/test/topTerminal.test.ts",
  "packages/flow/test/LookAhead.test.ts",
  "packages/flow/test/Storm.test.ts",
  "packages/outbox/test/Backlog.test.ts",
  "packages/outbox/test/Crash.test.ts",
  "packages/outbox/test/DispatchedLimits.test.ts",
  "packages/outbox/test/Fleet.test.ts",
  "packages/outbox/test/Ownership.test.ts",
  "packages/outbox/test/PostgresSharing.test.ts",
  "packages/outbox/test/SharedLimit.test.ts",
  "packages/outbox/test/SharedStreams.test.ts",
  "packages/smtp/test/memory.test.ts",
  "packages/telemetry/test/memory.test.ts",
  "test/snippets.test.ts"
]

/**
 * One project a package, so that a failure names where it belongs; `test` holds what crosses packages.
 *
 * Test files wait for sockets, disks and processes for a part of their time, so one more runs at once than there are cores.
 * Projects are written out here and not given as folders: a folder makes a project of its own, which takes nothing from
 * this file, and by default leaves one core free. On a machine with two that is one file after the other.
 */
export default defineConfig({
  test: {
    maxWorkers: availableParallelism() + 1,
    // Many tests start the command in a process of its own, several times; a busy machine needs a while for that.
    testTimeout: 60_000,
    projects: [
      ...globSync(["packages/*/package.json", "test/package.json"]).map((manifest) => ({
        test: {
          name: JSON.parse(readFileSync(manifest, "utf8")).name as string,
          include: [`${dirname(manifest)}/**/*.test.ts`],
          exclude: ["**/node_modules/**", `${servers}/**`, ...long],
          isolate: isolated.includes(dirname(manifest))
        }
      })),
      // Examples that are tests themselves.
      { test: { name: "@mailrace/examples", include: ["examples/*/*.test.ts"], isolate: false } },
      { test: { name: "@mailrace/long", include: long } },
      { test: { name: "@mailrace/servers", include: [`${servers}/*.test.ts`] } }
    ]
  }
})
