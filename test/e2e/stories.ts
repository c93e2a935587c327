/**
 * The product's stories, told once and run twice: on the embedded SPIRE Server in every test run, on
 * a real one where there is one. Everything is a process of its own, everything is checked in the
 * partner's SPIRE Server, never in our own status.
 */
import { writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { activate, prepare, revoke, rotateAtOnce, taintOld } from "../../peers/rotation.ts";
import {
  Story,
  bundleOf,
  exportTo,
  meet,
  mesh,
  rowOf,
  until,
  untilAllHoldAll,
  pair,
} from "./mesh.ts";

const STORY_MS = 120_000;
const ROTATIONS_AWAY = 10;

export function stories(kind: string, spireServer: string | undefined): void {
  describe(`on ${kind}`, () => {
    let story: Story;
    beforeEach(async () => {
      story = await Story.begin(spireServer);
    });
    afterEach(async () => {
      await story.end();
    });

    test(
      "three trust domains meet, and each holds the others' bundles",
      async () => {
        const sites = await story.startSites(["alpha", "bravo", "charlie"]);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        for (const site of sites) {
          await until(`verify at ${site.trustDomain}`, async () => {
            return (await site.mesh(["verify", "-expect", "2"])).code === 0;
          });
        }
      },
      STORY_MS,
    );

    test(
      "prepare, activate, taint and revoke reach the partner one by one",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        const api = story.api(alpha);
        const before = await bundleOf(alpha);

        const prepared = await prepare(api);
        await untilAllHoldAll(sites);
        await activate(api, prepared);
        const old = await taintOld(api);
        await revoke(api, old);
        await untilAllHoldAll(sites);

        const row = await rowOf(bravo, alpha);
        expect(row?.x509Authorities.length).toBe(1);
        expect(row?.x509Authorities[0]?.der).not.toEqual(before.x509Authorities[0]?.der);
      },
      STORY_MS,
    );

    test(
      "all four within a tenth of a second reach the partner too",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        const api = story.api(alpha);
        for (let round = 0; round < 3; round += 1) {
          await rotateAtOnce(api);
          await untilAllHoldAll(sites);
        }
      },
      STORY_MS,
    );

    test(
      "a daemon killed in the middle of rotations comes back with nothing lost",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        const api = story.api(alpha);
        for (const victim of [alpha, bravo]) {
          const rotating = rotateAtOnce(api);
          await victim.stopDaemon("SIGKILL");
          await rotating;
          await victim.startDaemon();
          await untilAllHoldAll(sites);
        }
      },
      STORY_MS,
    );

    test(
      "SPIRE restarted with a volatile key manager is bridged by the kept SVID",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"], { keyManager: "memory" });
        const [alpha] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        const before = await bundleOf(alpha);
        await alpha.stopSpire("SIGKILL");
        await alpha.startSpire();
        const after = await bundleOf(alpha);
        expect(after.x509Authorities.length).toBe(before.x509Authorities.length + 1);
        await untilAllHoldAll(sites);
      },
      STORY_MS,
    );

    test(
      "daemon and SPIRE restarted together are bridged by the SVID on disk",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"], { keyManager: "memory" });
        const [alpha] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        await Promise.all([alpha.stopDaemon("SIGKILL"), alpha.stopSpire("SIGKILL")]);
        await alpha.startSpire();
        await alpha.startDaemon();
        await untilAllHoldAll(sites);
      },
      STORY_MS,
    );

    test(
      "a partner away for ten rotations catches up",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        await bravo.stopDaemon();
        await rotateAndPublish(story, alpha);
        await bravo.startDaemon();
        await untilAllHoldAll(sites);
      },
      STORY_MS,
    );

    test(
      "a file imported ten rotations late leads to the present",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        const file = story.path("early.export");
        const fingerprint = await exportTo(alpha, file);
        await rotateAndPublish(story, alpha);
        const bravoFile = story.path("bravo.export");
        await mesh(alpha, ["import", bravoFile, "-fingerprint", await exportTo(bravo, bravoFile)]);
        await mesh(bravo, ["import", file, "-fingerprint", fingerprint]);
        await untilAllHoldAll(sites);
      },
      STORY_MS,
    );

    test(
      "a row deleted or overwritten by hand comes back",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        const api = story.api(bravo);
        await api.bundle.batchDeleteFederatedBundle({ trustDomains: [alpha.trustDomain] });
        expect(await rowOf(bravo, alpha)).toBeUndefined();
        await untilAllHoldAll(sites);
        const { x509Authorities } = await api.bundle.getBundle({});
        const wrong = x509Authorities.map(({ asn1 }) => ({ asn1 }));
        await api.bundle.batchSetFederatedBundle({
          bundle: [{ trustDomain: alpha.trustDomain, x509Authorities: wrong }],
        });
        await untilAllHoldAll(sites);
      },
      STORY_MS,
    );

    test(
      "a row or relationship that is somebody's is taken over only with -replace",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        const api = story.api(bravo);
        const { x509Authorities } = await api.bundle.getBundle({});
        const foreign = x509Authorities.map(({ asn1 }) => ({ asn1 }));
        await api.bundle.batchSetFederatedBundle({
          bundle: [{ trustDomain: alpha.trustDomain, x509Authorities: foreign }],
        });
        const file = story.path("alpha.export");
        const fingerprint = await exportTo(alpha, file);
        const words = ["import", file, "-fingerprint", fingerprint];

        const refused = await bravo.mesh(words);
        expect(refused.code).toBe(77);
        expect(refused.stderr).toContain("ROW_NOT_OURS");
        expect((await rowOf(bravo, alpha))?.x509Authorities[0]?.der).toEqual(foreign[0]?.asn1);

        await api.bundle.batchDeleteFederatedBundle({ trustDomains: [alpha.trustDomain] });
        await api.trustDomain.batchCreateFederationRelationship({
          federationRelationships: [
            {
              trustDomain: alpha.trustDomain,
              bundleEndpointUrl: "https://127.0.0.1:1/",
              bundleEndpointProfile: { case: "httpsWeb", value: {} },
            },
          ],
        });
        expect((await bravo.mesh(words)).stderr).toContain("ROW_NOT_OURS");

        await mesh(bravo, [...words, "-replace"]);
        await until("the row is alpha's", async () => {
          const row = await rowOf(bravo, alpha);
          const [authority] = (await bundleOf(alpha)).x509Authorities;
          return (
            Buffer.compare(
              row?.x509Authorities[0]?.der ?? Buffer.of(),
              authority?.der ?? Buffer.of(1),
            ) === 0
          );
        });
      },
      STORY_MS,
    );

    test(
      "forget leaves nothing, and refuses while an entry names the trust domain",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        await meet(story, sites);
        await untilAllHoldAll(sites);
        const api = story.api(bravo);
        const { results } = await api.entry.batchCreateEntry({
          entries: [
            {
              spiffeId: { trustDomain: bravo.trustDomain, path: "/workload" },
              parentId: { trustDomain: bravo.trustDomain, path: "/node" },
              selectors: [{ type: "unix", value: "uid:1" }],
              federatesWith: [alpha.trustDomain],
            },
          ],
        });
        const inUse = await bravo.mesh(["forget", alpha.trustDomain]);
        expect(inUse.code).toBe(77);
        expect(inUse.stderr).toContain("ROW_IN_USE");
        expect(await rowOf(bravo, alpha)).toBeDefined();

        await api.entry.batchDeleteEntry({ ids: [results[0]?.entry?.id ?? ""] });
        await mesh(bravo, ["forget", alpha.trustDomain]);
        expect(await rowOf(bravo, alpha)).toBeUndefined();
        await prepare(story.api(alpha));
        await bravo.stopDaemon();
        await bravo.startDaemon();
        const { stdout } = await mesh(bravo, ["status", "-output", "json"]);
        expect(JSON.parse(stdout)).toMatchObject({ trust_domains: [] });
        expect(await rowOf(bravo, alpha)).toBeUndefined();
        const unknown = await bravo.mesh(["forget", alpha.trustDomain]);
        expect(unknown.code).toBe(1);
      },
      STORY_MS,
    );

    test(
      "a file that is not what it says changes nothing",
      async () => {
        const sites = await story.startSites(["alpha", "bravo"]);
        const [alpha, bravo] = pair(sites);
        const file = story.path("alpha.export");
        const fingerprint = await exportTo(alpha, file);
        const empty = story.path("empty");
        await writeFile(empty, "");
        const cases: readonly (readonly [readonly string[], number])[] = [
          [["import", empty, "-fingerprint", fingerprint], 65],
          [["import", file, "-fingerprint", "0".repeat(64)], 65],
          [["import", file], 65],
          [["import", story.path("absent"), "-fingerprint", fingerprint], 65],
        ];
        for (const [words, code] of cases) {
          expect((await bravo.mesh(words)).code, words.join(" ")).toBe(code);
        }
        expect((await alpha.mesh(["import", file, "-fingerprint", fingerprint])).code).toBe(65);
        expect(await rowOf(bravo, alpha)).toBeUndefined();
      },
      STORY_MS,
    );
  });
}

/** Ten rotations, each published before the next, so that a partner has ten steps to go. */
async function rotateAndPublish(story: Story, site: Story["sites"][number]): Promise<void> {
  const api = story.api(site);
  for (let round = 0; round < ROTATIONS_AWAY; round += 1) {
    await rotateAtOnce(api);
    const { sequenceNumber } = await bundleOf(site);
    await until("the rotation is published", async () => {
      const { stdout } = await mesh(site, ["status", "-output", "json"]);
      const { own } = JSON.parse(stdout) as { own: { sequence_number: string } };
      return own.sequence_number === sequenceNumber.toString();
    });
  }
}
