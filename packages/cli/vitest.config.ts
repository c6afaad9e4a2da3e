import { defineConfig } from "vitest/config"

/** Most tests start the command in a process of its own, several times; a busy machine needs a while for that. */
export default defineConfig({ test: { testTimeout: 30_000 } })
