import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RowOutcome } from "../../../src/core/mesh/row-order.ts";
import { rowDigest } from "../../../src/core/mesh/rows.ts";
import type { TrustBundle } from "../../../src/core/spiffe/trust-bundle.ts";
import { sha256Hex } from "../../../src/core/std/sha256.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import {
  NOW_S,
  type TestRecord,
  bundleOf,
  makePublisher,
  makeRecord,
  tainted,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon, type TestDaemonOptions, TestDisk, listed, ofKind, told } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { genesis, trustDomain } = alpha;
const withTwo = alpha.next(genesis, {
  x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())],
});
const sameAgain = alpha.next(withTwo);
/** Twelve records whose content goes back and forth: what was never trusted may come back. */
const backAndForth = [genesis];
const never = [untainted(alpha.ca), tainted(alpha.newCa())];
for (let change = 1; change < 12; change += 1) {
  const x509Authorities = change % 2 === 0 ? genesis.state.x509Authorities : never;
  backAndForth.push(alpha.next(backAndForth.at(-1) ?? genesis, { x509Authorities }));
}
const withThree = alpha.next(withTwo, {
  x509Authorities: [...withTwo.state.x509Authorities, untainted(alpha.newCa())],
});
/** What somebody else wrote. */
const foreign: TrustBundle = {
  ...bundleOf(genesis.state),
  x509Authorities: [untainted(makeAuthority({ trustDomain }))],
};
const overwritten: RowOutcome = { kind: "different", found: foreign };
const refused: RowOutcome = { kind: "refused", status: 3, message: "malformed" };

function contentOf({ state }: TestRecord): string {
  return rowDigest(bundleOf(state));
}

/** Bravo's daemon with alpha imported and its row written. */
async function keeping(record: TestRecord = genesis, disk = new TestDisk()): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo, { disk });
  daemon.import(record);
  daemon.endRow();
  return daemon;
}

/** Bravo's daemon started again on what it had stored. */
async function restarted(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const disk = new TestDisk();
  await keeping(genesis, disk);
  return await TestDaemon.start(bravo, { disk, ...options });
}

describe("rows that cannot be read", () => {
  const unread = { kind: "rows-unread", reason: "permission denied" } as const;

  test("are found until they are read", async () => {
    const daemon = await keeping();
    const sinceMs = daemon.nowMs;
    expect(told(daemon.send(unread))).toEqual(["finding-raised"]);
    expect(daemon.findings).toEqual(["ROWS_UNREAD"]);
    daemon.wait(60);
    expect(told(daemon.send({ ...unread, reason: "no answer" }))).toEqual([]);
    const [finding] = daemon.state.findings.values();
    expect(finding).toMatchObject({ severity: "warning", trustDomain: undefined, sinceMs });
    expect(told(daemon.readRows(bundleOf(genesis.state)))).toEqual(["finding-cleared"]);
    expect(daemon.findings).toEqual([]);
  });

  test("because SPIRE is away are no finding of their own", async () => {
    const daemon = await keeping();
    const next = "Run the daemon as SPIRE Server's user.";
    daemon.send(unread);
    daemon.send({ kind: "spire-away", reason: "no permission", next });
    expect(told(daemon.send(unread))).toEqual([]);
    expect([...daemon.state.findings.values()]).toMatchObject([
      { code: "SPIRE_UNREACHABLE", message: "no permission", next },
    ]);
    daemon.send({ kind: "spire-back" });
    expect(daemon.findings).toEqual([]);
    daemon.send({ ...unread, next });
    expect([...daemon.state.findings.values()]).toMatchObject([{ code: "ROWS_UNREAD", next }]);
  });

  test("are written nevertheless when their record changes", async () => {
    const daemon = await keeping();
    daemon.send(unread);
    daemon.receive(withTwo);
    expect(daemon.orders).toMatchObject([{ bundle: bundleOf(withTwo.state) }]);
  });
});

describe("a row is written", () => {
  test("once for each change, and once read back it is left alone", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.import(genesis);
    expect(daemon.orders).toEqual([{ kind: "set", trustDomain, bundle: bundleOf(genesis.state) }]);
    const events = ofKind(daemon.endRow(), "tell").map(({ event }) => event);
    const x509Sha256 = [sha256Hex(alpha.ca.der)];
    expect(events).toEqual([
      {
        kind: "bundle-written",
        trustDomain,
        sequenceNumber: 1n,
        x509Sha256,
        overwritten: undefined,
      },
    ]);
    daemon.readRows(bundleOf(genesis.state));
    daemon.readRows({ ...bundleOf(genesis.state), sequenceNumber: 77n });
    daemon.wait(60);
    expect(daemon.orders).toEqual([]);
    daemon.receive(withTwo);
    daemon.endRow();
    expect(ofKind(daemon.effects, "order-row")).toHaveLength(2);
  });

  test("not at all when SPIRE has it already", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.import(genesis, { row: { ...bundleOf(genesis.state), sequenceNumber: 9n } });
    daemon.readRows(bundleOf(genesis.state));
    expect(daemon.orders).toEqual([]);
    expect(daemon.partner(trustDomain).row.provenEqualAtMs).toBe(daemon.nowMs);
  });

  test("not for a higher sequence, nor for taint: SPIRE cannot say it", async () => {
    const daemon = await keeping(withTwo);
    daemon.receive(sameAgain);
    const [first, ...others] = withTwo.state.x509Authorities;
    const isOurs = first !== undefined && sha256Hex(first.der) === sha256Hex(alpha.ca.der);
    const other = isOurs ? others : [first ?? untainted(alpha.ca)];
    const x509Authorities = [
      untainted(alpha.ca),
      ...other.map(({ der }) => ({ der, tainted: true })),
    ];
    expect(daemon.receive(alpha.next(sameAgain, { x509Authorities }))).toBe("taken");
    expect(daemon.orders).toEqual([]);
  });

  test("again when it is gone or other than it shall be", async () => {
    const daemon = await keeping();
    daemon.readRows();
    expect(daemon.orders).toHaveLength(1);
    daemon.endRow();
    daemon.readRows(foreign);
    expect(daemon.orders).toMatchObject([{ bundle: { sequenceNumber: 1n } }]);
  });

  test("without what has expired meanwhile, when the rows are read", async () => {
    const short = makeAuthority({ trustDomain, notAfterS: NOW_S + 30 });
    const record = makeRecord(
      { ...genesis.state, x509Authorities: [untainted(alpha.ca), untainted(short)] },
      [{ node: alpha.node, svids: [alpha.svid] }],
    );
    const daemon = await keeping(record);
    daemon.nowMs += 31_000;
    daemon.readRows(bundleOf(record.state));
    expect(daemon.orders).toMatchObject([{ bundle: { x509Authorities: [untainted(alpha.ca)] } }]);
  });

  test("never for a domain that somebody else keeps", async () => {
    const daemon = await TestDaemon.start(bravo, { unmanaged: [trustDomain] });
    expect(daemon.import(genesis)).toBe("taken");
    daemon.readRows(foreign);
    daemon.receive(withTwo);
    daemon.wait(20);
    expect(daemon.orders).toEqual([]);
  });

  test("only the newest: an order that another replaced ends without a word", async () => {
    const daemon = await keeping();
    daemon.receive(withTwo);
    daemon.receive(withThree);
    expect(daemon.orders).toHaveLength(2);
    daemon.endRow({ kind: "superseded" });
    expect(daemon.orders).toHaveLength(1);
    daemon.readRows(foreign); // Read while the newest is under way: says nothing.
    expect(daemon.orders).toHaveLength(1);
    daemon.endRow();
    daemon.readRows(bundleOf(withThree.state));
    expect(daemon.orders).toEqual([]);
    expect(daemon.partner(trustDomain).row.rewritesMs).toEqual([]);
  });

  test("as the newest record says, when an older order ends late", async () => {
    const daemon = await keeping();
    daemon.receive(withTwo);
    daemon.receive(withThree);
    daemon.endRow();
    expect(daemon.orders).toMatchObject([{ bundle: { sequenceNumber: 3n } }]);
    daemon.endRow();
    expect(daemon.orders).toEqual([]);
    expect(daemon.partner(trustDomain).row.rewritesMs).toEqual([]);
  });
});

describe("after a start nothing is written", () => {
  test("before the rows were read", async () => {
    const daemon = await restarted();
    daemon.sync();
    expect(daemon.orders).toEqual([]);
    daemon.readRows();
    expect(daemon.orders).toHaveLength(1);
  });

  test("before the first sync with a peer is over", async () => {
    const daemon = await restarted();
    daemon.readRows();
    daemon.wait(9);
    daemon.receive(withTwo);
    expect(daemon.orders).toEqual([]);
    daemon.sync();
    expect(daemon.orders).toMatchObject([{ bundle: { sequenceNumber: 2n } }]);
  });

  test("before 10 s, when no peer is there", async () => {
    const daemon = await restarted();
    daemon.readRows();
    daemon.wait(9);
    expect(daemon.orders).toEqual([]);
    daemon.wait(1);
    expect(daemon.orders).toHaveLength(1);
    daemon.wait(30);
    expect(daemon.orders).toHaveLength(1);
  });
});

describe("a row that somebody else overwrites", () => {
  test("is written three times more in 10 min, then left alone", async () => {
    const daemon = await keeping();
    for (let rewrite = 1; rewrite <= 3; rewrite += 1) {
      daemon.nowMs += 60_000;
      daemon.readRows(foreign);
      expect(daemon.orders, `rewrite ${rewrite}`).toHaveLength(1);
      daemon.endRow();
    }
    daemon.readRows(foreign);
    expect(daemon.orders).toEqual([]);
    expect(daemon.findings).toEqual(["CONTESTED"]);
    daemon.nowMs += 300_000;
    daemon.readRows(foreign);
    daemon.receive(alpha.next(genesis)); // Another record of the same content is no news to SPIRE.
    expect(daemon.orders).toEqual([]);
  });

  test("is told of from the first time on, with what was found and who may have done it", async () => {
    const daemon = await keeping();
    daemon.readRows(foreign);
    const over = {
      ...foreign,
      x509Authorities: [...genesis.state.x509Authorities, ...foreign.x509Authorities],
    };
    const told = ofKind(daemon.endRow({ kind: "equal", wrote: true, over }), "tell");
    expect(told).toMatchObject([
      {
        event: {
          kind: "bundle-written",
          overwritten: {
            foreignX509Sha256: foreign.x509Authorities.map(({ der }) => sha256Hex(der)),
            by: expect.stringContaining("another program"),
          },
        },
      },
    ]);
  });

  test("right after each write counts as well", async () => {
    const daemon = await keeping();
    daemon.readRows(foreign);
    daemon.endRow(overwritten);
    daemon.endRow(overwritten);
    daemon.endRow(overwritten);
    expect(daemon.orders).toEqual([]);
    expect(daemon.findings).toEqual(["CONTESTED"]);
  });

  test("a second after each write counts as often as it was written", async () => {
    const daemon = await keeping();
    daemon.readRows(foreign);
    for (let rewrite = 1; rewrite <= 3; rewrite += 1) {
      const [order] = daemon.orders;
      expect(order, `rewrite ${rewrite}`).toBeDefined();
      daemon.endRow();
      if (order !== undefined) daemon.send({ kind: "row-ended", order, outcome: overwritten });
    }
    expect(daemon.orders).toEqual([]);
    expect(daemon.findings).toEqual(["CONTESTED"]);
  });

  test("less often than that is written each time", async () => {
    const daemon = await keeping();
    for (let rewrite = 1; rewrite <= 12; rewrite += 1) {
      daemon.nowMs += 201_000;
      daemon.readRows(foreign);
      expect(daemon.orders, `rewrite ${rewrite}`).toHaveLength(1);
      daemon.endRow();
    }
    expect(daemon.findings).toEqual([]);
  });

  test("names the FederationRelationship that refreshes it", async () => {
    const daemon = await keeping();
    const fight = {
      kind: "rows-read",
      rows: listed([foreign]),
      relationships: [trustDomain],
    } as const;
    for (let rewrite = 0; rewrite < 3; rewrite += 1) {
      daemon.send(fight);
      daemon.endRow();
    }
    daemon.send(fight);
    const [finding] = daemon.state.findings.values();
    expect(finding?.message).toContain("FederationRelationship");
  });

  test("is no longer contested when an operator takes it over again", async () => {
    const daemon = await contested();
    expect(daemon.import(genesis, { replace: true })).toBe("unchanged");
    expect(daemon.findings).toEqual([]);
    for (let rewrite = 0; rewrite < 3; rewrite += 1) daemon.endRow(overwritten);
    expect(daemon.orders).toEqual([]);
    expect(daemon.findings).toEqual(["CONTESTED"]);
  });

  test("is no longer contested when it is as it shall be for 10 min", async () => {
    const daemon = await contested();
    daemon.readRows(bundleOf(genesis.state));
    daemon.nowMs += 599_000;
    daemon.readRows(bundleOf(genesis.state));
    expect(daemon.findings).toEqual(["CONTESTED"]);
    daemon.nowMs += 1_000;
    daemon.readRows(bundleOf(genesis.state));
    expect(daemon.findings).toEqual([]);
    daemon.readRows(foreign);
    expect(daemon.orders).toHaveLength(1);
  });
});

/** Bravo's daemon with a row that somebody else overwrites as often as it is written. */
async function contested(): Promise<TestDaemon> {
  const daemon = await keeping();
  daemon.readRows(foreign);
  for (let rewrite = 0; rewrite < 3; rewrite += 1) daemon.endRow(overwritten);
  expect(daemon.orders).toEqual([]);
  expect(daemon.findings).toEqual(["CONTESTED"]);
  return daemon;
}

describe("a contested row", () => {
  test("is written once in 10 min, and stays a finding meanwhile", async () => {
    const daemon = await contested();
    for (let round = 0; round < 4; round += 1) {
      daemon.nowMs += 599_000;
      daemon.readRows(foreign);
      expect(daemon.orders).toEqual([]);
      daemon.nowMs += 1_000;
      daemon.readRows(foreign);
      expect(daemon.orders).toHaveLength(1);
      daemon.endRow();
      daemon.readRows(foreign);
      expect(daemon.orders).toEqual([]);
      expect(daemon.findings).toEqual(["CONTESTED"]);
    }
    expect(told(daemon.effects).filter((kind) => kind.startsWith("finding"))).toHaveLength(1);
  });

  test("takes a revocation at once, and puts it back once in 10 min", async () => {
    const daemon = await keeping(withTwo);
    daemon.readRows(foreign);
    for (let rewrite = 0; rewrite < 3; rewrite += 1) daemon.endRow(overwritten);
    expect(daemon.findings).toEqual(["CONTESTED"]);
    const revoking = alpha.next(withTwo, { x509Authorities: [untainted(alpha.ca)] });
    expect(daemon.receive(revoking)).toBe("taken");
    expect(daemon.orders).toMatchObject([{ bundle: bundleOf(revoking.state) }]);
    daemon.endRow();
    daemon.readRows(foreign);
    expect(daemon.orders).toEqual([]);
    expect(daemon.findings).toEqual(["CONTESTED"]);
    daemon.nowMs += 600_000;
    daemon.readRows(foreign);
    expect(daemon.orders).toMatchObject([{ bundle: bundleOf(revoking.state) }]);
  });

  test("is one still when the new content was there for less than 10 min", async () => {
    const daemon = await contested();
    daemon.nowMs += 590_000;
    daemon.receive(withTwo);
    daemon.endRow();
    daemon.nowMs += 599_000;
    daemon.readRows(bundleOf(withTwo.state));
    expect(daemon.findings).toEqual(["CONTESTED"]);
    daemon.nowMs += 1_000;
    daemon.readRows(bundleOf(withTwo.state));
    expect(daemon.findings).toEqual([]);
  });

  test("that holds a new content stays a finding until it was left alone for 10 min", async () => {
    const daemon = await contested();
    daemon.receive(withTwo);
    daemon.endRow();
    daemon.nowMs += 599_000;
    daemon.readRows(bundleOf(withTwo.state));
    expect(daemon.findings).toEqual(["CONTESTED"]);
    daemon.nowMs += 1_000;
    daemon.readRows(bundleOf(withTwo.state));
    expect(daemon.findings).toEqual([]);
  });

  test("is written again when the clock is set back an hour", async () => {
    const daemon = await contested();
    daemon.nowMs -= 3_600_000;
    daemon.readRows(foreign);
    expect(daemon.orders).toHaveLength(1);
  });

  test.each<readonly [string, RowOutcome]>([
    ["SPIRE refused", { kind: "refused", status: 8, message: "rate limited" }],
    ["was not needed", { kind: "equal", wrote: false }],
  ])("had no write when it %s", async (_, outcome) => {
    const daemon = await contested();
    daemon.nowMs += 600_000;
    for (let round = 0; round < 3; round += 1) {
      daemon.readRows(foreign);
      expect(daemon.orders, `round ${round}`).toHaveLength(1);
      daemon.endRow(outcome);
    }
  });
});

describe("whatever a partner and another writer do together", () => {
  const windowMs = 600_000;
  const happening = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("overwrite", "end", "overwritten", "look") },
    { weight: 2, arbitrary: fc.constantFrom("restore", "remove", "refuse", "unneeded") },
    { weight: 3, arbitrary: fc.constantFrom("fight", "record") },
  );
  const wait = fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 200_000 }));
  const history = fc.array(fc.tuple(happening, wait), { maxLength: 120 });

  test("a new content is written at once, and three writes more in 10 min put one back", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (happenings) => {
        const daemon = await keeping();
        let held = genesis;
        /** What the row was when it was last as it should be. */
        let kept = contentOf(held);
        const changesMs = [daemon.nowMs];
        /** Each write, and whether it put back what the write before had written, contested by then. */
        const writes = [{ atMs: daemon.nowMs, sequence: 1n, isContested: false }];
        const recent = (atMs: number, spanMs = windowMs): boolean => daemon.nowMs - atMs < spanMs;
        const end = (outcome: RowOutcome): void => {
          const [order] = daemon.orders;
          if (order?.kind !== "set") return;
          if (outcome.kind !== "refused") kept = rowDigest(order.bundle);
          if (outcome.kind === "different" || (outcome.kind === "equal" && outcome.wrote)) {
            const isContested = daemon.findings.includes("CONTESTED");
            const sequence = order.bundle.sequenceNumber;
            writes.push({ atMs: daemon.nowMs, sequence, isContested });
          }
          daemon.endRow(outcome);
        };
        for (const [kind, waitMs] of happenings) {
          daemon.nowMs += daemon.orders.length > 0 ? waitMs / 200 : waitMs; // SPIRE answers soon.
          if (kind === "overwrite") daemon.readRows(foreign);
          else if (kind === "restore") {
            if (daemon.orders.length === 0) kept = contentOf(held);
            daemon.readRows(bundleOf(held.state));
          } else if (kind === "remove") daemon.readRows();
          else if (kind === "end") end({ kind: "equal", wrote: true });
          else if (kind === "overwritten") end(overwritten);
          else if (kind === "fight") while (daemon.orders.length > 0) end(overwritten);
          else if (kind === "unneeded") end({ kind: "equal", wrote: false });
          else if (kind === "refuse") {
            // What waits behind it as well: SPIRE's datastore is away.
            const away: RowOutcome = { kind: "refused", status: 13, message: "not now" };
            while (daemon.orders.length > 0) end(away);
          } else if (kind === "look" && daemon.orders.length === 0) {
            // The second look of an order that ended finds another row.
            const order = { kind: "set", trustDomain, bundle: bundleOf(held.state) } as const;
            daemon.send({ kind: "row-ended", order, outcome: overwritten });
          } else if (kind === "record") {
            const next = backAndForth[backAndForth.indexOf(held) + 1];
            if (next === undefined) continue;
            held = next;
            expect(daemon.receive(held)).toBe("taken");
            changesMs.push(daemon.nowMs);
            const newest = daemon.orders.at(-1);
            if (newest === undefined) expect(contentOf(held)).toBe(kept);
            else expect(newest.kind === "set" && rowDigest(newest.bundle)).toBe(contentOf(held));
          }
          supersede(daemon);
          const changes = changesMs.filter((atMs) => recent(atMs));
          const written = writes.filter(({ atMs }) => recent(atMs));
          // Two more: what was under way when these 10 min began, and what waited behind it.
          expect(written.length).toBeLessThanOrEqual(changes.length + 3 + 2);
          if (changesMs.some((atMs) => recent(atMs, 2 * windowMs))) continue;
          expect(written.length).toBeLessThanOrEqual(3);
          if (written.at(-1)?.isContested === true) expect(written).toHaveLength(1);
        }
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  test("a partner that goes back and forth gets one write for each record, and three in all", async () => {
    const daemon = await keeping();
    let writes = 1;
    for (const record of backAndForth.slice(1, 6)) {
      daemon.nowMs += 2_000;
      expect(daemon.receive(record)).toBe("taken");
      expect(daemon.orders).toMatchObject([{ bundle: bundleOf(record.state) }]);
      for (; daemon.orders.length > 0; writes += 1) daemon.endRow(overwritten);
    }
    expect(writes).toBe(6 + 3);
    expect(daemon.findings).toEqual(["CONTESTED"]);
  });
});

/** The newer of two orders that wait stands, as in spire/row-writer. The first one is under way. */
function supersede(daemon: TestDaemon): void {
  while (daemon.orders.length > 2) {
    const [order] = daemon.orders.splice(1, 1);
    if (order === undefined) return;
    daemon.send({ kind: "row-ended", order, outcome: { kind: "superseded" } });
  }
}

describe("a row that SPIRE refuses", () => {
  test("is tried again with other content", async () => {
    const daemon = await keeping();
    const { seen } = daemon.partner(trustDomain).row;
    daemon.receive(withTwo);
    expect(told(daemon.endRow(refused))).toEqual(["finding-raised"]);
    expect(daemon.findings).toEqual(["ROW_REFUSED"]);
    expect(daemon.partner(trustDomain).row.seen).toBe(seen); // What SPIRE has is what was read.
    daemon.readRows(bundleOf(genesis.state));
    daemon.receive(sameAgain);
    daemon.wait(60);
    expect(daemon.orders).toEqual([]);
    daemon.receive(alpha.next(sameAgain, { x509Authorities: withThree.state.x509Authorities }));
    expect(daemon.orders).toHaveLength(1);
    daemon.endRow();
    expect(daemon.findings).toEqual([]);
  });

  test.each([
    [
      "SPIRE was away",
      (daemon: TestDaemon) => {
        daemon.send({ kind: "spire-away", reason: "no answer" });
        daemon.send({ kind: "spire-back" });
      },
    ],
    ["ten minutes are over", (daemon: TestDaemon) => void daemon.wait(600)],
  ])("is tried again when %s", async (_, happen) => {
    const daemon = await keeping();
    daemon.receive(withTwo);
    daemon.endRow(refused);
    daemon.readRows(bundleOf(genesis.state));
    expect(daemon.orders).toEqual([]);
    happen(daemon);
    daemon.readRows(bundleOf(genesis.state));
    expect(daemon.orders).toHaveLength(1);
    daemon.endRow();
    expect(daemon.findings).toEqual([]);
  });

  test("for another reason than its content is tried at the next read, which is no fight", async () => {
    const daemon = await keeping();
    daemon.receive(withTwo);
    for (let round = 0; round < 5; round += 1) {
      daemon.endRow({ kind: "refused", status: 8, message: "rate limited" });
      expect(daemon.orders).toEqual([]);
      daemon.readRows(bundleOf(genesis.state));
      expect(daemon.orders).toHaveLength(1);
    }
    daemon.endRow();
    expect(daemon.findings).toEqual([]);
  });

  test("when a newer order is under way already is not ordered twice", async () => {
    const daemon = await keeping();
    daemon.receive(withTwo);
    daemon.receive(withThree);
    daemon.endRow({ kind: "refused", status: 8, message: "rate limited" });
    daemon.readRows(bundleOf(genesis.state));
    expect(daemon.orders).toMatchObject([{ bundle: { sequenceNumber: 3n } }]);
  });

  test("is no finding any more when it is there as it shall be", async () => {
    const daemon = await keeping();
    daemon.receive(withTwo);
    daemon.endRow(refused);
    daemon.readRows(bundleOf(withTwo.state));
    expect(daemon.findings).toEqual([]);
    daemon.readRows(foreign);
    expect(daemon.orders).toHaveLength(1);
  });
});

describe("a row whose authorities have all expired", () => {
  const short = makeAuthority({ trustDomain, notAfterS: NOW_S + 30 });
  const svid = alpha.mint(short);
  const record = makeRecord({ ...genesis.state, x509Authorities: [untainted(short)] }, [
    { node: alpha.node, svids: [svid] },
  ]);

  test("stays as it was written, and says so until there is a living one", async () => {
    const daemon = await keeping(record);
    daemon.nowMs += 20_000;
    const living = [untainted(alpha.ca), tainted(short)];
    const next = alpha.next(record, { x509Authorities: living }, [svid, alpha.svid]);
    daemon.nowMs += 11_000;
    daemon.readRows(bundleOf(record.state));
    expect(daemon.orders).toEqual([]);
    expect(daemon.findings).toEqual(["AUTHORITIES_EXPIRED"]);
    // What follows is signed under keys that were thrown away: only a person may name it.
    expect(daemon.receive(next)).toBe("HELD_EXPIRED");
    expect(daemon.findings).toEqual(["AUTHORITIES_EXPIRED", "CONTINUITY_GAP"]);
    daemon.pin(trustDomain, next.idHex);
    expect(daemon.receive(next)).toBe("taken");
    expect(daemon.findings).toEqual([]);
    expect(daemon.orders).toMatchObject([{ bundle: { x509Authorities: [untainted(alpha.ca)] } }]);
  });
});
