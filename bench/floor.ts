/**
 * What no daemon can do without between a change and the partner's row: one mint, one synced
 * LevelDB batch, one write of a row. Each is done bare, at the servers and on the disk of this run.
 */
import { join } from "node:path";
import { Level } from "level";
import type { TrustBundle } from "../src/core/spiffe/trust-bundle.ts";
import { type TrustDomain, publisherId } from "../src/core/spiffe/trust-domain.ts";
import { requestSvid } from "../src/x509/csr.ts";
import type { Bench } from "./sites.ts";

/** A record of two authorities with its chain, as it is stored. */
const RECORD_BYTES = 4_096;
const SVID_TTL_S = 3_600;
/** No partner's, so no daemon looks at its row. */
const NOBODY = "floor.test" as TrustDomain;

export class Floor {
  readonly mintMs: number[] = [];
  readonly batchMs: number[] = [];
  readonly setMs: number[] = [];
  readonly #database: Level<string, Uint8Array>;

  constructor(directory: string) {
    const location = join(directory, "floor");
    this.#database = new Level(location, { valueEncoding: "view" });
  }

  /** Does each once. `mintAt` is the publisher's SPIRE Server, `writeAt` the partner's. */
  async measure(mintAt: Bench, writeAt: Bench, bundle: TrustBundle): Promise<void> {
    const { csr } = requestSvid(publisherId(mintAt.trustDomain));
    const record = crypto.getRandomValues(new Uint8Array(RECORD_BYTES));
    const row = { ...bundle, trustDomain: NOBODY };
    const batch = [
      { type: "put", key: "domain", value: record },
      { type: "put", key: "step", value: record },
    ] as const;
    this.mintMs.push(await timed(async () => await mintAt.spire.mintX509Svid(csr, SVID_TTL_S)));
    this.batchMs.push(
      await timed(async () => await this.#database.batch([...batch], { sync: true })),
    );
    this.setMs.push(await timed(async () => await writeAt.spire.setFederatedBundle(row)));
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
