/**
 * The tests of one room as Stryker runs them: main.ts names the room in MUTATED_ROOM. Of a room with
 * slow laws, MUTATION_TESTS may name a part, such as `boundaries`; what lives is run again with all.
 * Node strips the types here too, so what is mutated is what runs.
 */
import process from "node:process";
import { defineConfig } from "vitest/config";

const { MUTATED_ROOM: room, MUTATION_TESTS: part = "" } = process.env;

export default defineConfig({
  test: {
    include: [`test/${room}/**/*${part}*.test.ts`],
    // They read the repository or start Go: neither is there in Stryker's copy of the tree.
    exclude: ["**/refusal.test.ts", "**/go.test.ts"],
    // One process for each mutant, not for each file: Stryker starts it anew either way.
    isolate: false,
    setupFiles: ["test/mutation/fixed-seed.ts"],
    experimental: { viteModuleRunner: false },
  },
});
