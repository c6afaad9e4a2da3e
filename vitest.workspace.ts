import { defineConfig } from "vitest/config"

/** One project a package, so that a failure names where it belongs; `test` holds what crosses packages. */
export default defineConfig({
  test: {
    projects: ["packages/!(*.json)", "examples", "test"]
  }
})
