/**
 * Tests run as the product does: Node's own type stripping, one process a file (a umask and a
 * working directory belong to a process), and two files at once on the two cores that CI has.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Against hanging, not a figure: a machine may be busy with much else.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    reporters: ["default", "./test/closing-line.ts"],
    experimental: { viteModuleRunner: false },
  },
});
