/** The versions that a trust domain stood on, from the store, and what changed between two. */
import { timestamp } from "../admin-contract/scalars.ts";
import type { BundleDiff, DiffedAuthorities, HistoryEntry } from "../admin-contract/history.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { State, Version } from "../core/record/state.ts";
import { has, sameRecovery } from "../core/record/step.ts";
import { type UnprovenRecord, decodeRecord } from "../core/record/verify.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes, fromHex } from "../core/std/bytes.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import { peerIdOfNode } from "../p2p/node-identity.ts";
import type { RecordStore, StepEntry } from "../ports/record-store.ts";

export type HistoryStore = Pick<RecordStore, "history" | "record">;

const HISTORY_ADVICE = { advice: "`spire-mesh bundle history TD` lists what is kept" } as const;

export async function historyOf(
  state: MeshState,
  store: HistoryStore,
  trustDomain: TrustDomain,
): Promise<readonly HistoryEntry[]> {
  const row = state.partners.get(trustDomain);
  const standsId = row?.slot?.held.record.idHex;
  const entries: HistoryEntry[] = [];
  for (const version of await store.history(trustDomain)) {
    const { recordId, storedAtMs } = version;
    const appliedAtMs = recordId === standsId ? row?.row.appliedAtMs : undefined;
    entries.push({
      ...versionOf(version, recordId),
      stored_at: storedAtMs === 0 ? null : timestamp(storedAtMs),
      signed_by: signersOf(await read(store, trustDomain, recordId)),
      applied_at: appliedAtMs === undefined ? null : timestamp(appliedAtMs),
    });
  }
  return entries;
}

/** Of each node the newest of its blocks; only blocks that were verified are stored. */
function signersOf(record: UnprovenRecord | undefined): HistoryEntry["signed_by"] {
  const newest = new Map<string, number>();
  for (const { nodePublicKey, signedAtS } of record?.claimed.blocks ?? []) {
    const peerId = peerIdOfNode(nodePublicKey).toString();
    newest.set(peerId, Math.max(signedAtS, newest.get(peerId) ?? 0));
  }
  return [...newest].map(([peerId, signedAtS]) => ({
    peer_id: peerId,
    signed_at: timestamp(signedAtS * 1_000),
  }));
}

/** Between two versions; by default the last one and the one before it. */
export async function diffOf(
  store: HistoryStore,
  trustDomain: TrustDomain,
  ids: { readonly from: string | undefined; readonly to: string | undefined },
): Promise<BundleDiff> {
  const history = await store.history(trustDomain);
  if (history.length === 0) throw new Fault("NOT_FOUND", `nothing is held of ${trustDomain}`);
  const toId = ids.to ?? history.at(-1)?.recordId;
  const fromId = ids.from ?? idBefore(history, toId);
  if (fromId === undefined || toId === undefined) {
    const message = `no version of ${trustDomain} is kept that it could be compared with`;
    throw new Fault("NOT_FOUND", message, HISTORY_ADVICE);
  }
  const [from, to] = [
    await expectRecord(store, trustDomain, fromId),
    await expectRecord(store, trustDomain, toId),
  ];
  return {
    trust_domain: trustDomain,
    from: versionOf(from.version, fromId),
    to: versionOf(to.version, toId),
    x509_authorities: compare(x509Of(from), x509Of(to)),
    jwt_authorities: compare(jwtOf(from), jwtOf(to)),
    nodes: {
      added: namesOf(to.nodes.filter((node) => !has(from.nodes, node))),
      removed: namesOf(from.nodes.filter((node) => !has(to.nodes, node))),
    },
    recovery_keys_changed: !sameRecovery(from.recovery, to.recovery),
  };
}

function idBefore(history: readonly StepEntry[], recordId: string | undefined): string | undefined {
  const at = history.findIndex((each) => each.recordId === recordId);
  return at === -1 ? history.at(-1)?.recordId : history[at - 1]?.recordId;
}

async function expectRecord(
  store: HistoryStore,
  trustDomain: TrustDomain,
  recordId: string,
): Promise<State> {
  const record = await read(store, trustDomain, recordId);
  if (record !== undefined) return record.state;
  const message = `record ${recordId} of ${trustDomain} is not kept here`;
  throw new Fault("NOT_FOUND", message, HISTORY_ADVICE);
}

async function read(
  store: HistoryStore,
  trustDomain: TrustDomain,
  recordId: string,
): Promise<UnprovenRecord | undefined> {
  const stored = await store.record(trustDomain, fromHex(recordId));
  const record = stored && decodeRecord(stored.envelope, "sync");
  return record?.ok === true ? record.value : undefined;
}

/** An authority by its name, what of it may not change, and whether it is tainted. */
interface Named {
  readonly name: string;
  readonly rest: Uint8Array | undefined;
  readonly tainted: boolean;
}

function x509Of({ x509Authorities }: State): Named[] {
  return x509Authorities.map(({ der, tainted }) => ({
    name: sha256Hex(der),
    rest: undefined,
    tainted,
  }));
}

function jwtOf({ jwtAuthorities }: State): Named[] {
  return jwtAuthorities.map(({ keyId, spki, tainted }) => ({ name: keyId, rest: spki, tainted }));
}

function compare(from: readonly Named[], to: readonly Named[]): DiffedAuthorities {
  const twinIn = (others: readonly Named[], { name, rest }: Named): Named | undefined =>
    others.find((each) => each.name === name && isSame(each.rest, rest));
  const turned = to.filter((each) => twinIn(from, each)?.tainted === !each.tainted);
  return {
    added: to.filter((each) => twinIn(from, each) === undefined).map(({ name }) => name),
    removed: from.filter((each) => twinIn(to, each) === undefined).map(({ name }) => name),
    tainted: turned.filter(({ tainted }) => tainted).map(({ name }) => name),
    untainted: turned.filter(({ tainted }) => !tainted).map(({ name }) => name),
  };
}

function isSame(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left === right || (left !== undefined && right !== undefined && equalBytes(left, right));
}

function namesOf(nodes: readonly Uint8Array[]): string[] {
  return nodes.map((node) => peerIdOfNode(node).toString());
}

function versionOf(
  { epoch, rev, sequence }: Version,
  recordId: string,
): Pick<HistoryEntry, "epoch" | "rev" | "sequence_number" | "record_id"> {
  return { epoch, rev, sequence_number: sequence.toString(), record_id: recordId };
}
