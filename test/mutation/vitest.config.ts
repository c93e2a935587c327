/**
 * The tests of one room as Stryker runs them: main.ts names the room in MUTATED_ROOM.
 * Node strips the types here too, so what is mutated is what runs.
 */
import process from "node:process";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [`test/${process.env["MUTATED_ROOM"]}/**/*.test.ts`],
    // They read the repository or start Go: neither is there in Stryker's copy of the tree.
    exclude: ["**/refusal.test.ts", "**/go.test.ts"],
    // One process for each mutant, not for each file: Stryker starts it anew either way.
    isolate: false,
    setupFiles: ["test/mutation/fixed-seed.ts"],
    experimental: { viteModuleRunner: false },
  },
});
