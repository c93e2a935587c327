/**
 * SECURITY.md, *Stopping a partner at once*, as it says, where registration entries federate with the
 * partner: on the embedded SPIRE Server, and on a real one where there is one.
 */
import { appendFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { callAdmin } from "../../src/admin-contract/client.ts";
import { prepare } from "../../peers/rotation.ts";
import { type Site, findSpire } from "../../peers/site.ts";
import { Story, meet, mesh, rowOf, until, untilAllHoldAll } from "./mesh.ts";

const STORY_MS = 120_000;
const real = findSpire("spire-server");

test(
  "a partner is stopped at once, though entries federate with it, and stays stopped",
  async () => await stopAPartner(undefined),
  STORY_MS,
);

describe("on a real SPIRE Server", () => {
  if (real === undefined) {
    test.skip("skipped: no spire-server on PATH or in SPIRE_BIN", () => undefined);
    return;
  }
  test("a partner is stopped just so", async () => await stopAPartner(real), STORY_MS);
});

async function stopAPartner(spireServer: string | undefined): Promise<void> {
  const story = await Story.begin(spireServer);
  try {
    const sites = await story.startSites(["alpha", "bravo"]);
    const [alpha, bravo] = sites;
    if (alpha === undefined || bravo === undefined) throw new Error("two sites");
    await meet(story, sites);
    await untilAllHoldAll(sites);
    await federateEntry(story, alpha, bravo);
    const refused = await alpha.mesh(["forget", "bravo.test"]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("ROW_IN_USE");

    await appendFile(alpha.daemonConfig, "policy: { unmanaged: [bravo.test] }\n");
    await alpha.stopDaemon();
    await alpha.startDaemon();
    const dissociate = ["bundle", "delete", "-id", "spiffe://bravo.test", "-mode", "dissociate"];
    expect(await alpha.spireServer(dissociate)).toMatchObject({ code: 0 });

    const before = await recordOf(alpha, bravo);
    await prepare(story.api(bravo));
    await until("alpha hears of it", async () => (await recordOf(alpha, bravo)) !== before);
    expect(await rowOf(alpha, bravo)).toBeUndefined();
    await mesh(alpha, ["forget", "bravo.test"]);
    expect(await recordOf(alpha, bravo)).toBeUndefined();
    expect(await rowOf(alpha, bravo)).toBeUndefined();
  } finally {
    await story.end();
  }
}

async function federateEntry(story: Story, at: Site, other: Site): Promise<void> {
  const { trustDomain } = at;
  const { results } = await story.api(at).entry.batchCreateEntry({
    entries: [
      {
        spiffeId: { trustDomain, path: "/workload" },
        parentId: { trustDomain, path: "/node" },
        selectors: [{ type: "unix", value: "uid:1000" }],
        federatesWith: [other.trustDomain],
      },
    ],
  });
  expect(results[0]?.status).toMatchObject({ code: 0 });
}

/** The id of the record that a daemon holds of another trust domain. */
async function recordOf(at: Site, of: Site): Promise<string | null | undefined> {
  const { trust_domains: domains } = await callAdmin(at.adminSocket, "status", {});
  return domains.find((each) => each.trust_domain === of.trustDomain)?.record_id;
}
