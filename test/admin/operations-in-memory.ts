/**
 * A daemon without SPIRE and mesh behind the admin API: it keeps partners in memory, so what one
 * command changes the next one shows. A record here has the right form, and nobody signed it.
 */
import { timestamp } from "../../src/admin-contract/scalars.ts";
import type { BundleEntry, BundleFormat, PinReply } from "../../src/admin-contract/bundle.ts";
import type { ExportPage, ForgetReply, ImportOutcome } from "../../src/admin-contract/exchange.ts";
import type { BundleDiff, HistoryEntry, ReleaseReply } from "../../src/admin-contract/history.ts";
import type { Peer } from "../../src/admin-contract/peer.ts";
import type { Health, Status, TrustDomainStatus } from "../../src/admin-contract/status.ts";
import type {
  ExportedFile,
  ImportOrder,
  MeshEvent,
  Operations,
} from "../../src/admin/operations.ts";
import { decodeExportFile, encodeExportFile } from "../../src/core/record/export-file.ts";
import { encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import { encodeState, noLineage } from "../../src/core/record/state.ts";
import { decodeRecord } from "../../src/core/record/verify.ts";
import { type TrustDomain, readTrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { Fault } from "../../src/fault.ts";
import { OWN_PEER_ID, OwnOperationsInMemory } from "./own-operations-in-memory.ts";

const NOW = timestamp(Date.UTC(2026, 0, 31, 12));
/** The kind of record there is. */
const STATE = 1;
const SIGNED_AT_S = 1_790_000_000;
const PUBLISHED = recordFile("alpha.test", 7n);

/** An export file with a record of `trustDomain`, and the id of that record. */
export function recordFile(
  trustDomain: string,
  sequence: bigint,
): { readonly content: Uint8Array; readonly recordId: string } {
  const payload = encodeState({
    trustDomain: trustDomain as TrustDomain,
    lineage: noLineage(),
    version: { epoch: 0, rev: 0, sequence },
    nodes: [new Uint8Array(32)],
    removed: [],
    recovery: undefined,
    x509Authorities: [{ der: new Uint8Array(1), tainted: false }],
    jwtAuthorities: [],
  });
  const block = {
    nodePublicKey: new Uint8Array(32),
    signedAtS: SIGNED_AT_S,
    chains: [[new Uint8Array(1)]],
    svidSignatures: [new Uint8Array(64).fill(1)],
    nodeSignature: new Uint8Array(64),
  };
  const envelope = encodeEnvelope({ kind: STATE, payload, blocks: [block], recovery: [] });
  const addresses = [`/dns4/mesh.${trustDomain}/tcp/7843`];
  return {
    content: encodeExportFile({ envelope, addresses }),
    recordId: toHex(recordId(STATE, payload)),
  };
}

/** A partner in good order. */
export function partner(trustDomain: string, changes: Partial<TrustDomainStatus> = {}) {
  return {
    trust_domain: trustDomain,
    trust: "accepted",
    via: "direct",
    lineage: "1".repeat(64),
    epoch: 0,
    rev: 0,
    sequence_number: "3",
    record_id: "2".repeat(64),
    freshness: "fresh",
    last_heard_at: NOW,
    spire_row: "equal",
    applied_at: NOW,
    last_dial_error: null,
    they_hold_ours: { known: true, record_id: PUBLISHED.recordId, at: NOW },
    ...changes,
  } satisfies TrustDomainStatus;
}

export class OperationsInMemory extends OwnOperationsInMemory implements Operations {
  /** What is wrong with the daemon; empty when it is ready. */
  problems: readonly string[] = [];
  spireState: Status["spire"]["state"] = "serving";
  /** Set to break every call in the way of a defect or a fault. */
  failure: Error | undefined;
  /** Instead of the usual reason. */
  refusal: ((said: { readonly record_id: string }) => string) | undefined;
  privateDirectories: readonly string[] = [];
  /** Changes wait for this, as for a slow SPIRE Server. */
  delay: Promise<void> = Promise.resolve();
  changesUnderWay = 0;
  readonly partners = new Map<string, TrustDomainStatus>();
  readonly #listeners = new Set<(event: MeshEvent) => void>();

  constructor(...partners: readonly TrustDomainStatus[]) {
    super();
    for (const each of partners) this.partners.set(each.trust_domain, each);
  }

  get watcherCount(): number {
    return this.#listeners.size;
  }

  tell(event: MeshEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  status(): Status {
    if (this.failure !== undefined) throw this.failure;
    return {
      state: this.problems.length === 0 ? "ready" : "degraded",
      trust_domain: "alpha.test",
      version: "0.1.0",
      started_at: NOW,
      spire: { state: this.spireState, sequence_number: "7", last_read_at: NOW, last_error: null },
      node: {
        peer_id: OWN_PEER_ID,
        fingerprint: "f".repeat(64),
        addresses: ["/ip4/127.0.0.1/tcp/7843"],
        connections: 1,
      },
      own: {
        lineage: PUBLISHED.recordId,
        epoch: 0,
        rev: 0,
        sequence_number: "18446744073709551615",
        record_id: PUBLISHED.recordId,
        published_at: NOW,
        x509_authorities: 2,
        jwt_authorities: 1,
        recovery: this.commitment && {
          threshold: this.commitment.threshold,
          keys: this.commitment.key_hashes.length,
        },
      },
      trust_domains: [...this.partners.values()],
      findings: this.problems.map((message) => ({
        code: "SPIRE_WENT_BACK",
        severity: "critical",
        trust_domain: null,
        message,
        next: "spire-mesh own confirm-restore",
        since: NOW,
      })),
    };
  }

  async verify(): Promise<Status> {
    await this.delay;
    return this.status();
  }

  healthcheck(): Health {
    const { state } = this.status();
    return { ready: this.problems.length === 0, state, problems: [...this.problems] };
  }

  bundles(trustDomain: TrustDomain | undefined): readonly BundleEntry[] {
    return [...this.partners.values()]
      .filter((each) => trustDomain === undefined || each.trust_domain === trustDomain)
      .map((each) => ({
        trust_domain: each.trust_domain,
        epoch: each.epoch ?? 0,
        rev: each.rev ?? 0,
        sequence_number: each.sequence_number ?? "0",
        record_id: each.record_id ?? "0".repeat(64),
        x509_authorities: [
          { sha256: "a".repeat(64), subject_key_id: "0102", not_after: NOW, tainted: true },
        ],
        jwt_authorities: [{ key_id: "key-1", expires_at: null, tainted: false }],
      }));
  }

  bundle(trustDomain: TrustDomain, format: BundleFormat): string {
    if (!this.partners.has(trustDomain)) throw notFound(trustDomain);
    return format === "pem" ? "-----BEGIN CERTIFICATE-----\n" : '{\n  "keys": []\n}\n';
  }

  peers(): readonly Peer[] {
    return [...this.partners.keys()].map((trustDomain, index) => ({
      peer_id: `12D3KooWPeer${index}`,
      trust_domain: trustDomain,
      addresses: [`/ip4/127.0.0.1/tcp/${index + 1}`],
      connected_since: NOW,
      direction: "outbound",
      latency_ms: 1.5,
      rejected: 0,
      over_budget: 0,
      graylisted: false,
    }));
  }

  async export(): Promise<ExportedFile> {
    await this.#slowly();
    if (this.failure !== undefined) throw this.failure;
    const trustDomain = readTrustDomain("alpha.test");
    if (trustDomain === undefined) throw new RangeError("alpha.test is a trust domain");
    const { content, recordId } = PUBLISHED;
    const { privateDirectories } = this;
    return { trustDomain, recordId, lineage: recordId, content, privateDirectories };
  }

  async import(order: ImportOrder): Promise<ImportOutcome> {
    await this.#slowly();
    const decoded = decodeExportFile(order.content);
    if (!decoded.ok) throw new Fault("DATA_INVALID", `${order.file} ${decoded.reason.problem}.`);
    const record = decodeRecord(decoded.value.envelope, "sync");
    if (!record.ok) throw new Fault("DATA_INVALID", `${order.file} carries no record.`);
    const { idHex: recordId, state } = record.value;
    const name: string = state.trustDomain;
    const sequence = state.version.sequence.toString();
    const said = {
      file: order.file,
      trust_domain: name,
      record_id: recordId,
      signed_at: timestamp(SIGNED_AT_S * 1_000),
    };
    const held = this.partners.get(name);
    if (held?.record_id === recordId) {
      return { ...said, outcome: "unchanged", code: null, message: null, next: null };
    }
    if (order.fingerprint !== recordId && (held === undefined || order.fingerprint !== undefined)) {
      const message = this.refusal?.(said) ?? `The record of ${name} is not the one approved.`;
      const next = "Compare the fingerprint with its publisher.";
      return { ...said, outcome: "refused", code: "NOT_APPROVED", message, next };
    }
    if (name === "taken.test" && !order.replace) {
      throw new Fault("ROW_NOT_OURS", "SPIRE Server holds another bundle for taken.test.");
    }
    this.partners.set(name, partner(name, { record_id: recordId, sequence_number: sequence }));
    return { ...said, outcome: "accepted", code: null, message: null, next: null };
  }

  /** One partner a page, so that every caller meets more than one. */
  exportPage(after: TrustDomain | undefined): ExportPage {
    const names = [...this.partners.keys()].sort();
    const [name, next] = names.filter((each) => after === undefined || each > after);
    const made = name === undefined ? undefined : recordFile(name, 3n);
    const records = (name === undefined || made === undefined ? [] : [name]).map(
      (trust_domain) => ({
        trust_domain,
        record_id: made?.recordId ?? "",
        lineage: made?.recordId ?? "",
        content: Buffer.from(made?.content ?? []).toString("base64"),
      }),
    );
    return {
      records,
      next: next === undefined ? null : (name ?? null),
      private_directories: [...this.privateDirectories],
    };
  }

  async history(trustDomain: TrustDomain): Promise<readonly HistoryEntry[]> {
    const held = this.partners.get(trustDomain);
    if (held === undefined) return [];
    return ["2", "3"].map((sequence_number) => ({
      epoch: 0,
      rev: 0,
      sequence_number,
      record_id: sequence_number.repeat(64),
      stored_at: NOW,
      signed_by: [{ peer_id: OWN_PEER_ID, signed_at: NOW }],
      applied_at: sequence_number === "3" ? NOW : null,
    }));
  }

  async diff(
    trustDomain: TrustDomain,
    from = "2".repeat(64),
    to = "3".repeat(64),
  ): Promise<BundleDiff> {
    if (!this.partners.has(trustDomain)) throw notFound(trustDomain);
    const version = { epoch: 0, rev: 0 };
    return {
      trust_domain: trustDomain,
      from: { ...version, sequence_number: "2", record_id: from },
      to: { ...version, sequence_number: "3", record_id: to },
      x509_authorities: { added: ["a".repeat(64)], removed: [], tainted: ["b"], untainted: [] },
      jwt_authorities: { added: [], removed: ["key-1"], tainted: [], untainted: [] },
      nodes: { added: [OWN_PEER_ID], removed: [] },
      recovery_keys_changed: true,
    };
  }

  async release(trustDomain: TrustDomain, recordId: string, reason: string): Promise<ReleaseReply> {
    const held = this.partners.get(trustDomain);
    if (held?.record_id !== recordId) throw notFound(trustDomain);
    this.orders.push({ kind: "release", reason });
    return { trust_domain: trustDomain, record_id: recordId };
  }

  async forget(trustDomain: TrustDomain): Promise<ForgetReply> {
    if (!this.partners.delete(trustDomain)) throw notFound(trustDomain);
    return {
      trust_domain: trustDomain,
      row: trustDomain === "elsewhere.test" ? "unmanaged" : "deleted",
    };
  }

  async pin(trustDomain: TrustDomain, recordId: string): Promise<PinReply> {
    const held = this.partners.get(trustDomain);
    if (held === undefined) throw notFound(trustDomain);
    const outcome = held.record_id === recordId ? "unchanged" : "pending";
    return { trust_domain: trustDomain, record_id: recordId, outcome };
  }

  async #slowly(): Promise<void> {
    this.changesUnderWay += 1;
    await this.delay;
    this.changesUnderWay -= 1;
  }

  watch(listener: (event: MeshEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function notFound(trustDomain: string): Fault {
  return new Fault("NOT_FOUND", `Nothing is held of ${trustDomain}.`);
}
