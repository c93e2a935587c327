/** What Prometheus collects. */
import { describe, expect, test } from "vitest";
import type { FindingCode } from "../../src/core/mesh/finding.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { type MetricSources, type Metrics, createMetrics } from "../../src/telemetry/metrics.ts";

const ALPHA = "alpha.test" as TrustDomain;
const BRAVO = "bravo.test" as TrustDomain;
const DOMAINS_MAX = 10_000;

/** A daemon's states, which the test changes between collections. */
class States implements MetricSources {
  up = true;
  peers = 0;
  graylisted = 0;
  edge = {
    connection_refused: 0,
    connection_cut_off: 0,
    message_over_budget: 0,
    message_overload: 0,
  };
  codes: FindingCode[] = [];
  sequence: bigint | undefined;
  ages = new Map<TrustDomain, number>();

  isSpireUp(): boolean {
    return this.up;
  }
  connectedPeers(): number {
    return this.peers;
  }
  graylistedPeers(): number {
    return this.graylisted;
  }
  edgeCounts(): ReturnType<MetricSources["edgeCounts"]> {
    return this.edge;
  }
  findings(): Iterable<{ readonly code: FindingCode }> {
    return this.codes.map((code) => ({ code }));
  }
  ownSequenceNumber(): bigint | undefined {
    return this.sequence;
  }
  rowProvenEqualAgeS(): Iterable<readonly [TrustDomain, number]> {
    return this.ages;
  }
}

/** Our own samples, such as `findings{code="FORK"}` → 1. */
async function samplesOf(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.text()).split("\n");
  const own = lines.filter((line) => line.startsWith("spire_mesh_"));
  return new Map(
    own.map((line) => {
      const space = line.lastIndexOf(" ");
      const value = line.slice(space + 1);
      return [line.slice("spire_mesh_".length, space), value === "+Inf" ? Infinity : Number(value)];
    }),
  );
}

describe("metrics", () => {
  test("say who is not heard, and what was turned away at the edge", async () => {
    const states = new States();
    const metrics = createMetrics(states);
    expect((await samplesOf(metrics)).get("graylisted_peers")).toBe(0);
    states.graylisted = 1;
    states.edge = { ...states.edge, connection_cut_off: 2, message_over_budget: 31 };
    for (let collections = 0; collections < 2; collections += 1) {
      const samples = await samplesOf(metrics);
      expect(samples.get("graylisted_peers")).toBe(1);
      expect(samples.get('turned_away_total{what="connection_cut_off"}')).toBe(2);
      expect(samples.get('turned_away_total{what="message_over_budget"}')).toBe(31);
      expect(samples.get('turned_away_total{what="connection_refused"}')).toBe(0);
    }
  });

  test("count what happened, by trust domain or code", async () => {
    const metrics = createMetrics(new States());
    metrics.recordAccepted(ALPHA);
    metrics.recordAccepted(ALPHA);
    metrics.recordAccepted(BRAVO);
    metrics.recordRefused("WRONG_LINEAGE");
    metrics.bundleWritten(ALPHA);
    metrics.rowRewritten(BRAVO);
    const samples = await samplesOf(metrics);
    expect(samples.get('records_accepted_total{trust_domain_id="alpha.test"}')).toBe(2);
    expect(samples.get('records_accepted_total{trust_domain_id="bravo.test"}')).toBe(1);
    expect(samples.get('records_refused_total{code="WRONG_LINEAGE"}')).toBe(1);
    expect(samples.get('records_refused_total{code="STALE"}')).toBe(0);
    expect(samples.get('bundle_writes_total{trust_domain_id="alpha.test"}')).toBe(1);
    expect(samples.get('row_rewrites_total{trust_domain_id="bravo.test"}')).toBe(1);
  });

  test("show states as they are when collected, and not as they were", async () => {
    const states = new States();
    const metrics = createMetrics(states);
    expect((await samplesOf(metrics)).get("spire_up")).toBe(1);
    states.up = false;
    states.peers = 3;
    states.codes = ["FORK", "FORK", "CONTESTED"];
    states.sequence = 41n;
    states.ages.set(ALPHA, 12.5).set(BRAVO, Infinity);
    const raised = await samplesOf(metrics);
    expect(raised.get("spire_up")).toBe(0);
    expect(raised.get("connected_peers")).toBe(3);
    expect(raised.get('findings{code="FORK"}')).toBe(2);
    expect(raised.get('findings{code="CONTESTED"}')).toBe(1);
    expect(raised.get("own_record_sequence_number")).toBe(41);
    expect(raised.get('row_proven_equal_age_seconds{trust_domain_id="alpha.test"}')).toBe(12.5);
    expect(raised.get('row_proven_equal_age_seconds{trust_domain_id="bravo.test"}')).toBe(Infinity);
    states.codes = [];
    states.ages.delete(ALPHA);
    const cleared = await samplesOf(metrics);
    expect(cleared.get('findings{code="FORK"}')).toBe(0);
    expect(cleared.has('row_proven_equal_age_seconds{trust_domain_id="alpha.test"}')).toBe(false);
  });

  test("drop a trust domain that was forgotten", async () => {
    const metrics = createMetrics(new States());
    metrics.recordAccepted(ALPHA);
    metrics.recordAccepted(BRAVO);
    metrics.forget(ALPHA);
    const text = await metrics.text();
    expect(text).not.toContain("alpha.test");
    expect(text).toContain("bravo.test");
  });

  test("take trust domains above ten thousand together, the worst of them first", async () => {
    const states = new States();
    const metrics = createMetrics(states);
    for (let index = 0; index < DOMAINS_MAX + 5; index += 1) {
      const trustDomain = `d${index}.test` as TrustDomain;
      metrics.recordAccepted(trustDomain);
      states.ages.set(trustDomain, index);
    }
    const samples = await samplesOf(metrics);
    const labelled = [...samples.keys()].filter((name) =>
      name.startsWith("records_accepted_total"),
    );
    expect(labelled).toHaveLength(DOMAINS_MAX + 1);
    expect(samples.get('records_accepted_total{trust_domain_id="(other)"}')).toBe(5);
    expect(samples.get('row_proven_equal_age_seconds{trust_domain_id="(other)"}')).toBe(
      DOMAINS_MAX + 4,
    );
    metrics.forget("d0.test" as TrustDomain);
    metrics.recordAccepted("late.test" as TrustDomain);
    expect(await metrics.text()).toContain("late.test");
  });

  test("tell the process apart from the mesh by its usual names", async () => {
    const text = await createMetrics(new States()).text();
    expect(text).toContain("\nprocess_resident_memory_bytes ");
    expect(text).toContain("\nprocess_open_fds ");
  });

  test("of one daemon are not those of another in the same process", async () => {
    const [one, other] = [createMetrics(new States()), createMetrics(new States())];
    one.recordAccepted(ALPHA);
    expect(await other.text()).not.toContain("alpha.test");
  });
});
