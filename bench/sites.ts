/** Sites whose trust domains have met: where every part that needs daemons begins. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Site, type SiteOptions } from "../peers/site.ts";
import { callAdmin } from "../src/admin-contract/client.ts";
import { type TrustBundle, sameAuthorities } from "../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../src/core/spiffe/trust-domain.ts";
import type { SpireServer } from "../src/ports/spire-server.ts";
import { type SpireApi, spireApi } from "../src/spire-api/client.ts";
import { connectSpireServer } from "../src/spire/spire-server.ts";

/** Longest wait for a mesh that works: a row is there within a second. */
const SOON_MS = 30_000;
const POLL_MS = 50;

/** A site, and what its SPIRE Server's socket answers. */
export interface Bench {
  readonly site: Site;
  readonly trustDomain: TrustDomain;
  readonly api: SpireApi;
  readonly spire: SpireServer;
}

/** Sites below one directory of their own; `end` stops and removes all of it. */
export class Sites {
  readonly directory: string;
  readonly #benches: Bench[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Opens a directory for `use`, and ends what was started in it however that went. */
  static async with<Value>(use: (sites: Sites) => Promise<Value>): Promise<Value> {
    const sites = new Sites(await mkdtemp(join(tmpdir(), "bench-")));
    try {
      return await use(sites);
    } finally {
      await sites.#end();
    }
  }

  /** Starts a SPIRE Server named `name`.test. Its daemon is the caller's to start. */
  async add(name: string, options: Partial<SiteOptions> = {}): Promise<Bench> {
    const trustDomain = `${name}.test`;
    const site = await Site.make({
      trustDomain,
      directory: join(this.directory, name),
      ...options,
    });
    const { spireSocket: socketPath } = site;
    const bench: Bench = {
      site,
      trustDomain: trustDomain as TrustDomain,
      api: spireApi({ socketPath }),
      spire: connectSpireServer({ socketPath }),
    };
    this.#benches.push(bench);
    await site.startSpire();
    return bench;
  }

  async #end(): Promise<void> {
    await Promise.all(
      this.#benches.map(async ({ site, api, spire }) => {
        api.close();
        spire.close();
        await site.stop();
      }),
    );
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Starts SPIRE Server and daemon for each name and makes each a partner of every other. */
export async function startPartners(
  sites: Sites,
  names: readonly string[],
  options: Partial<SiteOptions> = {},
): Promise<Bench[]> {
  const benches: Bench[] = [];
  for (const name of names) {
    const bench = await sites.add(name, options);
    await bench.site.startDaemon();
    benches.push(bench);
  }
  await meet(benches);
  await untilEqual(benches);
  return benches;
}

/** Export and import with fingerprints, both ways for each pair. */
export async function meet(benches: readonly Bench[]): Promise<void> {
  for (const from of benches) {
    const exported = await callAdmin(from.site.adminSocket, "export", {});
    for (const to of benches) {
      if (to === from) continue;
      await callAdmin(to.site.adminSocket, "import", {
        file: from.trustDomain,
        content: exported.content,
        fingerprint: exported.record_id,
      });
    }
  }
}

/** Waits until every SPIRE Server holds what each other one says is its own bundle. */
export async function untilEqual(benches: readonly Bench[], limitMs = SOON_MS): Promise<void> {
  for (const of of benches) {
    const bundle = await of.spire.readBundle();
    for (const at of benches) {
      if (at !== of) await untilHolds(at, bundle, limitMs);
    }
  }
}

async function untilHolds(at: Bench, bundle: TrustBundle, limitMs: number): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!(await holds(at, bundle))) {
    if (performance.now() > deadlineMs) {
      throw new Error(`${at.trustDomain} did not get the bundle of ${bundle.trustDomain}`);
    }
    await sleep(POLL_MS);
  }
}

/** Whether a SPIRE Server's row, or the part of it that matters, is this bundle. */
export async function holds(
  { spire }: Bench,
  bundle: TrustBundle,
  partOf: (row: TrustBundle) => TrustBundle = (row) => row,
): Promise<boolean> {
  const row = await spire.readFederatedBundle(bundle.trustDomain);
  return row !== undefined && sameAuthorities(partOf(row), bundle);
}
