/**
 * Keys that have ended sign nothing that is dated before the held record, whatever is sent before it to
 * make their time come again. What they date after it is taken: who holds it knows no later time.
 */
import { describe, expect, test } from "vitest";
import { makeAuthority } from "../../arbitraries/authority.ts";
import {
  NOW_S,
  type TestRecord,
  makePublisher,
  makeRecord,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "./daemon.ts";

const HOUR_S = 3_600;
const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { ca, genesis, node, svid, mint, trustDomain, newCa } = alpha;

/** Listed still, as SPIRE lists authorities for a day after their end. */
const ended = makeAuthority({ trustDomain, notAfterS: NOW_S - 5 * HOUR_S });
const stolen = mint(ended);
const state = { ...genesis.state, x509Authorities: [untainted(ca), untainted(ended)] };
/** When the ended authority still lived. */
const THEN = { signedAtS: NOW_S - 6 * HOUR_S };
const LATELY = { signedAtS: NOW_S - HOUR_S };

const more = { x509Authorities: [...state.x509Authorities, untainted(newCa())] };
const evil = { x509Authorities: [untainted(newCa()), untainted(ended)] };

const newFirst = makeRecord(state, [{ node, svids: [svid], ...LATELY }]);
const oldFirst = makeRecord(state, [{ node, svids: [svid], ...THEN }]);
const second = alpha.next(oldFirst, more, [svid], LATELY);

/** What is held; what an ended authority signs to go before its record; and that record. */
const ATTACKS: [string, TestRecord[], TestRecord[], TestRecord][] = [
  [
    "a block of the first record",
    [newFirst],
    [makeRecord(state, [{ node, svids: [stolen], ...THEN }])],
    alpha.next(newFirst, evil, [stolen], THEN),
  ],
  [
    "a block of the second record, the first being as old",
    [oldFirst, second],
    [alpha.next(oldFirst, more, [stolen], THEN)],
    alpha.next(second, evil, [stolen], THEN),
  ],
  ["nothing", [oldFirst, second], [], alpha.next(oldFirst, evil, [stolen], THEN)],
];

describe.each(ATTACKS)(
  "an authority that has ended signs nothing new, with %s before it",
  (...attack) => {
    const [, [first = newFirst, ...held], before, record] = attack;

    test.each(["gossip", "sync"] as const)("by %s", async (carrier) => {
      const daemon = await TestDaemon.start(bravo);
      expect(daemon.import(first)).toBe("taken");
      daemon.endRow();
      for (const each of held) expect(daemon.receive(each)).toBe("taken");
      for (const each of [record, ...before, record]) {
        expect(daemon.receive(each, carrier)).toBe("SIGNED_TOO_EARLY");
      }
      expect(daemon.findings).toEqual([]);
    });
  },
);

describe("a stolen X509-SVID that ended 40 h ago, with the node key", () => {
  const ago = (hours: number): { signedAtS: number } => ({ signedAtS: NOW_S - hours * HOUR_S });
  const stolen = mint(ca, { notBeforeS: NOW_S - 50 * HOUR_S, notAfterS: NOW_S - 40 * HOUR_S });
  const theirs = { x509Authorities: [untainted(ca), untainted(newCa())] };
  const first = makeRecord(genesis.state, [{ node, svids: [svid], ...ago(48) }]);
  const second = alpha.next(first, { x509Authorities: [untainted(ca), untainted(newCa())] });

  test("signs the next record while the held one is from before its end", async () => {
    const daemon = await TestDaemon.start(bravo);
    expect(daemon.import(first)).toBe("taken");
    expect(daemon.receive(alpha.next(first, theirs, [stolen], ago(40)))).toBe("taken");
  });

  test("signs nothing on top of a record from 10 min after its end", async () => {
    const daemon = await TestDaemon.start(bravo);
    expect(daemon.import(first)).toBe("taken");
    expect(daemon.receive(second)).toBe("taken");
    const third = alpha.next(second, theirs, [stolen], ago(40));
    expect(daemon.receive(third)).toBe("SIGNED_TOO_EARLY");
  });
});
