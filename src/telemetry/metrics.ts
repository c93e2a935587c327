/**
 * What Prometheus may ask. The number to alert on is `spire_mesh_row_proven_equal_age_seconds`: how
 * long ago a partner's row in SPIRE was last read and found to be what is accepted. It grows when that
 * cannot be read or written, or somebody else keeps writing it. It stays small while a partner is not
 * heard: its row is what was accepted last. `spire-mesh status` shows when it was heard.
 *
 * Events are counted when they happen; states are asked for when somebody collects.
 */
import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";
import { FINDINGS, type FindingCode } from "../core/mesh/finding.ts";
import { REFUSALS, type RefusalCode } from "../core/record/refusal.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { PINNED_DOMAINS_MAX } from "../core/std/limits.ts";

/**
 * Trust domains with series of their own. An operator may pin as many, and each costs Prometheus
 * four series. Above: counted together, as {@link OTHER_DOMAINS}.
 */
const LABELLED_DOMAINS_MAX = PINNED_DOMAINS_MAX;
/** No trust domain has brackets in its name. */
const OTHER_DOMAINS = "(other)";
const PREFIX = "spire_mesh_";

/** What was turned away at the edge before the core saw it. */
const EDGE_COUNTS = [
  "connection_refused",
  "connection_cut_off",
  "message_over_budget",
  "message_overload",
] as const;
export type EdgeCount = (typeof EDGE_COUNTS)[number];

/** The states, as they are when asked. Must not throw or wait. */
export interface MetricSources {
  isSpireUp(): boolean;
  connectedPeers(): number;
  /** Connected daemons whose gossip is not looked at now. */
  graylistedPeers(): number;
  /** Since the start, by what became of it. */
  edgeCounts(): Readonly<Record<EdgeCount, number>>;
  /** Those that stand now. */
  findings(): Iterable<{ readonly code: FindingCode }>;
  /** Of the own published record; undefined before there is one. Above 2^53 it loses digits. */
  ownSequenceNumber(): bigint | undefined;
  /**
   * Whole or broken seconds since each partner's row was last read back equal; since its approval
   * when it never was.
   */
  rowProvenEqualAgeS(): Iterable<readonly [TrustDomain, number]>;
}

export interface Metrics {
  recordAccepted(trustDomain: TrustDomain): void;
  recordRefused(code: RefusalCode): void;
  /** A row was written because the mesh accepted something new. */
  bundleWritten(trustDomain: TrustDomain): void;
  /** A row was written again because somebody else had changed it. */
  rowRewritten(trustDomain: TrustDomain): void;
  /** Drops the series of a trust domain that is no partner any more. */
  forget(trustDomain: TrustDomain): void;
  /** Everything in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/**
 * Makes the series. Only where somebody collects them: Node's own, which come along, watch the event
 * loop at 0.3 % of a core (measured).
 */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const byDomain = (name: string, help: string): Counter<"trust_domain_id"> =>
    new Counter({ name: PREFIX + name, help, labelNames: ["trust_domain_id"], registers });
  const accepted = byDomain(
    "records_accepted_total",
    "Records that passed all checks and are held.",
  );
  const written = byDomain("bundle_writes_total", "Bundles written to SPIRE Server.");
  const rewritten = byDomain(
    "row_rewrites_total",
    "Rows in SPIRE Server written again after another writer changed them.",
  );
  const refused = new Counter({
    name: `${PREFIX}records_refused_total`,
    help: "Records that were not taken, by the code of their refusal.",
    labelNames: ["code"],
    registers,
  });
  for (const code of Object.keys(REFUSALS)) refused.inc({ code }, 0);

  const gauge = (name: string, help: string, read: () => number | undefined): void => {
    void new Gauge({
      name: PREFIX + name,
      help,
      registers,
      collect() {
        const value = read();
        if (value !== undefined) this.set(value);
      },
    });
  };
  gauge("spire_up", "Whether SPIRE Server answered the last read.", () =>
    sources.isSpireUp() ? 1 : 0,
  );
  gauge("connected_peers", "Daemons connected now.", () => sources.connectedPeers());
  gauge("graylisted_peers", "Connected daemons whose gossip is not looked at now.", () =>
    sources.graylistedPeers(),
  );
  void new Counter({
    name: `${PREFIX}turned_away_total`,
    help: "Connections and messages that were not looked at, for what their peer did.",
    labelNames: ["what"],
    registers,
    collect() {
      this.reset();
      const counts = sources.edgeCounts();
      for (const what of EDGE_COUNTS) this.inc({ what }, counts[what]);
    },
  });
  gauge("own_record_sequence_number", "Sequence number of the own published record.", () => {
    const sequence = sources.ownSequenceNumber();
    return sequence === undefined ? undefined : Number(sequence);
  });
  void new Gauge({
    name: `${PREFIX}findings`,
    help: "Findings that stand now, by code. See spire-mesh status.",
    labelNames: ["code"],
    registers,
    collect() {
      for (const code of Object.keys(FINDINGS)) this.set({ code }, 0);
      for (const { code } of sources.findings()) this.inc({ code });
    },
  });
  void new Gauge({
    name: `${PREFIX}row_proven_equal_age_seconds`,
    help: "Time since a partner's row in SPIRE Server was last read back equal to what is accepted.",
    labelNames: ["trust_domain_id"],
    registers,
    collect() {
      this.reset();
      let left = LABELLED_DOMAINS_MAX;
      let oldestOther: number | undefined;
      for (const [trustDomain, ageS] of sources.rowProvenEqualAgeS()) {
        left -= 1;
        if (left >= 0) this.set({ trust_domain_id: trustDomain }, ageS);
        else oldestOther = Math.max(oldestOther ?? 0, ageS);
      }
      if (oldestOther !== undefined) this.set({ trust_domain_id: OTHER_DOMAINS }, oldestOther);
    },
  });

  const labelled = new Set<TrustDomain>();
  const count = (counter: Counter<"trust_domain_id">, trustDomain: TrustDomain): void => {
    if (labelled.size < LABELLED_DOMAINS_MAX) labelled.add(trustDomain);
    counter.inc({ trust_domain_id: labelled.has(trustDomain) ? trustDomain : OTHER_DOMAINS });
  };
  return {
    recordAccepted: (trustDomain) => count(accepted, trustDomain),
    recordRefused: (code) => refused.inc({ code }),
    bundleWritten: (trustDomain) => count(written, trustDomain),
    rowRewritten: (trustDomain) => count(rewritten, trustDomain),
    forget: (trustDomain) => {
      labelled.delete(trustDomain);
      for (const counter of [accepted, written, rewritten]) {
        counter.remove({ trust_domain_id: trustDomain });
      }
    },
    text: async () => await registry.metrics(),
    contentType: registry.contentType,
  };
}
