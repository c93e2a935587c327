import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FINDINGS } from "../../../src/core/mesh/finding.ts";
import type { TrustBundle } from "../../../src/core/spiffe/trust-bundle.ts";
import { fromHex } from "../../../src/core/std/bytes.ts";
import { SPIRE_AUTHORITIES_MAX } from "../../../src/core/std/limits.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import {
  NOW_S,
  type Publisher,
  bundleOf,
  makeNodeKey,
  makePublisher,
  makeRecord,
  tainted,
  untainted,
} from "../../arbitraries/record.ts";
import { verdict, verified } from "../record/verdict.ts";
import { TestDaemon, type TestDaemonOptions, TestDisk, ofKind, told } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const { ca, genesis, newCa, mint, trustDomain } = alpha;
const first = bundleOf(genesis.state);

function bundleAt(
  sequenceNumber: bigint,
  ...x509Authorities: TrustBundle["x509Authorities"]
): TrustBundle {
  return { ...first, sequenceNumber, x509Authorities };
}

/** Alpha's daemon after its first export at sequence 1. */
async function exported(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(alpha, options);
  expect(daemon.exportOwn(first)?.kind).toBe("exported");
  return daemon;
}

const published = (daemon: TestDaemon): readonly Uint8Array[] =>
  ofKind(daemon.effects, "publish-record").map(({ envelope }) => envelope);
const sequence = (daemon: TestDaemon): bigint | undefined =>
  daemon.state.own.slot?.held.record.state.version.sequence;

describe("the first record", () => {
  test("is made by export alone", async () => {
    const daemon = await TestDaemon.start(alpha);
    daemon.readBundle(first);
    daemon.wait(60);
    expect(daemon.signing).toEqual([]);
    const answer = daemon.exportOwn(first);
    expect(answer).toMatchObject({ kind: "exported", recordId: genesis.idHex });
    expect(daemon.disk.idsOf(trustDomain)).toContain(genesis.idHex);
    expect(published(daemon)).toHaveLength(1);
  });

  test("is the same for everybody who asks, and made once", async () => {
    const daemon = await TestDaemon.start(alpha);
    daemon.readBundle(first);
    expect(daemon.ask((ticket) => ({ kind: "export-asked", ticket }))).toBeUndefined();
    expect(daemon.ask((ticket) => ({ kind: "export-asked", ticket }))).toBeUndefined();
    daemon.sign();
    const later = daemon.ask((ticket) => ({ kind: "export-asked", ticket }));
    expect(later).toMatchObject({ kind: "exported", recordId: genesis.idHex });
    expect(daemon.answerOf(1)).toEqual(later);
    expect(daemon.answerOf(2)).toEqual(later);
    expect(ofKind(daemon.effects, "sign-record")).toHaveLength(1);
  });

  test("is what a partner takes", async () => {
    const daemon = await exported();
    const [envelope = new Uint8Array()] = published(daemon);
    expect(verdict({ envelope }, undefined)).toBe("taken");
    const bravo = await TestDaemon.start(makePublisher("bravo.test"));
    expect(bravo.import({ ...genesis, envelope })).toBe("taken");
  });

  test.each<readonly [string, string, string | undefined, (daemon: TestDaemon) => unknown]>([
    ["before SPIRE was read", "NOT_READY", undefined, () => undefined],
    [
      "when SPIRE mints nothing",
      "SPIRE_REFUSED",
      FINDINGS.NO_USABLE_CA.next,
      (daemon) => daemon.kept.splice(0),
    ],
    [
      "when the disk is read-only",
      "CANNOT_CREATE",
      "mount it read-write",
      ({ disk }) =>
        Object.assign(disk, {
          fails: true,
          failure: "CANNOT_CREATE",
          next: "mount it read-write",
        }),
    ],
    [
      "when SPIRE has no untainted authority",
      "SPIRE_REFUSED",
      FINDINGS.NO_USABLE_CA.next,
      (daemon) => daemon.readBundle(bundleAt(2n, tainted(ca))),
    ],
    [
      "when SPIRE lists too much",
      "SPIRE_REFUSED",
      FINDINGS.STATE_TOO_BIG.next,
      (daemon) => daemon.readBundle(bundleAt(2n, ...manyAuthorities())),
    ],
    [
      "when partners would refuse it",
      "SPIRE_REFUSED",
      "check this host's clock against SPIRE Server's",
      (daemon) => (daemon.nowMs = 0),
    ],
  ])(
    "is not made %s, and who asked is told: %s, and what helps",
    async (name, code, next, prepare) => {
      const daemon = await TestDaemon.start(alpha);
      if (!name.startsWith("before")) daemon.readBundle(first);
      prepare(daemon);
      daemon.ask((ticket) => ({ kind: "export-asked", ticket }));
      if (daemon.signing.length > 0) daemon.sign();
      const answer = daemon.answerOf(daemon.lastTicket);
      expect(answer).toMatchObject({ kind: "failed", failure: code });
      const told = answer?.kind === "failed" ? answer.next : undefined;
      if (next === undefined) expect(told).toBeUndefined();
      else expect(told).toContain(next);
      expect(daemon.state.own.slot).toBeUndefined();
      expect(published(daemon)).toEqual([]);
    },
  );
});

function manyAuthorities(): TrustBundle["x509Authorities"] {
  const { keys } = ca;
  return Array.from({ length: 65 }, (_, index) =>
    untainted(makeAuthority({ trustDomain, keys, notAfterS: NOW_S + 3_600 + index })),
  );
}

describe("a change in SPIRE", () => {
  test("while the first record is signed becomes the second one", async () => {
    const daemon = await TestDaemon.start(alpha);
    daemon.readBundle(first);
    daemon.ask((ticket) => ({ kind: "export-asked", ticket }));
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign();
    daemon.sign();
    expect(sequence(daemon)).toBe(2n);
    expect(daemon.state.own.slot?.held.record.lineage).toEqual(genesis.id);
  });

  test("becomes a record that partners take: signed, stored, then published", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    const effects = daemon.sign();
    expect(effects.map(({ kind }) => kind)).toEqual([
      "store-domain",
      "publish-record",
      "tell",
      "announce-head",
      "mint-ahead",
    ]);
    const [, envelope = new Uint8Array()] = published(daemon);
    expect(verdict({ envelope }, verified(genesis))).toBe("taken");
    expect(sequence(daemon)).toBe(2n);
  });

  test("of the number alone is nothing new", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(9n, untainted(ca)));
    daemon.wait(60);
    expect(daemon.signing).toEqual([]);
    expect(daemon.findings).toEqual([]);
  });

  test("of a taint alone is new", async () => {
    const next = newCa();
    const daemon = await exported({ kept: [alpha.svid, mint(next)] });
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(next)));
    daemon.sign();
    daemon.readBundle(bundleAt(3n, tainted(ca), untainted(next)));
    daemon.sign();
    expect(sequence(daemon)).toBe(3n);
  });

  test("by prepare, activate, taint and revoke within one poll passes by both chains", async () => {
    const next = newCa();
    const daemon = await exported({ kept: [alpha.svid, mint(next)] });
    daemon.readBundle(bundleAt(5n, untainted(next)));
    daemon.sign();
    const [, envelope = new Uint8Array()] = published(daemon);
    const taken = verified({ envelope }, verified(genesis));
    expect(taken.blocks[0]?.block.chains).toHaveLength(2);
    expect(daemon.findings).toEqual([]);
  });

  test("that comes while another is signed follows right after it", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.readBundle(bundleAt(3n, untainted(ca), untainted(newCa())));
    daemon.sign();
    expect(sequence(daemon)).toBe(2n);
    daemon.sign();
    expect(sequence(daemon)).toBe(3n);
    expect(published(daemon)).toHaveLength(3);
  });

  test("without a kept SVID for the old authority is a gap, tried again until it is over", async () => {
    const next = newCa();
    const daemon = await exported();
    daemon.kept.splice(0, 1, mint(next));
    daemon.readBundle(bundleAt(2n, untainted(next)));
    daemon.sign();
    expect(daemon.findings).toEqual(["CONTINUITY_GAP"]);
    expect(sequence(daemon)).toBe(1n);
    daemon.wait(1);
    daemon.kept.push(alpha.svid);
    daemon.sign();
    expect(daemon.findings).toEqual([]);
    expect(sequence(daemon)).toBe(2n);
  });

  test("whose signature partners would refuse is not published", async () => {
    const daemon = await exported();
    daemon.kept.splice(0, 1, mint(ca, { spiffeId: "spiffe://alpha.test/other" }));
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign();
    expect(daemon.findings).toEqual(["CONTINUITY_GAP"]);
    expect(published(daemon)).toHaveLength(1);
    expect(sequence(daemon)).toBe(1n);
  });

  test("under which SPIRE mints nothing is said, and tried again", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign({ kind: "no-new-chain", problem: "SPIRE has no active CA" });
    expect(daemon.findings).toEqual(["NO_USABLE_CA"]);
    daemon.wait(1);
    daemon.sign();
    expect(daemon.findings).toEqual([]);
  });

  test("that leaves no untainted authority is not published", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, tainted(ca)));
    expect(daemon.signing).toEqual([]);
    expect(daemon.findings).toEqual(["NO_USABLE_CA"]);
    daemon.readBundle(bundleAt(3n, untainted(ca)));
    expect(daemon.findings).toEqual([]);
  });

  test("that does not fit into a record is not published", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, ...manyAuthorities()));
    expect(daemon.signing).toEqual([]);
    expect(daemon.findings).toEqual(["STATE_TOO_BIG"]);
    daemon.readBundle(first);
    expect(daemon.findings).toEqual([]);
  });

  test("to something that partners could not read leaves it out", async () => {
    const daemon = await exported();
    const broken = { der: fromHex("3000"), tainted: false };
    daemon.readBundle(bundleAt(2n, untainted(ca), broken));
    expect(daemon.signing).toEqual([]);
    expect(daemon.findings).toEqual(["AUTHORITY_UNPUBLISHABLE"]);
    daemon.readBundle(first);
    expect(daemon.findings).toEqual([]);
  });

  test("is not published while the disk is full, and is when there is room", async () => {
    const daemon = await exported();
    daemon.disk.fails = true;
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign();
    expect(daemon.findings).toEqual(["STORE_FAILED"]);
    expect(sequence(daemon)).toBe(1n);
    expect(published(daemon)).toHaveLength(1);
    daemon.disk.fails = false;
    daemon.wait(10);
    daemon.sign();
    expect(sequence(daemon)).toBe(2n);
    expect(daemon.findings).toEqual([]);
  });
});

/** So many authorities that no partner could read. */
function broken(count: number): TrustBundle["x509Authorities"] {
  return Array.from({ length: count }, (_, index) => ({
    der: Uint8Array.from([0x30, index & 255, index >> 8]),
    tainted: false,
  }));
}

describe("a bundle of SPIRE that cannot be published", () => {
  test.each([
    ["lists too much", "STATE_TOO_BIG", () => [untainted(ca), ...manyAuthorities()]],
    ["has no usable authority", "NO_USABLE_CA", () => [tainted(ca)]],
    ["went back", "SPIRE_WENT_BACK", () => [untainted(newCa())]],
  ])("because it %s is read once, however long it stays: %s", async (_, code, make) => {
    const daemon = await exported();
    const read = vi.spyOn(x509Proofs, "readCertificate");
    onTestFinished(() => read.mockRestore());
    const bundle = bundleAt(code === "SPIRE_WENT_BACK" ? 0n : 2n, ...make());
    daemon.readBundle(bundle);
    daemon.wait(60);
    expect(daemon.findings).toEqual([code]);
    expect(read).toHaveBeenCalledTimes(bundle.x509Authorities.length);
  });

  test("of more authorities than 8,192 is not read at all", async () => {
    const daemon = await exported();
    const read = vi.spyOn(x509Proofs, "readCertificate");
    onTestFinished(() => read.mockRestore());
    daemon.readBundle(bundleAt(2n, untainted(ca), ...broken(SPIRE_AUTHORITIES_MAX)));
    daemon.wait(60);
    expect(daemon.findings).toEqual(["STATE_TOO_BIG"]);
    expect(read).not.toHaveBeenCalled();
    daemon.readBundle(bundleAt(3n, untainted(ca), ...broken(SPIRE_AUTHORITIES_MAX - 1)));
    expect(daemon.findings).toEqual(["AUTHORITY_UNPUBLISHABLE"]);
    daemon.readBundle(bundleAt(4n, untainted(ca), untainted(newCa())));
    daemon.sign();
    expect(sequence(daemon)).toBe(4n);
    expect(daemon.findings).toEqual([]);
  });

  test("of too many authorities says nothing against an own record at its number", async () => {
    const daemon = await exported();
    const next = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });
    daemon.readBundle(bundleAt(2n, untainted(newCa())));
    daemon.readBundle(bundleAt(2n, ...broken(SPIRE_AUTHORITIES_MAX + 1)));
    daemon.wait(10);
    expect(daemon.receive(next)).toBe("taken");
  });

  test("names eight of the authorities that are left out, and counts the rest", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), ...broken(20)));
    const [finding] = daemon.state.findings.values();
    expect(finding?.message.match(/X\.509 authority/g)).toHaveLength(8);
    expect(finding?.message).toMatch(/ and 12 more$/);
  });

  test.each([
    ["was exported", true],
    ["was not exported yet", false],
  ])("is a finding until the next read is good, where the domain %s", async (_, isExported) => {
    const daemon = isExported ? await exported() : await TestDaemon.start(alpha);
    const bad = [
      ["NO_USABLE_CA", [tainted(ca)]],
      ["STATE_TOO_BIG", manyAuthorities()],
      ["AUTHORITY_UNPUBLISHABLE", [untainted(ca), ...broken(1)]],
    ] as const;
    for (const [code, authorities] of bad) {
      daemon.readBundle(bundleAt(2n, ...authorities));
      expect(daemon.findings).toEqual([code]);
      daemon.readBundle(first);
      expect(daemon.findings).toEqual([]);
    }
  });

  test("is no finding any more when it is good, though SPIRE went back", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(1n, untainted(newCa())));
    daemon.wait(10);
    daemon.readBundle(bundleAt(1n));
    expect(daemon.findings).toEqual(["NO_USABLE_CA", "SPIRE_WENT_BACK"]);
    daemon.readBundle(bundleAt(1n, untainted(newCa())));
    expect(daemon.findings).toEqual(["SPIRE_WENT_BACK"]);
  });

  test("does not end what a mint found", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign({ kind: "no-new-chain", problem: "SPIRE has no active CA" });
    daemon.readBundle(bundleAt(3n, untainted(ca), untainted(newCa())));
    expect(daemon.findings).toEqual(["NO_USABLE_CA"]);
  });
});

describe("a finding", () => {
  test("is 2,048 characters long at most", async () => {
    const daemon = await TestDaemon.start(alpha);
    daemon.send({ kind: "spire-away", reason: "x".repeat(100_000) });
    const [finding] = daemon.state.findings.values();
    expect(finding?.message).toBe(`${"x".repeat(2_048)}…`);
  });
});

describe("a node key that the own record does not list", () => {
  const other = { ...alpha, node: makeNodeKey() };

  test("is found at the start, and publishes nothing", async () => {
    const disk = new TestDisk();
    await exported({ disk });
    const daemon = await TestDaemon.start(other, { disk });
    expect(daemon.findings).toEqual(["NODE_NOT_LISTED"]);
    const [finding] = daemon.state.findings.values();
    expect(finding).toMatchObject({ severity: "critical", trustDomain: undefined });
    expect(told(daemon.effects)).toEqual(["finding-raised"]);
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sync();
    daemon.wait(60);
    if (daemon.signing.length > 0) daemon.sign();
    expect(published(daemon)).toEqual([]);
    expect(sequence(daemon)).toBe(1n);
    expect(daemon.findings).toContain("NODE_NOT_LISTED");
  });

  test("is none where no own record was made yet", async () => {
    const daemon = await TestDaemon.start(other);
    expect(daemon.findings).toEqual([]);
  });

  test("is found no more once it is back", async () => {
    const disk = new TestDisk();
    await exported({ disk });
    await TestDaemon.start(other, { disk });
    const daemon = await TestDaemon.start(alpha, { disk });
    expect(daemon.findings).toEqual([]);
  });
});

describe("signing", () => {
  test("while SPIRE is away is tried again, and is no missing CA", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign({ kind: "spire-away", problem: "connection refused" });
    expect(daemon.findings).toEqual([]);
    daemon.wait(1);
    daemon.sign();
    expect(sequence(daemon)).toBe(2n);
  });

  test("goes on when the clock is set back an hour", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
    daemon.sign({ kind: "spire-away", problem: "connection refused" });
    daemon.nowMs -= 3_600_000;
    daemon.wait(1);
    expect(daemon.signing).toHaveLength(1);
  });
});

describe("SPIRE with other authorities and no higher sequence", () => {
  test.each([0n, 1n])("at %s is waited for, and after 10 s it went back", async (number) => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(number, untainted(ca), untainted(newCa())));
    daemon.wait(9);
    expect(daemon.findings).toEqual([]);
    daemon.wait(1);
    expect(daemon.findings).toEqual(["SPIRE_WENT_BACK"]);
    daemon.wait(120);
    expect(daemon.signing).toEqual([]);
    daemon.readBundle(first);
    expect(daemon.findings).toEqual([]);
  });

  test("went back for good: what it counts on to may hold what was revoked", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(1n, untainted(ca), untainted(newCa())));
    daemon.wait(10);
    daemon.readBundle(bundleAt(5n, untainted(ca), untainted(newCa())));
    daemon.wait(60);
    expect(daemon.findings).toEqual(["SPIRE_WENT_BACK"]);
    expect(daemon.signing).toEqual([]);
  });

  test("is found again after a restart, until an operator confirms what SPIRE says", async () => {
    const disk = new TestDisk();
    const daemon = await exported({ disk });
    const changed = [untainted(ca), untainted(newCa())];
    daemon.readBundle(bundleAt(9n, ...changed));
    daemon.sign();
    const restarted = async (number: bigint): Promise<TestDaemon> => {
      const again = await TestDaemon.start(alpha, { disk });
      again.sync();
      again.readBundle(bundleAt(number, untainted(ca)));
      again.wait(10);
      return again;
    };
    for (const number of [5n, 9n]) {
      expect((await restarted(number)).findings).toEqual(["SPIRE_WENT_BACK"]);
    }
    expect(FINDINGS.SPIRE_WENT_BACK.next).toContain("`spire-mesh own confirm-restore`");
    const confirmed = await restarted(5n);
    const order = { kind: "confirm-restore" } as const;
    confirmed.ask((ticket) => ({ kind: "own-order-asked", ticket, order }));
    confirmed.sign();
    expect(confirmed.answerOf(confirmed.lastTicket)).toMatchObject({ kind: "taken" });
    expect(confirmed.findings).toEqual([]);
    const { version } = confirmed.state.own.slot?.effective.state ?? genesis.state;
    expect(version).toEqual({ epoch: 0, rev: 1, sequence: 5n });
  });

  test("for less than 10 s was a replica's cache", async () => {
    const daemon = await exported();
    const next = bundleAt(2n, untainted(ca), untainted(newCa()));
    daemon.readBundle(next);
    daemon.sign();
    daemon.readBundle(first);
    daemon.wait(8);
    daemon.readBundle(next);
    daemon.wait(8);
    daemon.readBundle(first);
    daemon.wait(8);
    expect(daemon.findings).toEqual([]);
    expect(daemon.signing).toEqual([]);
  });
});

describe("SPIRE with a lower sequence just before it went away", () => {
  test("is not judged while it is away, and has 10 s when it is back", async () => {
    const daemon = await exported();
    daemon.readBundle(bundleAt(0n, untainted(ca), untainted(newCa())));
    daemon.wait(5);
    daemon.send({ kind: "spire-away", reason: "connection refused" });
    daemon.wait(60);
    daemon.send({ kind: "spire-back" });
    daemon.wait(9);
    expect(daemon.findings).toEqual([]);
    daemon.wait(2);
    expect(daemon.findings).toEqual(["SPIRE_WENT_BACK"]);
  });
});

async function restarted(publisher: Publisher, disk: TestDisk): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(publisher, { disk });
  daemon.readBundle(bundleAt(2n, untainted(ca), untainted(newCa())));
  return daemon;
}

describe("a daemon that starts again", () => {
  test("holds what it published, and publishes the next at once when it has no partner", async () => {
    const disk = new TestDisk();
    const before = await exported({ disk });
    const daemon = await restarted(alpha, disk);
    expect(daemon.disk.idsOf(trustDomain)).toEqual(before.disk.idsOf(trustDomain));
    daemon.sign();
    expect(sequence(daemon)).toBe(2n);
  });

  test("waits for a peer, who may hold a higher own record, at most 10 s", async () => {
    const disk = new TestDisk();
    const before = await exported({ disk });
    before.import(makePublisher("bravo.test").genesis);
    const daemon = await restarted(alpha, disk);
    daemon.wait(9);
    expect(daemon.signing).toEqual([]);
    daemon.wait(1);
    expect(daemon.signing).toHaveLength(1);
    const other = await restarted(alpha, disk);
    expect(other.signing).toEqual([]);
    other.sync();
    expect(other.signing).toHaveLength(1);
  });
});

describe("an own record from a peer", () => {
  const second = alpha.next(genesis, {
    x509Authorities: [untainted(ca), untainted(newCa())],
  });
  const third = alpha.next(second, {
    x509Authorities: [...second.state.x509Authorities, untainted(newCa())],
  });
  const asRead = bundleOf(second.state);

  /** Alpha's daemon on a disk that is older than the mesh: it holds the first record. */
  async function behind(): Promise<TestDaemon> {
    const disk = new TestDisk();
    const before = await exported({ disk });
    before.import(makePublisher("bravo.test").genesis);
    return await TestDaemon.start(alpha, { disk });
  }

  test("that SPIRE confirms is adopted: stored, then answered, and not published again", async () => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    expect(daemon.receive(second)).toBe("taken");
    expect(sequence(daemon)).toBe(2n);
    expect(daemon.disk.idsOf(trustDomain)).toContain(second.idHex);
    daemon.sync();
    daemon.wait(20);
    expect(daemon.signing).toEqual([]);
    expect(daemon.findings).toEqual([]);
  });

  test("that cannot be stored is neither adopted nor answered as taken", async () => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    daemon.disk.fails = true;
    expect(daemon.receive(second)).toBe("STORE_FAILED");
    expect(sequence(daemon)).toBe(1n);
    expect(daemon.findings).toEqual(["STORE_FAILED"]);
  });

  test("below what SPIRE says, at a sequence that was never read here, is adopted", async () => {
    const daemon = await behind();
    daemon.readBundle(bundleOf(third.state));
    expect(daemon.receive(second)).toBe("taken");
    expect(sequence(daemon)).toBe(2n);
    daemon.sync();
    daemon.sign();
    expect(sequence(daemon)).toBe(3n);
  });

  test("between the held one and what SPIRE says is followed by what SPIRE says", async () => {
    const daemon = await behind();
    daemon.sync();
    daemon.readBundle({ ...first, sequenceNumber: 3n });
    expect(daemon.signing).toEqual([]);
    expect(daemon.receive(second)).toBe("taken");
    daemon.sign();
    expect(sequence(daemon)).toBe(3n);
    expect(daemon.state.own.slot?.held.record.state.x509Authorities).toEqual([untainted(ca)]);
  });

  test.each([
    ["another node", { nodes: [alpha.node.publicKey, makeNodeKey().publicKey] }],
    ["a removed node", { removed: [makeNodeKey().publicKey] }],
  ])("that adds %s is judged by its authorities alone, and adopted", async (_, change) => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    const { x509Authorities } = second.state;
    expect(daemon.receive(alpha.next(genesis, { ...change, x509Authorities }))).toBe("taken");
    expect(daemon.findings).toEqual([]);
    expect(sequence(daemon)).toBe(2n);
  });

  test("beside the own one, at a sequence that was never read here, is a fork: the next rev ends it", async () => {
    const daemon = await behind();
    daemon.readBundle({ ...asRead, sequenceNumber: 3n });
    expect(daemon.receive(second)).toBe("taken");
    const sibling = alpha.next(genesis);
    expect(daemon.receive(sibling)).toBe("taken");
    expect(daemon.disk.idsOf(trustDomain)).toEqual([second.idHex, sibling.idHex].sort());
    daemon.sync();
    daemon.sign();
    const { version, x509Authorities } = daemon.state.own.slot?.effective.state ?? genesis.state;
    expect(version).toEqual({ epoch: 0, rev: 1, sequence: 3n });
    expect(x509Authorities).toHaveLength(2);
    expect(daemon.disk.idsOf(trustDomain)).not.toContain(second.idHex);
  });

  test("ahead of SPIRE for 10 s is forged", async () => {
    const daemon = await behind();
    daemon.readBundle(first);
    expect(daemon.receive(second)).toBe("FORGED_OWN");
    daemon.wait(9);
    daemon.receive(second);
    expect(daemon.findings).toEqual([]);
    daemon.wait(1);
    expect(daemon.findings).toEqual(["FORGED_OWN"]);
    expect(sequence(daemon)).toBe(1n);
  });

  test("once found to be forged is said until a restart after the rotation, as the advice has it", async () => {
    const next = newCa();
    const disk = new TestDisk();
    const daemon = await exported({ disk, kept: [alpha.svid, mint(next)] });
    daemon.receive(second);
    daemon.wait(10);
    daemon.readBundle(bundleAt(2n, untainted(ca), untainted(next)));
    daemon.sign();
    daemon.readBundle(bundleAt(3n, untainted(next)));
    daemon.sign();
    daemon.wait(60);
    expect([daemon.findings, sequence(daemon)]).toEqual([["FORGED_OWN"], 3n]);
    const again = await TestDaemon.start(alpha, { disk });
    expect([again.receive(second), again.findings]).toEqual(["STALE", []]);
    expect(FINDINGS.FORGED_OWN.next).toContain("then restart this daemon");
  });

  test("ahead of SPIRE for less than 10 s is adopted when it comes again", async () => {
    const daemon = await behind();
    daemon.readBundle(first);
    expect(daemon.receive(second)).toBe("FORGED_OWN");
    daemon.wait(8);
    daemon.readBundle(asRead);
    daemon.wait(10);
    expect(daemon.findings).toEqual([]);
    expect(daemon.receive(second)).toBe("taken");
    expect(sequence(daemon)).toBe(2n);
  });

  test("before SPIRE was read is not judged", async () => {
    const daemon = await behind();
    expect(daemon.receive(second)).toBe("FORGED_OWN");
    daemon.wait(30);
    expect(daemon.findings).toEqual([]);
  });

  test("while SPIRE is away is not judged", async () => {
    const daemon = await behind();
    daemon.readBundle(first);
    daemon.receive(second);
    daemon.send({ kind: "spire-away", reason: "connection refused" });
    daemon.wait(60);
    expect(daemon.findings).toEqual(["SPIRE_UNREACHABLE"]);
  });

  const elsewhere = alpha.next(genesis, {
    x509Authorities: [untainted(ca), untainted(newCa())],
  });

  test("with other authorities than SPIRE said for 3 s is forged", async () => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    daemon.wait(3);
    expect(daemon.receive(elsewhere)).toBe("FORGED_OWN");
    expect(daemon.findings).toEqual(["FORGED_OWN"]);
    expect(sequence(daemon)).toBe(1n);
    expect(daemon.disk.idsOf(trustDomain)).not.toContain(elsewhere.idHex);
  });

  test("with other authorities than SPIRE said just now is judged 3 s later", async () => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    expect(daemon.receive(elsewhere)).toBe("FORGED_OWN");
    daemon.wait(2);
    expect(daemon.findings).toEqual([]);
    daemon.wait(1);
    expect(daemon.findings).toEqual(["FORGED_OWN"]);
  });

  test("that SPIRE confirms within 3 s after all was not forged", async () => {
    const daemon = await behind();
    daemon.readBundle({ ...bundleOf(elsewhere.state), sequenceNumber: 2n });
    expect(daemon.receive(second)).toBe("FORGED_OWN");
    daemon.wait(2);
    daemon.readBundle(asRead);
    daemon.wait(7);
    expect(daemon.findings).toEqual([]);
  });

  test("that takes a taint back is forged", async () => {
    const other = newCa();
    const lists = (taint: boolean): TrustBundle["x509Authorities"] => [
      untainted(ca),
      taint ? tainted(other) : untainted(other),
    ];
    const daemon = await behind();
    daemon.readBundle(bundleAt(2n, ...lists(true)));
    daemon.wait(3);
    expect(daemon.receive(alpha.next(genesis, { x509Authorities: lists(false) }))).toBe(
      "FORGED_OWN",
    );
    expect(daemon.findings).toEqual(["FORGED_OWN"]);
  });

  test("never takes the place of a higher one that came while it was signed", async () => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    daemon.sync();
    expect(daemon.signing).toHaveLength(1);
    daemon.readBundle(bundleOf(third.state));
    expect(daemon.receive(second)).toBe("taken");
    expect(daemon.receive(third)).toBe("taken");
    daemon.sign();
    expect(sequence(daemon)).toBe(3n);
    expect(daemon.state.own.slot?.base?.state.version).toEqual(second.state.version);
  });

  test.each([
    [
      "its own record, with an earlier block",
      "DUPLICATE",
      () => {
        const { node, svid } = alpha;
        return makeRecord(genesis.state, [{ node, svids: [svid], signedAtS: NOW_S - 1 }]);
      },
    ],
    ["a first record by somebody else", "WRONG_LINEAGE", () => makePublisher("alpha.test").genesis],
    [
      "one by a stranger's CA",
      "OLD_AUTHORITY_MISSING",
      () => alpha.next(genesis, {}, [mint(newCa())]),
    ],
  ])("is refused as %s: %s", async (_, code, make) => {
    const daemon = await behind();
    daemon.readBundle(first);
    const before = daemon.snapshot();
    expect(daemon.receive(make())).toBe(code);
    expect(daemon.snapshot()).toEqual(before);
  });

  test("is told as accepted", async () => {
    const daemon = await behind();
    daemon.readBundle(asRead);
    daemon.receive(second);
    expect(told(daemon.effects).at(-1)).toBe("record-accepted");
  });
});
