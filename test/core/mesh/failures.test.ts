/** Each failure of an operator's order is provoked, shown to change nothing, and can be repeated. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Failure } from "../../../src/core/mesh/effect.ts";
import type { FindingCode } from "../../../src/core/mesh/finding.ts";
import type { RowOutcome } from "../../../src/core/mesh/row-order.ts";
import { bundleOf, untainted } from "../../arbitraries/record.ts";
import { TestDaemon } from "./daemon.ts";
import { alpha, bravo, charlie, following, held, holding } from "./refusal-scenarios.ts";

const { trustDomain } = alpha;
const unread = async (): Promise<TestDaemon> => await TestDaemon.start(bravo);
const foreign = { ...bundleOf(held.state), x509Authorities: [untainted(alpha.newCa())] };

interface Scenario {
  readonly daemon: () => Promise<TestDaemon>;
  /** The order as it fails. */
  readonly fails: (daemon: TestDaemon) => string;
  readonly raises?: FindingCode;
  /** Its cause goes, and the order is given again. */
  readonly passes: (daemon: TestDaemon) => string;
}

function forget(daemon: TestDaemon, outcome?: RowOutcome): string {
  const said = daemon.forget(trustDomain);
  if (daemon.orders.length === 0) return said;
  daemon.endRow(outcome);
  return lastAnswer(daemon);
}

function exportOwn(daemon: TestDaemon): string {
  daemon.ask((ticket) => ({ kind: "export-asked", ticket }));
  if (daemon.signing.length > 0) daemon.sign();
  return lastAnswer(daemon);
}

function lastAnswer(daemon: TestDaemon): string {
  const answer = daemon.answerOf(daemon.lastTicket);
  return answer?.kind === "failed" ? answer.failure : `${answer?.kind}`;
}

const SCENARIOS: Readonly<Record<Failure, Scenario>> = {
  NOT_FOUND: {
    daemon: unread,
    fails: (daemon) => daemon.pin(charlie.trustDomain, charlie.genesis.idHex),
    passes: (daemon) => {
      daemon.import(charlie.genesis);
      return daemon.pin(charlie.trustDomain, charlie.genesis.idHex);
    },
  },
  NOT_READY: {
    daemon: unread,
    fails: exportOwn,
    passes: (daemon) => {
      daemon.readBundle(bundleOf(bravo.genesis.state));
      return exportOwn(daemon);
    },
  },
  ROW_NOT_OURS: {
    daemon: unread,
    fails: (daemon) => daemon.import(held, { row: foreign }),
    passes: (daemon) => daemon.import(held, { row: undefined }),
  },
  ROW_IN_USE: {
    daemon: holding,
    fails: (daemon) => forget(daemon, { kind: "refused", status: 9, message: "in use" }),
    passes: (daemon) => forget(daemon),
  },
  SPIRE_REFUSED: {
    daemon: holding,
    fails: (daemon) => forget(daemon, { kind: "refused", status: 7, message: "denied" }),
    passes: (daemon) => forget(daemon),
  },
  SPIRE_UNREACHABLE: {
    daemon: holding,
    fails: (daemon) => forget(daemon, { kind: "away", message: "no answer in time" }),
    passes: (daemon) => forget(daemon),
  },
  CANNOT_CREATE: {
    daemon: holding,
    fails: (daemon) => {
      Object.assign(daemon.disk, { fails: true, failure: "CANNOT_CREATE" });
      return daemon.pin(trustDomain, following.idHex);
    },
    raises: "STORE_FAILED",
    passes: (daemon) => {
      daemon.disk.fails = false;
      return daemon.pin(trustDomain, following.idHex);
    },
  },
  STORE_FULL: {
    daemon: holding,
    fails: (daemon) => {
      daemon.disk.fails = true;
      return daemon.pin(trustDomain, following.idHex);
    },
    raises: "STORE_FAILED",
    passes: (daemon) => {
      daemon.disk.fails = false;
      return daemon.pin(trustDomain, following.idHex);
    },
  },
};

/** What a restart would find, and what is held and approved now. */
function remembered({ state, disk }: TestDaemon): unknown {
  const partners = [...state.partners.values()].map(({ pin, slot, forgetting }) => {
    return { pin, slot, forgetting };
  });
  return structuredClone({
    partners,
    own: state.own.slot,
    domains: disk.domains,
    pins: disk.pins,
  });
}

describe.each(Object.entries(SCENARIOS))(
  "%s",
  (failure, { fails, passes, raises, ...scenario }) => {
    let daemon: TestDaemon;
    beforeAll(async () => {
      daemon = await scenario.daemon();
      daemon.sync();
      daemon.readRows(bundleOf(held.state));
      daemon.nowMs += 1; // Or a time that is noted anew would look like the old one.
    });

    test("changes nothing", () => {
      const before = remembered(daemon);
      expect(daemon.findings).toEqual([]);
      expect(fails(daemon)).toBe(failure);
      expect(remembered(daemon)).toEqual(before);
      expect(daemon.findings).toEqual(raises === undefined ? [] : [raises]);
      expect([...daemon.orders, ...daemon.signing]).toEqual([]);
    });

    test("passes once its cause is gone", () => {
      expect(["done", "exported", "taken"]).toContain(passes(daemon));
      expect(daemon.findings.filter((code) => code !== "PIN_AWAITED")).toEqual([]);
    });
  },
);
