/**
 * Whatever happens to an honest trust domain, who holds the record before takes the next; and nobody
 * takes it with anything in it that is not so.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type State, compareVersions } from "../../../src/core/record/state.ts";
import { readRecord } from "../../../src/core/record/verify.ts";
import { desiredRow } from "../../../src/core/policy/row.ts";
import { type Slot, signedAtLeastS } from "../../../src/core/resolver/slot.ts";
import { equalBytes } from "../../../src/core/std/bytes.ts";
import { CLOCK_SKEW_S, REV_JUMP_MAX } from "../../../src/core/std/limits.ts";
import { sha256 } from "../../../src/core/std/sha256.ts";
import {
  HAPPENINGS,
  type Happening,
  HonestDomain,
  type RecordParts,
  type Signer,
  START_S,
  happening,
} from "../../arbitraries/lineage.ts";

const happenings = fc.array(happening, { minLength: 1, maxLength: 24 });

/** Each record of a history, and what was held when it came. */
function walk(
  all: readonly Happening[],
  onStep: (domain: HonestDomain, before: Slot, parts: RecordParts, kind: string) => void,
): Slot {
  const domain = new HonestDomain();
  const { table } = domain;
  let slot = table.first(table.sign(domain.parts), START_S);
  for (const each of all) {
    const parts = domain.happen(each);
    if (parts === undefined) continue;
    onStep(domain, slot, parts, each.kind);
    const { slot: next, said } = table.receive(slot, table.sign(parts), domain.nowS);
    expect([each.kind, said]).toEqual([each.kind, "taken"]);
    slot = next;
  }
  return slot;
}

describe("an honest history", () => {
  test("is taken step by step, and the version only rises", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(happenings, (all) => {
        let last: State | undefined;
        walk(all, (_, before, { state }, kind) => {
          seen.add(kind);
          expect(compareVersions(state.version, before.held.record.state.version)).toBeGreaterThan(
            0,
          );
          if (last !== undefined)
            expect(compareVersions(state.version, last.version)).toBeGreaterThan(0);
          last = state;
        });
      }),
      { numRuns: 400 },
    );
    // Each of them did happen: two make no record by themselves.
    const silent = new Set(["activate", "backup"]);
    expect([...seen].toSorted()).toEqual(HAPPENINGS.filter((kind) => !silent.has(kind)).toSorted());
  });

  test("never puts into a row what the trust domain had taken back", () => {
    fc.assert(
      fc.property(happenings, (all) => {
        const gone = new Set<string>();
        let slot: Slot | undefined;
        const domain = new HonestDomain();
        slot = domain.table.first(domain.table.sign(domain.parts), START_S);
        for (const each of all) {
          const parts = domain.happen(each);
          if (parts === undefined) continue;
          const before = slot.held.record.state;
          slot = domain.table.receive(slot, domain.table.sign(parts), domain.nowS).slot;
          const { state } = parts;
          if (state.version.sequence > before.version.sequence) {
            for (const { der } of before.x509Authorities.filter(({ tainted }) => !tainted)) {
              const isStill = state.x509Authorities.some(
                (now) => !now.tainted && equalBytes(now.der, der),
              );
              if (!isStill) gone.add(Buffer.from(der).toString());
            }
          }
          const row = desiredRow(slot, domain.nowS);
          for (const { der, tainted } of row?.x509Authorities ?? []) {
            if (!tainted) expect(gone).not.toContain(Buffer.from(der).toString());
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** One thing that is not as it should be; undefined where it would change nothing. */
type Wrong = (domain: HonestDomain, parts: RecordParts, before: Slot) => RecordParts | undefined;

function signedBy(parts: RecordParts, change: (signer: Signer) => Partial<Signer>): RecordParts {
  return { ...parts, signers: parts.signers.map((each) => ({ ...each, ...change(each) })) };
}

function saying(parts: RecordParts, change: Partial<State>): RecordParts {
  return { ...parts, state: { ...parts.state, ...change } };
}

const isNewEpoch = ({ state }: RecordParts, before: Slot): boolean =>
  state.version.epoch !== before.effective.state.version.epoch;
const isRotated = ({ signers }: RecordParts): boolean => signers.length > 1;
const sameRecovery = ({ state }: RecordParts, { effective }: Slot): boolean =>
  JSON.stringify(state.recovery) === JSON.stringify(effective.state.recovery);

const WRONGS: readonly (readonly [what: string, code: string, wrong: Wrong])[] = [
  [
    "a node that nobody lists",
    "NODE_NOT_LISTED",
    ({ table }, parts) => signedBy(parts, () => ({ node: table.newNode() })),
  ],
  [
    "a node that was removed",
    "NODE_REMOVED",
    ({ removed }, parts, before) => {
      const [node] = removed;
      if (node === undefined || isRotated(parts) || isNewEpoch(parts, before)) return undefined;
      return signedBy(parts, () => ({ node }));
    },
  ],
  [
    "an authority that nobody ever listed, for what stood",
    "OLD_AUTHORITY_MISSING",
    ({ table, active }, parts, before) =>
      isNewEpoch(parts, before)
        ? undefined
        : signedBy(parts, () => ({ under: [table.newCa(), active] })),
  ],
  [
    "an authority that nobody ever listed, for what stands now",
    "NEW_AUTHORITY_MISSING",
    ({ table }, parts, before) =>
      signedBy(parts, ({ under: [old] }) =>
        old === undefined || isNewEpoch(parts, before)
          ? { under: [table.newCa()] }
          : { under: [old, table.newCa()] },
      ),
  ],
  [
    "an authority that is tainted by now, for what stood",
    "OLD_AUTHORITY_MISSING",
    ({ kept, active }, parts, before) => {
      const tainted = kept.find((ca) =>
        before.effective.authorities.some(
          (each) => each.tainted && equalBytes(each.facts.der, ca.facts.der),
        ),
      );
      if (tainted === undefined || isNewEpoch(parts, before)) return undefined;
      return signedBy(parts, () => ({ under: [tainted, active] }));
    },
  ],
  [
    "a time that is not yet",
    "SIGNED_IN_FUTURE",
    ({ nowS }, parts) => signedBy(parts, () => ({ signedAtS: nowS + CLOCK_SKEW_S + 1 })),
  ],
  [
    "a time before what is held",
    "SIGNED_TOO_EARLY",
    ({ nowS }, parts, before) =>
      signedBy(parts, () => ({ signedAtS: signedAtLeastS(before, nowS) - 1 })),
  ],
  [
    "a rev that leaves no room",
    "REV_JUMP",
    (_, parts, before) => {
      const { version } = parts.state;
      const least = isNewEpoch(parts, before) ? 0 : before.effective.state.version.rev;
      return saying(parts, { version: { ...version, rev: least + REV_JUMP_MAX + 1 } });
    },
  ],
  [
    "an epoch that was left out",
    "EPOCH_JUMP",
    (_, parts, before) => {
      const { version } = before.effective.state;
      return saying(parts, { version: { ...parts.state.version, epoch: version.epoch + 2 } });
    },
  ],
  [
    "a new epoch where no keys are committed",
    "RECOVERY_NOT_COMMITTED",
    (_, parts, before) => {
      const { version, recovery } = before.effective.state;
      if (recovery !== undefined) return undefined;
      return saying(parts, { version: { ...version, epoch: version.epoch + 1, rev: 0 } });
    },
  ],
  [
    "a new epoch that no recovery key signed",
    "RECOVERY_COUNT",
    (_, parts, before) => {
      const { version, recovery } = before.effective.state;
      if (recovery === undefined) return undefined;
      const state = { ...parts.state, version: { ...version, epoch: version.epoch + 1, rev: 0 } };
      return { ...parts, state, recoveryKeys: [] };
    },
  ],
  [
    "a new epoch with a key of somebody else",
    "RECOVERY_KEY_UNKNOWN",
    ({ table }, parts, before) => {
      if (!isNewEpoch(parts, before)) return undefined;
      return { ...parts, recoveryKeys: parts.recoveryKeys.map(() => table.newNode()) };
    },
  ],
  [
    "a new epoch that too few signed",
    "RECOVERY_COUNT",
    (_, parts, before) => {
      if (!isNewEpoch(parts, before)) return undefined;
      return { ...parts, recoveryKeys: parts.recoveryKeys.slice(1) };
    },
  ],
  [
    "a recovery key committed again that it reveals",
    "RECOVERY_REVEALED",
    ({ table }, parts) => {
      const [revealed] = parts.recoveryKeys;
      if (revealed === undefined) return undefined;
      const keyHashes = [revealed, table.newNode()].map((key) => sha256(key.publicKey));
      return saying(parts, { recovery: { threshold: 1, keyHashes } });
    },
  ],
  [
    "a rotated node that the new key alone signed",
    "NODE_NOT_LISTED",
    (_, parts) => (isRotated(parts) ? { ...parts, signers: parts.signers.slice(1) } : undefined),
  ],
  [
    "a rotated node of which one has no X509-SVID",
    "OLD_AUTHORITY_MISSING",
    ({ table, active }, parts) => {
      if (!isRotated(parts)) return undefined;
      const under = [table.newCa(), active];
      const signers = parts.signers.map((each, at) => (at === 0 ? each : { ...each, under }));
      return { ...parts, signers };
    },
  ],
  [
    "a rotated node that the old key alone signed",
    "NODE_REMOVED",
    (_, parts) => (isRotated(parts) ? { ...parts, signers: parts.signers.slice(0, 1) } : undefined),
  ],
  [
    "other recovery keys by themselves",
    "RECOVERY_COUNT",
    (domain, parts, before) => {
      const { version, recovery } = before.effective.state;
      if (recovery === undefined || parts.state.version.rev !== version.rev + 1) return undefined;
      if (isNewEpoch(parts, before)) return undefined;
      const keyHashes = [domain.table.newNode().publicKey];
      return { ...saying(parts, { recovery: { threshold: 1, keyHashes } }), recoveryKeys: [] };
    },
  ],
  [
    "no recovery keys any more",
    "RECOVERY_COUNT",
    (_, parts, before) => {
      const { version, recovery } = before.effective.state;
      if (recovery === undefined || parts.state.version.rev !== version.rev + 1) return undefined;
      if (isNewEpoch(parts, before)) return undefined;
      return { ...saying(parts, { recovery: undefined }), recoveryKeys: [] };
    },
  ],
  [
    "other recovery keys without a step of rev",
    "RECOVERY_CHANGED",
    (domain, parts, before) => {
      const { version } = before.effective.state;
      if (parts.state.version.rev === version.rev + 1 || isNewEpoch(parts, before))
        return undefined;
      const keyHashes = [domain.table.newNode().publicKey];
      return saying(parts, { recovery: { threshold: 1, keyHashes } });
    },
  ],
  [
    "a recovery key where none is needed",
    "RECOVERY_UNASKED",
    (domain, parts, before) => {
      if (isNewEpoch(parts, before) || !sameRecovery(parts, before)) return undefined;
      return { ...parts, recoveryKeys: [domain.table.newNode()] };
    },
  ],
  [
    "an authority that is none",
    "AUTHORITY_MALFORMED",
    (_, parts, before) => {
      if (isNewEpoch(parts, before)) return undefined;
      const junk = { der: Uint8Array.of(1, 2, 3), tainted: false };
      return saying(parts, { x509Authorities: [...parts.state.x509Authorities, junk] });
    },
  ],
  [
    "an X509-SVID for an authority",
    "AUTHORITY_MALFORMED",
    ({ table, active }, parts) => {
      const [der] = table.svidUnder(active).chain;
      if (der === undefined) return undefined;
      const leaf = { der, tainted: false };
      return saying(parts, { x509Authorities: [...parts.state.x509Authorities, leaf] });
    },
  ],
  [
    "another trust domain's lineage",
    "WRONG_LINEAGE",
    (_, parts) => saying(parts, { lineage: new Uint8Array(32).fill(7) }),
  ],
];

describe("a step of an honest history with", () => {
  test.each(WRONGS)("%s is refused: %s", (_, code, wrong) => {
    let tried = 0;
    fc.assert(
      fc.property(happenings, (all) => {
        walk(all, (domain, before, parts) => {
          const bad = wrong(domain, parts, before);
          if (bad === undefined) return;
          tried += 1;
          const { table, nowS } = domain;
          const { slot, said } = table.receive(before, table.sign(bad), nowS);
          expect(said).toBe(code);
          expect(slot).toBe(before);
        });
      }),
      { numRuns: 100 },
    );
    expect(tried).toBeGreaterThan(0);
  });

  test("any bit of it flipped is refused, or it is the same record", () => {
    fc.assert(
      fc.property(happenings, fc.nat(), fc.nat(7), (all, place, bit) => {
        walk(all, ({ table, nowS }, before, parts) => {
          const bytes = table.encode(parts);
          const at = place % bytes.length;
          const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit));
          const read = readRecord(flipped, "sync", table.proofs);
          if (!read.ok) return;
          // What is left of a rotation is a step that one of the two signed: never taken.
          expect(table.receive(before, read.value, nowS).said).not.toBe("taken");
        });
      }),
      { numRuns: 200 },
    );
  });
});
