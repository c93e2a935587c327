/**
 * The whole way, real only: a workload's SVID, fetched through a real SPIRE Agent, is verified with
 * the bundle that the partner's workload got through its own agent, and rotations follow.
 */
import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Agent, type WorkloadFiles } from "../../peers/agent.ts";
import { activate, prepare, revoke, taintOld } from "../../peers/rotation.ts";
import { findSpire } from "../../peers/site.ts";
import { Story, meet, until, untilAllHoldAll } from "./mesh.ts";

const STORY_MS = 300_000;
/** An agent syncs every 5 s, and the first SVID took up to 10 s (measured). */
const AGENT_MS = 60_000;

const server = findSpire("spire-server");
const program = findSpire("spire-agent");

describe("a workload beside a real SPIRE Agent", () => {
  const isMissing = server === undefined || program === undefined;
  const title = isMissing
    ? "skipped: no spire-server and spire-agent on PATH or in SPIRE_BIN"
    : "verifies the partner's workload, before and after a rotation";
  let story: Story;
  let agents: Agent[];
  beforeEach(async () => {
    story = await Story.begin(server);
    agents = [];
  });
  afterEach(async () => {
    await Promise.all(agents.map(async (agent) => await agent.stop()));
    await story.end();
  });

  test.skipIf(isMissing)(
    title,
    async () => {
      const sites = await story.startSites(["alpha", "bravo"]);
      await meet(story, sites);
      await untilAllHoldAll(sites);
      const [alpha, bravo] = sites;
      if (alpha === undefined || bravo === undefined) throw new Error("two sites");
      const atAlpha = new Agent(alpha, program ?? "");
      const atBravo = new Agent(bravo, program ?? "");
      agents.push(atAlpha, atBravo);
      await atAlpha.start([bravo.trustDomain]);
      await atBravo.start([alpha.trustDomain]);

      await untilVerified(atAlpha, atBravo, "first");
      const api = story.api(alpha);
      const before = await leafOf(atAlpha, "before");
      await activate(api, await prepare(api));
      const old = await taintOld(api); // Alpha's agent now renews what the old authority signed.
      await until(
        "alpha's agent renews",
        async () => (await leafOf(atAlpha, "renewed"))?.serialNumber !== before?.serialNumber,
        AGENT_MS,
      );
      await revoke(api, old);
      await untilAllHoldAll(sites);
      await untilVerified(atAlpha, atBravo, "rotated");
    },
    STORY_MS,
  );
});

/** Waits until each workload's SVID verifies with what the other workload was given. */
async function untilVerified(left: Agent, right: Agent, name: string): Promise<void> {
  await until(
    `SVIDs verify (${name})`,
    async () => {
      const [ours, theirs] = [await left.fetch(name), await right.fetch(name)];
      if (!("svid" in ours) || !("svid" in theirs)) return false;
      expect(new X509Certificate(ours.svid).subjectAltName).toContain("/workload");
      return verifies(ours, theirs) && verifies(theirs, ours);
    },
    AGENT_MS,
  );
}

async function leafOf(agent: Agent, name: string): Promise<X509Certificate | undefined> {
  const files = await agent.fetch(name);
  return "svid" in files ? new X509Certificate(files.svid) : undefined;
}

function verifies({ svid }: WorkloadFiles, { federated }: WorkloadFiles): boolean {
  const leaf = new X509Certificate(svid);
  const authorities = federated.flatMap((pem) => pem.match(/-----BEGIN[^]+?-----END[^\n]+/g) ?? []);
  return authorities.some((pem) => leaf.verify(new X509Certificate(pem).publicKey));
}
