/** What is signed while this host's clock is behind, as after a boot before it was set: partners would refuse it. */
import { describe, expect, test } from "vitest";
import {
  NOW_S,
  type Svid,
  bundleOf,
  makePublisher,
  tainted,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon, ofKind } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const { ca, genesis, mint, newCa, trustDomain } = alpha;
const next = newCa();
const both = { ...bundleOf(genesis.state), x509Authorities: [untainted(ca), untainted(next)] };
const revoking = { ...both, sequenceNumber: 2n, x509Authorities: [tainted(ca), untainted(next)] };

/** Alpha's daemon after its first export, signed at NOW_S, and a partner's that imported it. */
async function exported(kept: readonly Svid[]): Promise<{ own: TestDaemon; partner: TestDaemon }> {
  const own = await TestDaemon.start(alpha, { kept });
  own.exportOwn(both);
  const partner = await TestDaemon.start(makePublisher("bravo.test"));
  const { envelope, idHex } = lastPublished(own);
  expect(partner.import({ ...genesis, envelope, idHex })).toBe("taken");
  partner.endRow();
  return { own, partner };
}

function lastPublished({ state, effects }: TestDaemon): { envelope: Uint8Array; idHex: string } {
  const envelope = ofKind(effects, "publish-record").at(-1)?.envelope ?? new Uint8Array();
  return { envelope, idHex: state.own.slot?.held.record.idHex ?? "" };
}

const published = ({ effects }: TestDaemon): number => ofKind(effects, "publish-record").length;
const adviceOf = ({ state }: TestDaemon): string[] =>
  Array.from(state.findings.values(), ({ message, next: advice }) => `${message}. ${advice}`);

describe("a revocation that is signed with the clock behind the last record's", () => {
  const kept = [alpha.svid, mint(next)];

  test.each([0, 1, 300, 600])("by %s s is published, and a partner takes it", async (behindS) => {
    const { own, partner } = await exported(kept);
    own.nowMs -= behindS * 1_000;
    own.readBundle(revoking);
    own.sign();
    expect(own.findings).toEqual([]);
    expect(partner.receive(lastPublished(own), "gossip")).toBe("taken");
  });

  test.each([601, 7_200])(
    "by %s s is not published until the clock is right, and then by itself",
    async (behindS) => {
      const { own, partner } = await exported(kept);
      own.nowMs -= behindS * 1_000;
      own.readBundle(revoking);
      own.sign();
      own.nowMs += 500;
      own.tick(500);
      own.sign(); // Tried again, in vain.
      expect(published(own)).toBe(1);
      expect(own.findings).toEqual(["CONTINUITY_GAP"]);
      expect(adviceOf(own)).toEqual([
        expect.stringMatching(
          new RegExp(`SIGNED_TOO_EARLY.*clock is ${behindS} s behind.*by itself`),
        ),
      ]);
      own.nowMs = (NOW_S + 60) * 1_000;
      own.wait(1);
      own.sign();
      expect(own.findings).toEqual([]);
      expect(partner.receive(lastPublished(own), "gossip")).toBe("taken");
      const { authorities, record } = partner.slot(trustDomain).held;
      expect(record.state.version.sequence).toBe(2n);
      expect(authorities.filter(({ tainted: isTainted }) => isTainted)).toHaveLength(1);
    },
  );
});

test("with a clock behind SPIRE's nothing is signed until it is right; the advice keeps the lineage", async () => {
  const { own, partner } = await exported([mint(ca, { notBeforeS: NOW_S - 10 })]);
  own.nowMs -= 7_200_000;
  own.readBundle({
    ...both,
    sequenceNumber: 2n,
    x509Authorities: [...both.x509Authorities, untainted(newCa())],
  });
  own.sign();
  expect(own.findings).toEqual(["CONTINUITY_GAP"]);
  const [advice] = adviceOf(own);
  expect(advice).toMatch(/CHAIN_NOT_VALID_THEN.*clock.*by itself/);
  expect(advice).not.toMatch(/data_dir|pin/);
  own.nowMs = (NOW_S + 60) * 1_000;
  own.wait(1);
  own.sign();
  expect(own.findings).toEqual([]);
  expect(partner.receive(lastPublished(own), "gossip")).toBe("taken");
});
