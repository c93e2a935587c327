/**
 * All that the core remembers. Only `step` and the files it calls change it, in place, and the loop that
 * calls it says in it that the disk hangs: with 10,000 partners a copy for each input would cost more
 * than the input. Slots and records in it are values.
 */
import type { VerifiedRecord } from "../record/verify.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustBundle } from "../spiffe/trust-bundle.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import { BoundedMap } from "../std/bounded-map.ts";
import type { Result } from "../std/result.ts";
import type { Candidate } from "./candidate.ts";
import type { Effect, MeshEvent } from "./effect.ts";
import { FINDINGS, type Finding, type FindingCode } from "./finding.ts";
import { type HeardClocks, HeardHeads, newClocks } from "./heard.ts";
import type { StoreFailed, Ticket } from "./input.ts";
import { Meter } from "./meter.ts";
import { NodeOwners, listedBy } from "./node-owners.ts";
import type { OwnStep } from "./own-frame.ts";
import type { Ordered, Signing } from "./own-order.ts";
import { ParkedRecords } from "./parked.ts";
import { type Partner, type Pin, newPartner } from "./partner.ts";

/** Who this daemon is and what its configuration says; fixed for its lifetime. */
export interface Self {
  readonly trustDomain: TrustDomain;
  /** Ed25519, 32 bytes. */
  readonly nodePublicKey: Uint8Array;
  /** A consumer stands beside a nested server, whose bundle counts its own way: it never publishes. */
  readonly role: "publisher" | "consumer";
  /** Trust domains whose rows somebody else keeps. */
  readonly unmanaged: ReadonlySet<TrustDomain>;
}

/** A stored record on its way to the nodes that stay, before anybody else. */
export interface Unspoken {
  readonly envelope: Uint8Array;
  readonly recordId: string;
  /** Nodes (hex) that have not announced it yet. */
  readonly waitsFor: Set<string>;
  readonly sinceUptimeMs: number;
}

/** What is given at the recovery doors of partners. */
export interface Knocking {
  readonly recordId: string;
  readonly envelope: Uint8Array;
  dueUptimeMs: number;
  knocks: number;
}

/** What SPIRE said at one sequence number, for judging records that claim to be ours. */
export interface OwnRead {
  readonly digest: string;
  readonly firstMs: number;
  lastMs: number;
}

/** Sequence numbers whose content is remembered. Above: the oldest goes, and is never judged. */
const READS_MAX = 64;

export interface Own {
  slot: Slot | undefined;
  publishedAtMs: number | undefined;
  /** SPIRE's bundle as last read. */
  read: TrustBundle | undefined;
  readAtMs: number | undefined;
  /** What a read comes to on top of a slot: of use while both are the same objects. */
  judged:
    | {
        readonly bundle: TrustBundle;
        readonly slot: Slot | undefined;
        readonly step: OwnStep | undefined;
        readonly candidate: Result<Candidate, string>;
      }
    | undefined;
  /** `NO_USABLE_CA` stands because of the bundle, not of a mint. */
  bundleHasNoCa: boolean;
  /** The read that was found to be what is published; nothing is to be done for it. */
  settled: TrustBundle | undefined;
  /** By sequence number. */
  readonly reads: Map<bigint, OwnRead>;
  /** What is being signed; one at a time. */
  signing: Signing | undefined;
  /** What an operator decided and no record says yet. One at a time. */
  ordered: Ordered | undefined;
  /** A record of exactly this id (64 hex digits) becomes the own one: `own adopt`. */
  awaitedRecordId: string | undefined;
  /** Held record (hex id) that was given this node's block, or for which that was tried. */
  signedAgain: string | undefined;
  /** Signing failed for this read; tried again at `retryAtMs`. */
  retryAtMs: number;
  /** When SPIRE was first seen not above the published sequence with other authorities. */
  wentBackSinceMs: number | undefined;
  /** A higher own record that this daemon never read from SPIRE. */
  suspect: { readonly record: VerifiedRecord; readonly sinceMs: number } | undefined;
  readonly meter: Meter;
  /** Replicas; this daemon's own heads are not among them. */
  readonly heads: HeardHeads;
  readonly clocks: HeardClocks;
  /** Of the last head that was sent; the store has it. */
  headCounter: bigint;
  /** When the next head is due, by the clock that nobody sets. */
  headDueUptimeMs: number;
  /** Since when a second own record of the held version is known. */
  forkedUptimeMs: number | undefined;
  /** Since when a replica stands on another record than this daemon. */
  apartUptimeMs: number | undefined;
  /** Since when SPIRE's bundle reads as it does. */
  readSinceUptimeMs: number;
  /** A change of nodes that is not gossiped before all that stay hold it. */
  unspoken: Unspoken | undefined;
  /** The record that began this epoch, while partners may not have it. */
  knocking: Knocking | undefined;
  /** Who waits for the first record. */
  readonly exports: Ticket[];
}

export interface MeshState {
  readonly self: Self;
  readonly startedAtMs: number;
  readonly own: Own;
  readonly partners: Map<TrustDomain, Partner>;
  /** Follows what is held of the partners and the own trust domain. */
  readonly nodes: NodeOwners;
  readonly parked: ParkedRecords;
  /** Milliseconds by a clock that nobody sets, as of the last tick. */
  uptimeMs: number;
  /** When the partners were looked at last. */
  watchedUptimeMs: number;
  /** Nodes (hex) that are connected now. Bounded by the network's own connections. */
  readonly connected: Set<string>;
  /** Set while the disk is behind what was acknowledged. */
  recovering: Recovering | undefined;
  /** Domains with a FederationRelationship, as last listed. */
  relationships: ReadonlySet<TrustDomain>;
  rowsReadAtMs: number | undefined;
  /** SPIRE is away or does not list its rows: what they were then says nothing now. */
  rowsUnread: boolean;
  spireAway: string | undefined;
  /** The first sync with a peer is done, or none was to be had in time. */
  synced: boolean;
  /** By code and trust domain. Bounded by the codes times the partners. */
  readonly findings: Map<string, Finding>;
  /** What happens when the store effect under way is confirmed. */
  pending: Pending | undefined;
  /** When the store failed last; undefined once it stored something since. */
  storeFailedAtMs: number | undefined;
}

/** Runs when the store confirmed, or says why not. */
export interface Pending {
  readonly onStored: (nowMs: number) => Effect[];
  readonly onFailed: (failed: StoreFailed, nowMs: number) => Effect[];
}

/** The store was lost or is older than what was acknowledged (docs/protocol.md 7). */
export interface Recovering {
  /** In words: what happened, and where the old store is. */
  readonly reason: string;
  /** Partners of whom one node answered a whole sync since. */
  readonly heard: Set<TrustDomain>;
}

/** Everything that the store gave back at start. */
export interface Stored {
  readonly own: Slot | undefined;
  readonly partners: readonly {
    readonly pin: Pin;
    /** Undefined when the store lost it; the pin then names the record that stood last. */
    readonly slot: Slot | undefined;
    /** Its nodes as they were last known, when the slot is lost. */
    readonly nodes?: readonly Uint8Array[];
  }[];
  /** Of the last own head. 0 before the first. */
  readonly headCounter: bigint;
  /** Why the store is behind what was acknowledged, in words; undefined when it is not. */
  readonly lost: string | undefined;
}

export function newMeshState(self: Self, stored: Stored, nowMs: number): MeshState {
  const nodes = new NodeOwners();
  if (stored.own !== undefined) nodes.hold(self.trustDomain, listedBy(stored.own));
  for (const { pin, slot, nodes: marked = [] } of stored.partners) {
    const listed = slot === undefined ? { nodes: marked, signers: [] } : listedBy(slot);
    nodes.hold(pin.trustDomain, listed);
  }
  return {
    self,
    startedAtMs: nowMs,
    own: {
      slot: stored.own,
      publishedAtMs: undefined,
      read: undefined,
      readAtMs: undefined,
      judged: undefined,
      bundleHasNoCa: false,
      settled: undefined,
      reads: new BoundedMap(READS_MAX),
      signing: undefined,
      signedAgain: undefined,
      ordered: undefined,
      awaitedRecordId: undefined,
      retryAtMs: 0,
      wentBackSinceMs: undefined,
      suspect: undefined,
      meter: new Meter(),
      heads: new HeardHeads(),
      clocks: newClocks(),
      headCounter: stored.headCounter,
      headDueUptimeMs: 0,
      forkedUptimeMs: undefined,
      apartUptimeMs: undefined,
      readSinceUptimeMs: 0,
      unspoken: undefined,
      knocking: undefined,
      exports: [],
    },
    partners: new Map(
      stored.partners.map(({ pin, slot }) => [pin.trustDomain, newPartner(pin, slot)]),
    ),
    nodes,
    parked: new ParkedRecords(),
    uptimeMs: 0,
    watchedUptimeMs: -Infinity,
    connected: new Set(),
    recovering:
      stored.lost === undefined
        ? undefined
        : { reason: stored.lost, heard: new Set<TrustDomain>() },
    relationships: new Set(),
    rowsReadAtMs: undefined,
    rowsUnread: false,
    spireAway: undefined,
    synced: false,
    findings: new Map(),
    pending: undefined,
    storeFailedAtMs: undefined,
  };
}

/**
 * Characters of one finding: eight authorities by their hashes, with what is wrong with each. What is
 * above is cut off, as every status, health page and alert carries it.
 */
const MESSAGE_LENGTH_MAX = 2_048;

/**
 * Raises a finding once; a change of its words alone is not told again.
 *
 * @param next What to do, when the code's own advice is too general.
 */
export function raise(
  state: MeshState,
  code: FindingCode,
  trustDomain: TrustDomain | undefined,
  words: string,
  nowMs: number,
  next: string = FINDINGS[code].next,
): Effect[] {
  const key = keyOf(code, trustDomain);
  const known = state.findings.get(key);
  const message =
    words.length > MESSAGE_LENGTH_MAX ? `${words.slice(0, MESSAGE_LENGTH_MAX)}…` : words;
  const { severity } = FINDINGS[code];
  const finding = { code, severity, trustDomain, message, next, sinceMs: known?.sinceMs ?? nowMs };
  state.findings.set(key, finding);
  return known === undefined ? [tell({ kind: "finding-raised", finding })] : [];
}

export function isRaised(
  state: MeshState,
  code: FindingCode,
  trustDomain: TrustDomain | undefined,
): boolean {
  return state.findings.has(keyOf(code, trustDomain));
}

export function clear(
  state: MeshState,
  code: FindingCode,
  trustDomain: TrustDomain | undefined,
): Effect[] {
  const key = keyOf(code, trustDomain);
  const finding = state.findings.get(key);
  if (finding === undefined) return [];
  state.findings.delete(key);
  return [tell({ kind: "finding-cleared", finding })];
}

function keyOf(code: FindingCode, trustDomain: TrustDomain | undefined): string {
  return `${code} ${trustDomain ?? ""}`;
}

export function tell(event: MeshEvent): Effect {
  return { kind: "tell", event };
}
