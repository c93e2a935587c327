/** What the admin API can make the daemon do, as inputs to the core. */
import assert from "node:assert/strict";
import type { PinReply } from "../admin-contract/bundle.ts";
import type { ImportOutcome } from "../admin-contract/exchange.ts";
import { timestamp } from "../admin-contract/scalars.ts";
import type { ExportedFile, ImportOrder, MeshEvent, Operations } from "../admin/operations.ts";
import {
  EXPORT_ADDRESSES_MAX,
  decodeExportFile,
  encodeExportFile,
} from "../core/record/export-file.ts";
import type { Answer } from "../core/mesh/effect.ts";
import { FINDINGS } from "../core/mesh/finding.ts";
import type { Input, Ticket } from "../core/mesh/input.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import { NO_ROW } from "../core/mesh/rows.ts";
import { desiredRow } from "../core/policy/row.ts";
import { type SignedRecord, readRecord } from "../core/record/verify.ts";
import type { Slot } from "../core/resolver/slot.ts";
import type { Proofs } from "../core/record/proofs.ts";
import type { TrustBundle } from "../core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes, toHex } from "../core/std/bytes.ts";
import { toSeconds } from "../core/std/unix-time.ts";
import { Fault } from "../fault.ts";
import { readPeerAddress } from "../p2p/address.ts";
import type { SpireServer } from "../ports/spire-server.ts";
import type { MeshLoop } from "../runtime/mesh-loop.ts";
import type { Logger } from "../telemetry/log.ts";
import { writeBundleDocument, writeBundlePem } from "../x509/bundle-document.ts";
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
/** Waited for the core's answer: a signature, a store batch, or a deletion in SPIRE. Above: the order stands. */
const ORDER_DEADLINE_MS = 15_000;

export interface OperationsPorts {
  readonly state: MeshState;
  readonly loop: Pick<MeshLoop, "ask">;
  readonly network: StatusNetwork;
  readonly spire: SpireReads;
  /** Resolves when SPIRE's rows were read after the call, or could not be, and the loop was told. */
  readonly readRows: () => Promise<void>;
  readonly proofs: Proofs;
  readonly nodeOf: (peerId: string) => Uint8Array | undefined;
  readonly isStopping: () => boolean;
  /** Absolute: data_dir, runtime_dir. */
  readonly privateDirectories: readonly string[];
  readonly watch: (listener: (event: MeshEvent) => void) => () => void;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly nowMs: () => number;
}

export function createOperations(ports: OperationsPorts): Operations {
  const { state, network, isStopping, nowMs } = ports;
  return {
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
    peers: () => peerList(state, network, ports.nodeOf),
    export: async () => await exportOwn(ports),
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
    .flatMap((slot) => [slot.held, ...(slot.sibling ? [slot.sibling] : [])])
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

/** Asks the core; who waits longer than the deadline is told, while the order itself stands. */
async function ask(
  { loop }: OperationsPorts,
  makeInput: (ticket: Ticket) => Input,
): Promise<Answer> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `no answer within ${ORDER_DEADLINE_MS / 1_000} s; the order is still under way`;
    reject(new Fault("NOT_READY", message));
  }, ORDER_DEADLINE_MS);
  try {
    const answer = await Promise.race([loop.ask(makeInput), deadline]);
    if (answer === undefined) throw new Fault("NOT_READY", "the daemon is stopping");
    return answer;
  } finally {
    clearTimeout(timer);
  }
}

function expectDone(answer: Answer): void {
  if (answer.kind !== "done") throw unexpected(answer);
}

/** An answer that is a failure, as the fault that an operator sees. */
function unexpected(answer: Answer): Fault {
  if (answer.kind === "failed") {
    const { failure, message, next } = answer;
    return new Fault(failure, message, next === undefined ? {} : { advice: next });
  }
  assert(answer.kind === "refused", `${answer.kind} answers another order`);
  const { code, detail } = answer.refusal;
  return code === "STORE_FAILED"
    ? new Fault("STORE_FULL", detail, { advice: FINDINGS.STORE_FAILED.next })
    : new Fault("RECORD_REFUSED", detail, { advice: REFUSAL_ADVICE[code] });
}

function slots({ own, partners }: MeshState, only: TrustDomain | undefined): Slot[] {
  const all = [own.slot, ...[...partners.values()].map(({ slot }) => slot)];
  return all.filter(
    (slot): slot is Slot =>
      slot !== undefined && (only === undefined || slot.held.record.state.trustDomain === only),
  );
}
