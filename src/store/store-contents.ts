/** Everything in the store but the step records, read in one go and proved whole. */
import type { Pin } from "../core/mesh/partner.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes } from "../core/std/bytes.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import type { StepEntry, StoredDomain } from "../ports/record-store.ts";
import { addTo } from "./known-domain.ts";
import type { Database } from "./store-database.ts";
import { damagedValue } from "./store-fault.ts";
import { ABOVE_STEPS, BELOW_STEPS, readKey } from "./store-key.ts";
import {
  type MetaValue,
  domainCodec,
  metaCodec,
  pinCodec,
  sealHash,
  unseal,
} from "./stored-value.ts";

export interface Contents {
  readonly pins: ReadonlyMap<TrustDomain, Pin>;
  readonly domains: ReadonlyMap<TrustDomain, FoundDomain>;
}

export interface FoundDomain {
  readonly domain: StoredDomain;
  readonly steps: readonly StepEntry[];
}

/**
 * Reads it. Throws `STORE_DAMAGED` when a value is not what was written, or an earlier write is lost
 * that LevelDB does not know of.
 */
export async function readContents(dataDir: string, database: Database): Promise<Contents> {
  const pins = new Map<TrustDomain, Pin>();
  const domains = new Map<TrustDomain, FoundDomain>();
  let meta: MetaValue | undefined;
  const sum = new Uint8Array(SHA256_BYTES);
  for await (const [key, sealed] of database.iterator(BELOW_STEPS)) {
    const named = readKey(key);
    if (named === undefined) throw damagedValue(key, "has a key that was never written");
    if (named.kind === "meta") {
      meta = unseal(metaCodec, key, sealed);
      continue;
    }
    const { kind, trustDomain } = named;
    if (kind === "pin") pins.set(trustDomain, unseal(pinCodec(trustDomain), key, sealed));
    else {
      const { steps, ...held } = unseal(domainCodec, key, sealed);
      domains.set(trustDomain, { domain: { trustDomain, ...held }, steps });
    }
    addTo(sum, sealHash(sealed));
  }
  const [unknown] = await database.keys({ ...ABOVE_STEPS, limit: 1 }).all();
  if (unknown !== undefined) throw damagedValue(unknown, "has a key that was never written");
  if (meta === undefined || !equalBytes(sum, meta.sum)) {
    throw new Fault("STORE_DAMAGED", `The store in ${dataDir} lacks an earlier write`);
  }
  return { pins, domains };
}
