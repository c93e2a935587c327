/** The mesh state and the network as the admin API shows them. Reads only. */
import type { BundleEntry } from "../admin-contract/bundle.ts";
import type { Peer } from "../admin-contract/peer.ts";
import { timestamp } from "../admin-contract/scalars.ts";
import type {
  DaemonState,
  Finding,
  Health,
  OwnStatus,
  Status,
  TrustDomainStatus,
} from "../admin-contract/status.ts";
import { VERSION } from "../admin-contract/version.ts";
import { degrades } from "../core/mesh/finding.ts";
import { freshnessOf } from "../core/mesh/freshness.ts";
import { type MeshState, isRaised } from "../core/mesh/mesh-state.ts";
import type { Partner } from "../core/mesh/partner.ts";
import { NO_ROW, rowDigest } from "../core/mesh/rows.ts";
import { lastSignedAtS } from "../core/mesh/own-signing.ts";
import { desiredRow } from "../core/policy/row.ts";
import type { VerifiedRecord } from "../core/record/verify.ts";
import type { Slot } from "../core/resolver/slot.ts";
import { toHex } from "../core/std/bytes.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { toSeconds } from "../core/std/unix-time.ts";
import type { DialFailure, PeerNetwork } from "../ports/peer-network.ts";

export type StatusNetwork = Pick<
  PeerNetwork,
  "peerId" | "addresses" | "connections" | "dialFailures"
>;

export function statusOf(
  state: MeshState,
  network: StatusNetwork,
  stopping: boolean,
  nowMs: number,
): Status {
  const { own, self } = state;
  const dialErrors = lastDialErrors(network.dialFailures());
  return {
    state: daemonState(state, stopping),
    trust_domain: self.trustDomain,
    version: VERSION,
    started_at: timestamp(state.startedAtMs),
    spire: {
      state: state.spireAway === undefined ? (own.read ? "serving" : "unknown") : "away",
      sequence_number: own.read?.sequenceNumber.toString() ?? null,
      last_read_at: timeOrNull(own.readAtMs),
      last_error: state.spireAway ?? null,
    },
    node: {
      peer_id: network.peerId,
      fingerprint: sha256Hex(self.nodePublicKey),
      addresses: [...network.addresses()],
      connections: network.connections().length,
    },
    own: ownStatus(state),
    trust_domains: [...state.partners.values()].map((each) =>
      partnerStatus(state, each, dialErrors.get(each.pin.trustDomain) ?? null, nowMs),
    ),
    findings: findings(state),
  };
}

/** Every finding that stands is a problem, those that degrade first. */
export function healthOf(state: MeshState, stopping: boolean): Health {
  const is = daemonState(state, stopping);
  const { degrading = [], others = [] } = Object.groupBy(state.findings.values(), (finding) =>
    degrades(finding, state.self.trustDomain) ? "degrading" : "others",
  );
  const isUnread = is === "starting" && degrading.length === 0;
  const problems = [
    ...(isUnread ? ["SPIRE Server was not read yet."] : []),
    ...[...degrading, ...others].map(
      ({ message, next }) => `${message}. Next: ${next.replace(/\.$/, "")}.`,
    ),
  ];
  return { ready: is === "ready", state: is, problems };
}

/** What stands: in a fork what all records of that version have in common. */
export function bundleEntry({ held, effective }: Slot): BundleEntry {
  const { state, authorities } = effective;
  const { idHex } = held.record;
  const { epoch, rev, sequence } = state.version;
  return {
    trust_domain: state.trustDomain,
    epoch,
    rev,
    sequence_number: sequence.toString(),
    record_id: idHex,
    x509_authorities: authorities.map(({ facts, tainted }) => ({
      sha256: sha256Hex(facts.der),
      subject_key_id: facts.subjectKeyId === undefined ? null : toHex(facts.subjectKeyId),
      not_after: timestamp(facts.notAfterS * 1_000),
      tainted,
    })),
    jwt_authorities: state.jwtAuthorities.map(({ keyId, expiresAtS, tainted }) => ({
      key_id: keyId,
      expires_at: expiresAtS === 0 ? null : timestamp(expiresAtS * 1_000),
      tainted,
    })),
  };
}

export function peerList(
  state: MeshState,
  network: Pick<PeerNetwork, "connections">,
  nodeOf: (peerId: string) => Uint8Array | undefined,
): Peer[] {
  return network.connections().map((connection) => {
    const node = nodeOf(connection.peerId);
    return {
      peer_id: connection.peerId,
      trust_domain: (node && state.nodes.ownerOf(toHex(node))) ?? null,
      addresses: [...connection.addresses],
      connected_since: timestamp(connection.connectedSinceMs),
      direction: connection.direction,
      latency_ms: connection.latencyMs ?? null,
      rejected: connection.rejected,
      over_budget: connection.overBudget,
      graylisted: connection.graylisted,
    };
  });
}

/** Ready: SPIRE was read, its rows too, SPIRE can sign for us, and nothing degrades that. */
function daemonState(state: MeshState, stopping: boolean): DaemonState {
  if (stopping) return "stopping";
  if (state.recovering !== undefined) return "recovering";
  const read = state.own.read !== undefined && state.rowsReadAtMs !== undefined;
  if (!read || isRaised(state, "NO_USABLE_CA", undefined)) return "starting";
  const isDegraded = state.findings
    .values()
    .some((finding) => degrades(finding, state.self.trustDomain));
  return isDegraded ? "degraded" : "ready";
}

function ownStatus({ own }: MeshState): OwnStatus {
  const record = own.slot?.held.record;
  const recovery = own.slot?.effective.state.recovery;
  return {
    lineage: record === undefined ? null : toHex(record.lineage),
    epoch: record?.state.version.epoch ?? null,
    rev: record?.state.version.rev ?? null,
    sequence_number: record?.state.version.sequence.toString() ?? null,
    record_id: record?.idHex ?? null,
    published_at: timeOrNull(own.publishedAtMs ?? (own.slot && signedAtMs(own.slot.held))),
    x509_authorities: record?.state.x509Authorities.length ?? 0,
    jwt_authorities: record?.state.jwtAuthorities.length ?? 0,
    recovery: recovery ? { threshold: recovery.threshold, keys: recovery.keyHashes.length } : null,
  };
}

/** The newest signature of both factors: after a restart it says when a record was published. */
export function signedAtMs(held: VerifiedRecord): number {
  return lastSignedAtS(held) * 1_000;
}

function partnerStatus(
  state: MeshState,
  partner: Partner,
  lastDialError: TrustDomainStatus["last_dial_error"],
  nowMs: number,
): TrustDomainStatus {
  const { pin, slot, lastHeardAtMs, holdsOurs, row } = partner;
  const record = slot?.held.record;
  const version = record?.state.version;
  return {
    trust_domain: pin.trustDomain,
    trust: "accepted",
    via: "direct",
    lineage: record === undefined ? null : toHex(record.lineage),
    epoch: version?.epoch ?? null,
    rev: version?.rev ?? null,
    sequence_number: version?.sequence.toString() ?? null,
    record_id: record?.idHex ?? null,
    freshness: freshnessOf(state, partner),
    last_heard_at: timeOrNull(lastHeardAtMs),
    spire_row: spireRow(state, partner, nowMs),
    applied_at: timeOrNull(row.appliedAtMs),
    last_dial_error: lastDialError,
    they_hold_ours: {
      known: holdsOurs !== undefined,
      record_id: holdsOurs?.recordId ?? null,
      at: timeOrNull(holdsOurs?.atMs),
    },
  };
}

/** By trust domain. One node out of reach is told of, whether or not another is connected. */
function lastDialErrors(
  failures: readonly DialFailure[],
): ReadonlyMap<string, NonNullable<TrustDomainStatus["last_dial_error"]>> {
  const oldestFirst = failures.toSorted((left, right) => left.atMs - right.atMs);
  return new Map(
    oldestFirst.flatMap(({ trustDomains, peerId, addresses, atMs, reason }) => {
      const error = {
        at: timestamp(atMs),
        peer_id: peerId,
        addresses: [...addresses],
        message: reason,
      };
      return trustDomains.map((trustDomain) => [trustDomain, error] as const);
    }),
  );
}

/**
 * As SPIRE's row was last read back against what it shall be; `unknown` before the first read and
 * while rows cannot be read, `different` while one is written, as `equal` is never assumed.
 */
function spireRow(
  state: MeshState,
  { pin, slot, row }: Partner,
  nowMs: number,
): TrustDomainStatus["spire_row"] {
  if (state.self.unmanaged.has(pin.trustDomain)) return "unmanaged";
  if (row.seen === undefined || state.rowsUnread) return "unknown";
  if (row.seen === NO_ROW) return "missing";
  if (row.writing) return "different";
  const desired = slot && desiredRow(slot, toSeconds(nowMs));
  return desired !== undefined && rowDigest(desired) === row.seen ? "equal" : "different";
}

function findings(state: MeshState): Finding[] {
  return [...state.findings.values()].map(
    ({ code, severity, trustDomain, message, next, sinceMs }) => ({
      code,
      severity,
      trust_domain: trustDomain ?? null,
      message,
      next,
      since: timestamp(sinceMs),
    }),
  );
}

function timeOrNull(unixMs: number | undefined): string | null {
  return unixMs === undefined ? null : timestamp(unixMs);
}
