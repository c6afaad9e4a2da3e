import { defineConfig } from "vitest/config"

/**
 * One project a package, so that a failure names where it belongs; `test` holds what crosses packages. Test files wait
 * for sockets, disks and processes for half of their time, so that as many run at once as there are cores (by default
 * one core is left free, which is half of a small machine).
 */
export default defineConfig({
  test: {
    maxWorkers: "100%",
    projects: ["packages/!(*.json)", "examples", "test"]
  }
})
