/** What the admin API can make the daemon do, as inputs to the core. */
import assert from "node:assert/strict";
import type { PinReply } from "../admin-contract/bundle.ts";
import type { ExportPage, ImportOutcome } from "../admin-contract/exchange.ts";
import type { ReleaseReply } from "../admin-contract/history.ts";
import { timestamp } from "../admin-contract/scalars.ts";
import type { ExportedFile, ImportOrder, MeshEvent, Operations } from "../admin/operations.ts";
import {
  EXPORT_ADDRESSES_MAX,
  decodeExportFile,
  encodeExportFile,
} from "../core/record/export-file.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import { NO_ROW } from "../core/mesh/rows.ts";
import { desiredRow } from "../core/policy/row.ts";
import { type SignedRecord, type VerifiedRecord, readRecord } from "../core/record/verify.ts";
import { type Slot, envelopeBytes } from "../core/resolver/slot.ts";
import type { TrustBundle } from "../core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes, toHex } from "../core/std/bytes.ts";
import { toSeconds } from "../core/std/unix-time.ts";
import { Fault } from "../fault.ts";
import { readPeerAddress } from "../p2p/address.ts";
import type { PeerNetwork } from "../ports/peer-network.ts";
import type { SpireServer } from "../ports/spire-server.ts";
import { writeBundleDocument, writeBundlePem } from "../x509/bundle-document.ts";
import { ask, expectDone, logged, unexpected } from "./asking.ts";
import { type HistoryStore, diffOf, historyOf } from "./bundle-history.ts";
import { type OwnPorts, createOwnOperations } from "./own-operations.ts";
import { REFUSAL_ADVICE } from "./refusal-advice.ts";
import {
  type StatusNetwork,
  bundleEntry,
  healthOf,
  peerList,
  signedAtMs,
  statusOf,
} from "./status.ts";

/** What is asked of SPIRE before anything new is approved. */
type SpireReads = Pick<SpireServer, "listFederationRelationships" | "readFederatedBundle">;

const PEER_ADVICE = {
  advice: "`spire-mesh status` at the partner shows its addresses, each with /p2p/ and its peer id",
} as const;
/** Of one page of all exports: envelopes that a connection carries in a moment, and one domain's more. Above: the rest goes on the next. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;

export interface OperationsPorts extends OwnPorts {
  readonly network: StatusNetwork & Pick<PeerNetwork, "dial">;
  readonly store: HistoryStore;
  readonly spire: SpireReads;
  /** Resolves when SPIRE's rows were read after the call, or could not be, and the loop was told. */
  readonly readRows: () => Promise<void>;
  readonly nodeOf: (peerId: string) => Uint8Array | undefined;
  readonly isStopping: () => boolean;
  /** Absolute: data_dir, runtime_dir. */
  readonly privateDirectories: readonly string[];
  readonly watch: (listener: (event: MeshEvent) => void) => () => void;
}

export function createOperations(ports: OperationsPorts): Operations {
  const { state, network, isStopping, nowMs } = ports;
  return {
    ...createOwnOperations(ports),
    status: () => statusOf(state, network, isStopping(), nowMs()),
    verify: async () => {
      await ports.readRows();
      expectDone(await ask(ports, (ticket) => ({ kind: "status-asked", ticket })));
      return statusOf(state, network, isStopping(), nowMs());
    },
    healthcheck: () => healthOf(state, isStopping()),
    bundles: (trustDomain) => slots(state, trustDomain).map(bundleEntry),
    bundle: (trustDomain, format) => {
      const [slot] = slots(state, trustDomain);
      const bundle = slot && desiredRow(slot, toSeconds(nowMs()));
      if (bundle === undefined) {
        throw new Fault("NOT_FOUND", `no bundle in effect is held of ${trustDomain}`);
      }
      return format === "pem" ? writeBundlePem(bundle) : writeBundleDocument(bundle);
    },
    history: async (trustDomain) => await historyOf(state, ports.store, trustDomain),
    diff: async (trustDomain, from, to) => await diffOf(ports.store, trustDomain, { from, to }),
    peers: () => peerList(state, network, ports.nodeOf),
    export: async () => await exportOwn(ports),
    exportPage: (after) => exportPage(ports, after),
    import: async (order) => await importLogged(ports, order),
    forget: async (trustDomain) => {
      const { partners, self } = state;
      const isMissing = partners.get(trustDomain)?.row.seen === NO_ROW;
      const answer = await ask(ports, (ticket) => ({ kind: "forget-asked", trustDomain, ticket }));
      expectDone(answer);
      const isUnmanaged = self.unmanaged.has(trustDomain);
      const row = isUnmanaged ? "unmanaged" : isMissing ? "missing" : "deleted";
      return { trust_domain: trustDomain, row };
    },
    pin: async (trustDomain, fingerprint) => await pinRecord(ports, trustDomain, fingerprint),
    release: async (trustDomain, recordId, reason) => {
      const about = { trust_domain_id: trustDomain, record_id: recordId };
      return await logged(ports.log, "Authority released", { ...about, reason }, () =>
        release(ports, trustDomain, recordId),
      );
    },
    watch: ports.watch,
  };
}

async function exportOwn(ports: OperationsPorts): Promise<ExportedFile> {
  const { state, network, privateDirectories } = ports;
  if (
    state.own.slot === undefined &&
    state.own.read === undefined &&
    state.spireAway !== undefined
  ) {
    throw new Fault("SPIRE_UNREACHABLE", state.spireAway); // Not to be waited for: somebody must act.
  }
  const answer = await ask(ports, (ticket) => ({ kind: "export-asked", ticket }));
  if (answer.kind !== "exported") throw unexpected(answer);
  const held = state.own.slot?.held.record;
  assert(held !== undefined, "what was exported is held");
  const addresses = network.addresses().slice(0, EXPORT_ADDRESSES_MAX);
  return {
    trustDomain: state.self.trustDomain,
    recordId: answer.recordId,
    lineage: toHex(held.lineage),
    content: encodeExportFile({ envelope: answer.envelope, addresses }),
    privateDirectories,
  };
}

/** By names, so that a page goes on where the one before it ended, whatever came meanwhile. */
function exportPage(
  { state, network, privateDirectories }: OperationsPorts,
  after: TrustDomain | undefined,
): ExportPage {
  const names = [...state.partners.keys(), state.self.trustDomain]
    .filter((name) => after === undefined || name > after)
    .sort();
  const records: ExportPage["records"] = [];
  let bytes = 0;
  for (const [index, name] of names.entries()) {
    if (bytes >= PAGE_BYTES_MAX) {
      const next = names[index - 1] ?? null;
      return { records, next, private_directories: [...privateDirectories] };
    }
    const [slot] = slots(state, name);
    const hints =
      name === state.self.trustDomain
        ? network.addresses()
        : (state.partners.get(name)?.pin.addressHints ?? []);
    const addresses = hints.slice(0, EXPORT_ADDRESSES_MAX);
    for (const verified of slot === undefined ? [] : both(slot)) {
      const content = encodeExportFile({ envelope: envelopeBytes(verified), addresses });
      bytes += content.length;
      records.push({
        trust_domain: name,
        record_id: verified.record.idHex,
        lineage: toHex(verified.record.lineage),
        content: Buffer.from(content).toString("base64"),
      });
    }
  }
  return { records, next: null, private_directories: [...privateDirectories] };
}

/** What is held, and in a fork the second record of it. */
function both({ held, sibling }: Slot): readonly VerifiedRecord[] {
  return sibling === undefined ? [held] : [held, sibling];
}

/** The log says whom an operator trusted, or why not. A forget is told by the core. */
async function importLogged(ports: OperationsPorts, order: ImportOrder): Promise<ImportOutcome> {
  const { log } = ports;
  try {
    const imported = await importFile(ports, order);
    const { trust_domain: trust_domain_id, record_id, outcome, code } = imported;
    const fields = { trust_domain_id, record_id, replace: order.replace };
    if (outcome === "refused") log.warn({ ...fields, code }, "Import refused");
    else log.info(fields, `Import ${outcome}`);
    return imported;
  } catch (error) {
    if (error instanceof Fault) log.warn({ file: order.file, code: error.code }, "Import refused");
    throw error;
  }
}

async function importFile(ports: OperationsPorts, order: ImportOrder): Promise<ImportOutcome> {
  for (const peer of order.peers) {
    const read = readPeerAddress(peer); // Those in the file are only the sender's hints.
    if (!read.ok) throw new Fault("USAGE", `-peer: ${read.reason}`, PEER_ADVICE);
  }
  const file = decodeExportFile(order.content);
  if (!file.ok) throw new Fault("DATA_INVALID", `${order.file} ${file.reason.problem}`);
  const record = readRecord(file.value.envelope, "sync", ports.proofs);
  if (!record.ok) {
    const { code, detail } = record.reason;
    throw new Fault("DATA_INVALID", `${order.file} carries no record: ${code}, ${detail}`);
  }
  const { trustDomain } = record.value.state;
  const addressHints = [...order.peers, ...file.value.addresses];
  const { partners, self } = ports.state;
  const isKnown = trustDomain === self.trustDomain || partners.has(trustDomain);
  const isNew = !isKnown && order.fingerprint !== undefined;
  const seen = isNew ? await whatSpireHolds(ports.spire, trustDomain) : NOTHING;
  const { envelope } = file.value;
  const { fingerprint, replace } = order;
  const answer = await ask(ports, (ticket) => ({
    kind: "import-asked",
    ticket,
    envelope,
    fingerprint,
    addressHints,
    replace,
    spireAsked: isNew,
    ...seen,
  }));
  const base = {
    file: order.file,
    trust_domain: trustDomain,
    record_id: record.value.idHex,
    signed_at: signedAt(ports.state, record.value),
  };
  const calm = { code: null, message: null, next: null };
  if (answer.kind === "taken") return { ...base, outcome: "accepted", ...calm };
  if (answer.kind === "unchanged") return { ...base, outcome: "unchanged", ...calm };
  if (answer.kind !== "refused") throw unexpected(answer);
  const { code, detail } = answer.refusal;
  return { ...base, outcome: "refused", code, message: detail, next: REFUSAL_ADVICE[code] };
}

/**
 * Anybody can add a block of today under a key of their own to an old record, and a node key alone one
 * of that node: of a record that is held, only the blocks count that proved both factors.
 */
function signedAt(state: MeshState, record: SignedRecord): string | null {
  const { trustDomain, nodes } = record.state;
  const held = slots(state, trustDomain)
    .flatMap(both)
    .find((each) => each.record.idHex === record.idHex);
  if (held !== undefined) return timestamp(signedAtMs(held));
  const times = record.envelope.blocks
    .filter(({ nodePublicKey }) => nodes.some((node) => equalBytes(node, nodePublicKey)))
    .map(({ signedAtS }) => signedAtS);
  return times.length === 0 ? null : timestamp(Math.max(...times) * 1_000);
}

interface SpireHolds {
  readonly row: TrustBundle | undefined;
  readonly hasRelationship: boolean;
}

const NOTHING: SpireHolds = { row: undefined, hasRelationship: false };

/** Whose the row is must be known before it is written: without SPIRE nothing new is approved. */
async function whatSpireHolds(spire: SpireReads, trustDomain: TrustDomain): Promise<SpireHolds> {
  const relationships = await spire.listFederationRelationships();
  return {
    row: await spire.readFederatedBundle(trustDomain),
    hasRelationship: relationships.includes(trustDomain),
  };
}

async function pinRecord(
  ports: OperationsPorts,
  trustDomain: TrustDomain,
  fingerprint: string,
): Promise<PinReply> {
  const heldBefore = ports.state.partners.get(trustDomain)?.slot?.held.record.idHex;
  const answer = await ask(ports, (ticket) => ({
    kind: "pin-asked",
    trustDomain,
    fingerprint,
    ticket,
  }));
  if (answer.kind !== "taken") expectDone(answer);
  const held = ports.state.partners.get(trustDomain)?.slot?.held.record.idHex;
  const outcome =
    held !== fingerprint ? "pending" : heldBefore === fingerprint ? "unchanged" : "accepted";
  return { trust_domain: trustDomain, record_id: fingerprint, outcome };
}

async function release(
  ports: OperationsPorts,
  trustDomain: TrustDomain,
  recordId: string,
): Promise<ReleaseReply> {
  const answer = await ask(ports, (ticket) => ({
    kind: "release-asked",
    ticket,
    trustDomain,
    recordId,
  }));
  if (answer.kind !== "taken") throw unexpected(answer);
  return { trust_domain: trustDomain, record_id: recordId };
}

function slots({ own, partners }: MeshState, only: TrustDomain | undefined): Slot[] {
  const all = [own.slot, ...[...partners.values()].map(({ slot }) => slot)];
  return all.filter(
    (slot): slot is Slot =>
      slot !== undefined && (only === undefined || slot.held.record.state.trustDomain === only),
  );
}
