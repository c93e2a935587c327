/**
 * Stores of before the marks: the base stood in a trust domain's value as a record of its own, and the
 * steps had neither ids nor times. They are written anew once, a trust domain a batch; what the store
 * says about itself comes last, so that a crash in between is gone on from.
 */
import { decodeEnvelope } from "../core/record/envelope.ts";
import { decodeState, isGenesis } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes, toHex } from "../core/std/bytes.ts";
import { ENVELOPE_BYTES_MAX, STEP_RECORDS_MAX } from "../core/std/limits.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import { Fault } from "../fault.ts";
import { addTo } from "./known-domain.ts";
import { map, optional, record, version } from "./position.ts";
import {
  type Database,
  type Floor,
  checkFloor,
  metaChange,
  readValue,
  writeBatch,
} from "./store-database.ts";
import { damagedValue } from "./store-fault.ts";
import { BELOW_STEPS, META_KEY, domainKey, readKey, stepKey } from "./store-key.ts";
import {
  type Codec,
  type DomainValue,
  type MetaValue,
  STORE_ID_BYTES,
  domainCodec,
  seal,
  sealHash,
  sealedFormat,
  stepCodec,
  unseal,
} from "./stored-value.ts";

type EarlierMeta = Omit<MetaValue, "headCounter">;

const earlierMetaCodec: Codec<EarlierMeta> = {
  name: "store",
  format: 1,
  encode: ({ storeId, writes, sum }) => [storeId, writes, sum],
  read: map(
    shape.tuple(shape.bytesExactly(STORE_ID_BYTES), shape.u64, shape.bytesExactly(SHA256_BYTES)),
    ([storeId, writes, sum]) => ({ storeId, writes, sum }),
  ),
};

const readEarlierDomain = shape.tuple(
  record.read,
  optional(record).read,
  optional(record).read,
  shape.arrayOf(
    shape.tuple(...version, shape.integerBetween(1, ENVELOPE_BYTES_MAX)),
    1,
    STEP_RECORDS_MAX,
  ),
);
type EarlierDomain = ReturnType<typeof readEarlierDomain>;

const earlierDomainCodec: Codec<EarlierDomain> = {
  name: "trust domain",
  format: 1,
  encode: () => [], // Only read.
  read: readEarlierDomain,
};

/**
 * Rewrites a store of the earlier format, or what is left of it. Any other is left alone.
 *
 * @param floor What FORMAT says, when it is there.
 * @throws {Fault} `STORE_DAMAGED` when it is not whole.
 */
export async function renewStore(
  dataDir: string,
  database: Database,
  floor: Floor | undefined,
): Promise<void> {
  const sealed = await readValue(database, META_KEY);
  if (sealed === undefined || sealedFormat(sealed) !== earlierMetaCodec.format) return;
  let meta = unseal(earlierMetaCodec, META_KEY, sealed);
  if (floor !== undefined) checkFloor(dataDir, meta, floor);
  for (const trustDomain of await earlierDomains(dataDir, database, meta)) {
    meta = await renewDomain(database, trustDomain, meta);
  }
  await writeBatch(database, [metaChange({ ...meta, headCounter: 0n })]);
}

/** Those whose value is to be rewritten, once it is proved that nothing is lost. */
async function earlierDomains(
  dataDir: string,
  database: Database,
  meta: EarlierMeta,
): Promise<readonly TrustDomain[]> {
  const found: TrustDomain[] = [];
  const sum = new Uint8Array(SHA256_BYTES);
  for await (const [key, sealed] of database.iterator(BELOW_STEPS)) {
    const named = readKey(key);
    if (named?.kind === "meta") continue;
    addTo(sum, sealHash(sealed));
    const isEarlier = sealedFormat(sealed) === earlierDomainCodec.format;
    if (named?.kind === "domain" && isEarlier) found.push(named.trustDomain);
  }
  if (equalBytes(sum, meta.sum)) return found;
  throw new Fault("STORE_DAMAGED", `The store in ${dataDir} lacks an earlier write`);
}

async function renewDomain(
  database: Database,
  trustDomain: TrustDomain,
  meta: EarlierMeta,
): Promise<EarlierMeta> {
  const key = domainKey(trustDomain);
  const before = (await readValue(database, key)) ?? new Uint8Array();
  const value = await renewedDomain(database, trustDomain, unseal(earlierDomainCodec, key, before));
  const after = seal(domainCodec, key, value);
  const sum = meta.sum.slice();
  for (const sealed of [before, after]) addTo(sum, sealHash(sealed));
  const next = { ...meta, writes: meta.writes + 1n, sum };
  await writeBatch(database, [
    { key, value: after },
    { key: META_KEY, value: seal(earlierMetaCodec, META_KEY, next) },
  ]);
  return next;
}

/** The frame is empty: what the base was says the record, and nobody asks for it again. */
async function renewedDomain(
  database: Database,
  trustDomain: TrustDomain,
  [held, , sibling, listed]: EarlierDomain,
): Promise<DomainValue> {
  const envelope = decodeEnvelope(held.envelope);
  const state = envelope.ok ? decodeState(envelope.value.payload) : envelope;
  if (!state.ok) throw damagedValue(domainKey(trustDomain), `holds a record that does not read`);
  const { lineage, nodes } = state.value;
  const steps = await Promise.all(
    listed.map(async ([epoch, rev, sequence, envelopeBytes]) => {
      const key = stepKey(trustDomain, { epoch, rev, sequence });
      const sealed = await readValue(database, key);
      if (sealed === undefined) throw damagedValue(key, "is gone");
      const { recordId } = unseal(stepCodec, key, sealed);
      return { epoch, rev, sequence, recordId, envelopeBytes, storedAtMs: 0 };
    }),
  );
  return {
    lineage: isGenesis(state.value) ? held.recordId : toHex(lineage),
    nodes,
    held,
    sibling,
    frame: new Uint8Array(),
    steps,
  };
}
