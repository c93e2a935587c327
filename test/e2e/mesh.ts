/** What the stories say and see: sites that meet, and rows read from SPIRE's own socket. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Ended } from "../../peers/child.ts";
import { Site, type SiteOptions } from "../../peers/site.ts";
import { Status } from "../../src/admin-contract/status.ts";
import { type TrustBundle, sameAuthorities } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { type SpireApi, spireApi } from "../../src/spire-api/client.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";

/** Longest wait for anything that the mesh does: a row is there within a second, a busy machine waits. */
const SOON_MS = 60_000;
const POLL_MS = 40;

/** Sites of one story and all that it opened. */
export class Story {
  readonly sites: Site[] = [];
  readonly #apis: SpireApi[] = [];
  readonly #directory: string;
  readonly #spireServer: string | undefined;

  private constructor(directory: string, spireServer: string | undefined) {
    this.#directory = directory;
    this.#spireServer = spireServer;
  }

  static async begin(spireServer: string | undefined): Promise<Story> {
    return new Story(await mkdtemp(join(tmpdir(), "mesh-")), spireServer);
  }

  /** Starts one site for each name: SPIRE Server and daemon. */
  async startSites(names: readonly string[], options: Partial<SiteOptions> = {}): Promise<Site[]> {
    const sites = await Promise.all(
      names.map(async (name) => {
        const directory = join(this.#directory, name);
        const trustDomain = `${name}.test`;
        const spireServer = this.#spireServer;
        const site = await Site.make({ trustDomain, directory, spireServer, ...options });
        this.sites.push(site);
        await site.startSpire();
        await site.startDaemon();
        return site;
      }),
    );
    return sites;
  }

  api(site: Site): SpireApi {
    const api = spireApi({ socketPath: site.spireSocket });
    this.#apis.push(api);
    return api;
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  async end(): Promise<void> {
    for (const api of this.#apis) api.close();
    await Promise.all(this.sites.map(async (site) => await site.stop()));
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Runs `spire-mesh` and expects it to succeed. */
export async function mesh(site: Site, args: readonly string[]): Promise<Ended> {
  const ended = await site.mesh(args);
  expect(ended, `spire-mesh ${args.join(" ")} at ${site.trustDomain}`).toMatchObject({ code: 0 });
  return ended;
}

/** What a site's daemon says of itself. */
export async function statusOf(site: Site): Promise<Status> {
  const { stdout } = await mesh(site, ["status", "-output", "json"]);
  return Status.parse(JSON.parse(stdout));
}

/** Two sites, as most stories have. */
export function pair(sites: readonly Site[]): readonly [Site, Site] {
  const [first, second] = sites;
  if (first === undefined || second === undefined) throw new Error("two sites");
  return [first, second];
}

/** Exports at a site; the fingerprint is what its operator would read aloud. */
export async function exportTo(site: Site, file: string): Promise<string> {
  const { stdout } = await mesh(site, ["export", "-o", file, "-output", "json"]);
  return (JSON.parse(stdout) as { record_id: string }).record_id;
}

/** Export and import with fingerprints, both ways for each pair. */
export async function meet(story: Story, sites: readonly Site[]): Promise<void> {
  for (const from of sites) {
    const file = story.path(`${from.trustDomain}.export`);
    const fingerprint = await exportTo(from, file);
    for (const to of sites) {
      if (to !== from) await mesh(to, ["import", file, "-fingerprint", fingerprint]);
    }
  }
}

/** A site's own bundle, from its SPIRE Server. */
export async function bundleOf(site: Site): Promise<TrustBundle> {
  return await withSpire(site, async (spire) => await spire.readBundle());
}

/** What a site's SPIRE Server holds of another trust domain. */
export async function rowOf(site: Site, of: Site): Promise<TrustBundle | undefined> {
  const name = of.trustDomain as TrustDomain;
  return await withSpire(site, async (spire) => await spire.readFederatedBundle(name));
}

/** Waits until every site's SPIRE holds the bundle that each other site's SPIRE says is its own. */
export async function untilAllHoldAll(sites: readonly Site[]): Promise<void> {
  for (const of of sites) {
    for (const at of sites) {
      if (at === of) continue;
      await until(`${at.trustDomain} holds ${of.trustDomain}`, async () => {
        const row = await rowOf(at, of);
        return row !== undefined && sameAuthorities(row, await bundleOf(of));
      });
    }
  }
}

/** Waits for a condition; a thrown error counts as not yet, and is shown when time runs out. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  limitMs: number = SOON_MS,
): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  let last: unknown = "the condition was false";
  while (performance.now() < deadlineMs) {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`not within ${limitMs / 1_000} s: ${what}`, { cause: last });
}

async function withSpire<Value>(
  site: Site,
  ask: (spire: ReturnType<typeof connectSpireServer>) => Promise<Value>,
): Promise<Value> {
  const spire = connectSpireServer({ socketPath: site.spireSocket });
  try {
    return await ask(spire);
  } finally {
    spire.close();
  }
}
