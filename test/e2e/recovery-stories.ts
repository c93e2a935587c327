/**
 * What ends an outage that SPIRE's own means cannot end: a site that was lost with its disks, and a
 * datastore that was restored to an older backup.
 */
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rotateAtOnce } from "../../peers/rotation.ts";
import { Site } from "../../peers/site.ts";
import type { Status } from "../../src/admin-contract/status.ts";
import { sameAuthorities } from "../../src/core/spiffe/trust-bundle.ts";
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
  statusOf,
} from "./mesh.ts";

const STORY_MS = 240_000;
const PASSPHRASES = ["four words nobody says", "nor anybody would say", "and a third of them here"];

export function recoveryStories(kind: string, spireServer: string | undefined): void {
  describe(`on ${kind}`, () => {
    let story: Story;
    beforeEach(async () => {
      story = await Story.begin(spireServer);
    });
    afterEach(async () => {
      await story.end();
    });

    test(
      "a site that was lost is recovered with two of three offline keys",
      async () => {
        const [alpha, bravo] = pair(await story.startSites(["alpha", "bravo"]));
        await meet(story, [alpha, bravo]);
        await untilAllHoldAll([alpha, bravo]);
        const keys = await commitKeys(story, alpha);
        const committed = story.path("committed.export");
        await exportTo(alpha, committed);
        await until("the partner knows the keys", async () => {
          return (await partnerOf(bravo, alpha)).rev === 1;
        });

        await alpha.stop();
        await rm(alpha.directory, { recursive: true });
        const again = await Site.make({
          trustDomain: alpha.trustDomain,
          directory: alpha.directory,
          spireServer,
        });
        story.sites.push(again);
        await again.startSpire();
        await again.startDaemon();
        const request = story.path("request.txt");
        await mesh(again, [
          "recovery",
          "request",
          "-record",
          committed,
          "-without-keys",
          "-out",
          request,
        ]);
        const signatures = await Promise.all(
          keys.slice(1).map(async (key, index) => {
            const out = story.path(`signature-${index}.txt`);
            const passphrases = story.path(`passphrase-${index}`);
            await writeFile(passphrases, `${PASSPHRASES[index + 1]}\n`, { mode: 0o600 });
            await mesh(again, [
              "recovery",
              "sign",
              request,
              "-key",
              key,
              "-passphraseFile",
              passphrases,
              "-out",
              out,
            ]);
            return out;
          }),
        );
        const tooFew = await again.mesh(["recover", request, "-signature", ...signatures.slice(1)]);
        expect(tooFew).toMatchObject({ code: 65 });
        await mesh(again, ["recover", request, "-signature", ...signatures]);

        // Nobody does anything at the partner: it does not let the new node in, and has a door for it.
        const partner = story.path("partner.export");
        await mesh(again, ["import", partner, "-fingerprint", await exportTo(bravo, partner)]);
        await until("the partner holds what the new site's SPIRE says", async () => {
          const row = await rowOf(bravo, again);
          return row !== undefined && sameAuthorities(row, await bundleOf(again));
        });
        expect(await partnerOf(bravo, again)).toMatchObject({ epoch: 1, rev: 0 });
      },
      STORY_MS,
    );

    test(
      "a store that is lost is filled again by partners, and nothing goes back",
      async () => {
        const [alpha, bravo] = pair(await story.startSites(["alpha", "bravo"]));
        await meet(story, [alpha, bravo]);
        await untilAllHoldAll([alpha, bravo]);
        const before = await statusOf(bravo);
        await bravo.stopDaemon("SIGKILL");
        await rm(join(bravo.directory, "data", "store", "CURRENT"));
        await rotateAtOnce(story.api(alpha));
        await bravo.startDaemon();
        await untilAllHoldAll([alpha, bravo]);
        const after = await statusOf(bravo);
        expect(after.own).toMatchObject({ record_id: before.own.record_id });
        expect(after).toMatchObject({ state: "ready", findings: [] });
        expect((await readdir(join(bravo.directory, "data", "quarantine"))).length).toBe(1);
        await rotateAtOnce(story.api(bravo));
        await untilAllHoldAll([alpha, bravo]);
      },
      STORY_MS,
    );

    test(
      "a datastore that went back is published once an operator confirms it",
      async () => {
        const [alpha, bravo] = pair(await story.startSites(["alpha", "bravo"]));
        await meet(story, [alpha, bravo]);
        await untilAllHoldAll([alpha, bravo]);
        const backup = story.path("backup");
        await alpha.stopSpire();
        await cp(join(alpha.directory, "spire-data"), backup, { recursive: true });
        await alpha.startSpire();
        for (let round = 0; round < 2; round += 1)
          await story.api(alpha).localAuthority.prepareX509Authority({});
        await untilAllHoldAll([alpha, bravo]);
        const nothing = await alpha.mesh(["own", "confirm-restore"]);
        expect(nothing).toMatchObject({ code: 1 });

        await alpha.stopSpire();
        const data = join(alpha.directory, "spire-data");
        for (const name of await readdir(data)) await rm(join(data, name), { recursive: true });
        await cp(backup, data, { recursive: true });
        await alpha.startSpire();
        await until("it is told", async () => {
          const { findings } = await statusOf(alpha);
          return findings.some(({ code }) => code === "SPIRE_WENT_BACK");
        });
        await mesh(alpha, ["own", "confirm-restore"]);
        await untilAllHoldAll([alpha, bravo]);
        expect(await partnerOf(bravo, alpha)).toMatchObject({ epoch: 0, rev: 1 });
        await rotateAtOnce(story.api(alpha));
        await untilAllHoldAll([alpha, bravo]);
      },
      STORY_MS,
    );
  });
}

/** Makes three keys of which two sign together, and has the site publish which. Files of the keys. */
async function commitKeys(story: Story, site: Site): Promise<readonly string[]> {
  const record = story.path("first.export");
  await exportTo(site, record);
  const passphrases = story.path("passphrases");
  await writeFile(passphrases, `${PASSPHRASES.join("\n")}\n`, { mode: 0o600 });
  const out = story.path("keys");
  const created = ["-record", record, "-keys", "3", "-threshold", "2", "-out", out];
  await mesh(site, ["recovery", "create", ...created, "-passphraseFile", passphrases]);
  const names = (await readdir(out)).toSorted();
  await mesh(site, ["recovery", "commit", join(out, "commitment.txt")]);
  return names.filter((name) => name !== "commitment.txt").map((name) => join(out, name));
}

async function partnerOf(at: Site, of: Site): Promise<Status["trust_domains"][number]> {
  const found = (await statusOf(at)).trust_domains.find(
    ({ trust_domain }) => trust_domain === of.trustDomain,
  );
  if (found === undefined) throw new Error(`${at.trustDomain} does not know ${of.trustDomain}`);
  return found;
}
