/**
 * Each refusal is provoked, by every carrier that can bring it, and shown to change nothing: not the
 * state, not the disk, not SPIRE, not what is told to peers; and an honest record is taken afterwards.
 * Budgets and parked records are meant to move; both are outside `snapshot` and judged by
 * metering.test.ts.
 */
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Effect } from "../../../src/core/mesh/effect.ts";
import { REFUSALS, type RefusalCode } from "../../../src/core/record/refusal.ts";
import { bundleOf, makePublisher } from "../../arbitraries/record.ts";
import { TestDaemon } from "./daemon.ts";
import {
  CARRIERS,
  type Carrier,
  type RecordRefusal,
  SCENARIOS,
  type Scenario,
  alpha,
  bravo,
  charlie,
  following,
  held,
  holding,
} from "./refusal-scenarios.ts";

const codes = Object.keys(SCENARIOS) as readonly RecordRefusal[];
const cases = codes.flatMap((code) =>
  (SCENARIOS[code].by ?? CARRIERS).map((carrier) => [code, carrier, SCENARIOS[code]] as const),
);

/** Everything that a restart would find. */
function onDisk({ disk }: TestDaemon): unknown {
  return structuredClone({ domains: disk.domains, pins: disk.pins });
}

function bring(
  daemon: TestDaemon,
  record: ReturnType<Scenario["record"]>,
  carrier: Carrier,
  { from, fingerprint }: Pick<Scenario, "from" | "fingerprint"> = {},
): string {
  if (carrier !== "file") return daemon.receive(record, carrier, from);
  return daemon.import({ ...following, ...record }, { fingerprint });
}

/** Effects in words; what is told by the name of the event or the finding. */
function inWords(effects: readonly Effect[]): readonly string[] {
  return effects.map((effect) => {
    if (effect.kind !== "tell") return effect.kind;
    const { event } = effect;
    return event.kind === "finding-raised" ? event.finding.code : event.kind;
  });
}

/** What a refusal may do: answer, tell, and what its scenario says. */
function allowed(
  scenario: Scenario,
  code: RefusalCode,
  carrier: Carrier,
  isFirstTime = true,
): readonly string[] {
  const isPartners = REFUSALS[code] === "ignore" && !BEFORE_PARTNER.has(code);
  const raised = isFirstTime ? raisedBy(scenario, carrier) : [];
  return [
    // The operator says where the partner is; that is worth a try whatever becomes of the record.
    ...(carrier === "file" && isPartners ? ["dial"] : []),
    ...(scenario.reachesStore ? ["store-domain"] : []),
    "answer",
    "record-refused",
    ...raised,
  ];
}

function raisedBy(
  { raises, raisedBy: carriers = CARRIERS, parks }: Scenario,
  carrier: Carrier,
): readonly string[] {
  const isParked = parks === true && carrier === "gossip";
  return raises === undefined || isParked || !carriers.includes(carrier) ? [] : [raises];
}

/** Refusals of a file that come before it is known to be a partner's. */
const BEFORE_PARTNER: ReadonlySet<RefusalCode> = new Set([
  "TRUST_DOMAIN_UNKNOWN",
  "OWN_TRUST_DOMAIN",
  "FINGERPRINT_MISMATCH",
]);

describe.each(cases)("%s by %s", (code, carrier, scenario) => {
  let daemon: TestDaemon;
  let refused: () => string;
  beforeAll(async () => {
    daemon = await (scenario.daemon ?? holding)();
    scenario.before?.(daemon);
    daemon.nowMs += 1; // Or a time that is noted anew would look like the old one.
    const record = scenario.record();
    refused = () => bring(daemon, record, carrier, scenario);
  });

  test("changes nothing, and says no more than that", () => {
    const before = { state: daemon.snapshot(), disk: onDisk(daemon), findings: daemon.findings };
    const wasParked = daemon.state.parked.has(alpha.trustDomain);
    const { orders, signing, effects } = daemon;
    const counts = [orders.length, signing.length, effects.length];
    expect(refused()).toBe(code);
    expect(daemon.snapshot()).toEqual(before.state);
    expect(onDisk(daemon)).toEqual(before.disk);
    const isParked = scenario.parks === true && carrier === "gossip";
    expect(daemon.state.parked.has(alpha.trustDomain)).toBe(wasParked || isParked);
    expect([orders.length, signing.length]).toEqual(counts.slice(0, 2));
    expect(inWords(effects.slice(counts[2]))).toEqual(allowed(scenario, code, carrier));
    const raised = raisedBy(scenario, carrier);
    expect(daemon.findings).toEqual([...before.findings, ...raised].sort());
  });

  test("is refused again as it was, and nothing is told twice", () => {
    const before = { state: daemon.snapshot(), findings: daemon.findings };
    const count = daemon.effects.length;
    expect(refused()).toBe(code);
    expect(daemon.snapshot()).toEqual(before.state);
    expect(daemon.findings).toEqual(before.findings);
    expect(inWords(daemon.effects.slice(count))).toEqual(allowed(scenario, code, carrier, false));
  });

  test("leaves the way open for an honest record", () => {
    scenario.after?.(daemon);
    daemon.nowMs += 1_000; // What the node's budget earns in a second is enough.
    const { honest = following } = scenario;
    expect(bring(daemon, honest, carrier)).toBe("taken");
    expect(daemon.stored(alpha.trustDomain)?.held.recordId).toBe(honest.idHex);
  });
});

/** Whether gossipsub would reject what is answered so. */
function isReject(said: string): boolean {
  return codes.some((code) => code === said && REFUSALS[code] === "reject");
}

/** Daemons that know different things, years apart. */
async function worlds(): Promise<readonly (readonly [string, TestDaemon])[]> {
  const YEAR_MS = 365 * 86_400_000;
  const stranger = makePublisher("delta.test");
  const alone = await TestDaemon.start(stranger);
  const other = await TestDaemon.start(stranger);
  other.import(charlie.genesis);
  const ahead = await holding();
  ahead.receive(following);
  ahead.receive(alpha.next(following));
  const ofAlpha = await TestDaemon.start(alpha);
  ofAlpha.exportOwn(bundleOf(alpha.genesis.state));
  const years = [-20, -1, 1, 20];
  const clocks = years.map(async (year) => {
    const daemon = await holding();
    daemon.nowMs += year * YEAR_MS;
    return [`${year} years from now`, daemon] as const;
  });
  return [
    ["knows nobody", alone],
    ["knows others", other],
    ["holds it", await holding()],
    ["holds more", ahead],
    ["is the domain's own", ofAlpha],
    ...(await Promise.all(clocks)),
  ];
}

describe("the verdict on gossip", () => {
  let daemons: readonly (readonly [string, TestDaemon])[];
  beforeAll(async () => {
    daemons = await worlds();
  });

  const rejected = codes.filter((code) => REFUSALS[code] === "reject");
  test.each(rejected)("%s is reject: every daemon says the same, whatever it knows", (code) => {
    const record = SCENARIOS[code].record();
    for (const [which, daemon] of daemons) {
      expect(daemon.receive(record, "gossip"), which).toBe(code);
    }
  });

  const ignored = codes.filter((code) => REFUSALS[code] === "ignore");
  test.each(ignored)("%s is ignore: another honest daemon says something else", (code) => {
    const record = SCENARIOS[code].record();
    const said = daemons.map(([, daemon]) => daemon.receive(record, "gossip"));
    expect(said.some((each) => each !== code)).toBe(true);
  });

  test("is the same for the same bytes when it is reject, and reject nowhere when not everywhere", () => {
    const envelopes = [held.envelope, following.envelope, bravo.genesis.envelope];
    const change = fc.record({
      envelope: fc.constantFrom(...envelopes),
      at: fc.nat(),
      byte: fc.integer({ min: 1, max: 255 }),
      cut: fc.option(fc.nat(64), { freq: 4 }),
    });
    fc.assert(
      fc.property(change, ({ envelope: whole, at, byte, cut }) => {
        const envelope = whole.slice(0, cut === null ? undefined : whole.length - cut);
        const place = at % envelope.length;
        envelope[place] = (envelope[place] ?? 0) ^ byte;
        const said = daemons.map(([, daemon]) => daemon.receive({ envelope }, "gossip"));
        const isRejected = said.some(isReject);
        expect(isRejected ? new Set(said).size : 1).toBe(1);
        expect(said).not.toContain("taken");
      }),
      { numRuns: 400 },
    );
  });
});
