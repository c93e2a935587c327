import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { Site, findSpire } from "../../peers/site.ts";
import { type RunningSpire, spireServerCompliance } from "../compliance/spire-server.ts";

/** @param spireServer Path of a real one; the embedded one without. */
async function run(spireServer?: string): Promise<RunningSpire> {
  const directory = await mkdtemp(join(tmpdir(), "compliance-"));
  const site = await Site.make({ trustDomain: "alpha.test", directory, spireServer });
  await site.startSpire();
  return {
    socketPath: site.spireSocket,
    trustDomain: site.trustDomain,
    stop: async (signal) => await site.stopSpire(signal),
    start: async () => await site.startSpire(),
    async dispose() {
      await site.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

spireServerCompliance("the embedded SPIRE Server", async () => await run());

const spireServer = findSpire("spire-server");
if (spireServer === undefined) {
  describe("a real SPIRE Server behind the port", () => {
    // Skipped: a real SPIRE Server is not installed here.
    test.skip("skipped: no spire-server on PATH or in SPIRE_BIN", () => undefined);
  });
} else {
  spireServerCompliance("a real SPIRE Server", async () => await run(spireServer));
}
