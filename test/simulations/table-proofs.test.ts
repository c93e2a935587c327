/** The table of proofs says of every history what real certificates and signatures say of it. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TableProofs, toSvid } from "../../simulations/world/table-proofs.ts";
import { type Block, encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import type { Proofs } from "../../src/core/record/proofs.ts";
import type { RefusalCode } from "../../src/core/record/refusal.ts";
import { type State, encodeState, noLineage } from "../../src/core/record/state.ts";
import { type VerifiedRecord, readRecord } from "../../src/core/record/verify.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { signBlock as signByTable } from "../../src/keys/publisher.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { VALID_FROM_S, makeAuthority } from "../arbitraries/authority.ts";
import { NOW_S, makeNodeKey, mintSvid, signBlock } from "../arbitraries/record.ts";
import { judgeAfter } from "../core/record/verdict.ts";

const TD = "one.example" as TrustDomain;
const OTHER = "other.example" as TrustDomain;
const LIFE_S = NOW_S + 86_400 - VALID_FROM_S;
/** Three authorities, one that ends a minute ago, and one of another trust domain. */
const AUTHORITIES = [
  { trustDomain: TD, lifeS: LIFE_S },
  { trustDomain: TD, lifeS: LIFE_S },
  { trustDomain: TD, lifeS: LIFE_S },
  { trustDomain: TD, lifeS: NOW_S - 60 - VALID_FROM_S },
  { trustDomain: OTHER, lifeS: LIFE_S },
];

/** One way to make proofs; authorities, their X509-SVIDs and nodes by number. */
interface Side {
  readonly proofs: Proofs;
  readonly authorities: readonly Uint8Array[];
  readonly nodes: readonly Uint8Array[];
  /** A block under SVIDs; `isStolen` when only their certificates are known. */
  readonly sign: (id: Uint8Array, step: Step) => Block;
}

interface Step {
  readonly listed: readonly { readonly authority: number; readonly tainted: boolean }[];
  readonly svids: readonly number[];
  readonly isStolen: boolean;
  readonly node: 0 | 1;
  readonly nodesListed: readonly number[];
  readonly signedAtS: number;
}

const authority = fc.nat(AUTHORITIES.length - 1);
const rarely = fc.nat(9).map((die) => die === 0);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    listed: fc.uniqueArray(fc.record({ authority, tainted: rarely }), {
      minLength: 1,
      selector: (each) => each.authority,
    }),
    svids: fc.array(fc.oneof({ weight: 3, arbitrary: fc.nat(1) }, authority), {
      minLength: 1,
      maxLength: 2,
    }),
    isStolen: rarely,
    node: rarely.map((isOther) => (isOther ? 1 : 0)),
    nodesListed: fc.constantFrom([0], [0], [0, 1], [1]),
    signedAtS: fc.constantFrom(0, 0, 0, -100, -700, 400).map((shift) => NOW_S + shift),
  }),
  { minLength: 1, maxLength: 6 },
);

const real = realSide();

describe("the table of proofs", () => {
  test("agrees with certificates and signatures on every history", () => {
    const met = new Set<string>();
    fc.assert(
      fc.property(steps, (history) => {
        const said = judge(history, tableSide());
        expect(said).toEqual(judge(history, real));
        for (const each of said) met.add(each);
      }),
      { numRuns: 300 },
    );
    // A law that only ever sees one refusal says little.
    expect([...met]).toEqual(
      expect.arrayContaining(["taken", "OLD_AUTHORITY_MISSING", "NEW_AUTHORITY_MISSING"]),
    );
    expect([...met]).toEqual(
      expect.arrayContaining(["SVID_SIGNATURE_INVALID", "NODE_NOT_LISTED", "LEAF_NOT_PUBLISHER"]),
    );
  });

  test("knows no signature that a key did not make, and no certificate that nobody issued", () => {
    const proofs = new TableProofs();
    const [key, other] = [proofs.newKey("ed25519"), proofs.newKey("ed25519")];
    const [said, unsaid] = [new Uint8Array([1]), new Uint8Array([2])];
    const signature = key.sign(said);
    expect(proofs.verifiesNode(key.publicKey, said, signature)).toBe(true);
    expect(proofs.verifiesNode(key.publicKey, unsaid, signature)).toBe(false);
    expect(proofs.verifiesNode(other.publicKey, said, signature)).toBe(false);
    expect(proofs.verifiesNode(key.publicKey, said, signature.with(63, 7))).toBe(false);
    expect(proofs.readCertificate(said)).toHaveProperty("malformed");
    expect(proofs.readKey(said)).toHaveProperty("malformed");
  });
});

/** What becomes of each record of a history, in one word. */
function judge(history: readonly Step[], side: Side): readonly (RefusalCode | "taken")[] {
  let held: VerifiedRecord | undefined;
  return history.map((step, index) => {
    const state: State = {
      trustDomain: TD,
      lineage: held?.record.lineage ?? noLineage(),
      version: { epoch: 0, rev: 0, sequence: BigInt(index) },
      nodes: pick(side.nodes, step.nodesListed),
      removed: [],
      recovery: undefined,
      x509Authorities: step.listed.flatMap(({ authority, tainted }) =>
        pick(side.authorities, [authority]).map((der) => ({ der, tainted })),
      ),
      jwtAuthorities: [],
    };
    const payload = encodeState(state);
    const blocks = [side.sign(recordId(1, payload), step)];
    const envelope = encodeEnvelope({ kind: 1, payload, blocks, recovery: [] });
    const read = readRecord(envelope, "gossip", side.proofs);
    const judged = read.ok ? judgeAfter(read.value, held, NOW_S, side.proofs) : read;
    if (!judged.ok) return judged.reason.code;
    held = judged.value;
    return "taken";
  });
}

function realSide(): Side {
  const made = AUTHORITIES.map(({ trustDomain, lifeS }) => {
    const notAfterS = VALID_FROM_S + lifeS;
    const ca = makeAuthority({ trustDomain, notBeforeS: VALID_FROM_S, notAfterS });
    return { ca, svid: mintSvid(trustDomain, ca) };
  });
  const nodes = [makeNodeKey(), makeNodeKey()] as const;
  return {
    proofs: x509Proofs,
    authorities: made.map(({ ca }) => Uint8Array.from(ca.der)),
    nodes: nodes.map(({ publicKey }) => publicKey),
    sign: (id, { node, svids, isStolen, signedAtS }) => {
      const stolen = isStolen ? made.at(-1) : undefined;
      const chosen = pick(made, svids).map(({ svid: { chain, privateKey, anchor } }) => ({
        chain,
        privateKey: stolen?.svid.privateKey ?? privateKey,
        anchor,
      }));
      return signBlock(id, { node: nodes[node], svids: chosen, signedAtS });
    },
  };
}

function tableSide(): Side {
  const proofs = new TableProofs();
  const made = AUTHORITIES.map(({ trustDomain, lifeS }) => {
    const ca = proofs.issue(trustDomain, VALID_FROM_S, lifeS);
    return { ca, svid: proofs.issue(trustDomain, VALID_FROM_S, LIFE_S, ca) };
  });
  const nodes = [proofs.newKey("ed25519"), proofs.newKey("ed25519")] as const;
  return {
    proofs,
    authorities: made.map(({ ca }) => ca.facts.der),
    nodes: nodes.map(({ publicKey }) => publicKey),
    sign: (recordId, { node, svids, isStolen, signedAtS }) => {
      const stolen = isStolen ? made.at(-1) : undefined;
      const chosen = pick(made, svids).map(({ svid: { facts, key } }) =>
        toSvid({ facts, key: stolen?.svid.key ?? key }),
      );
      const parts = { nodeKey: nodes[node], signAsSvid: proofs.sign };
      return signByTable({ recordId, recovery: [] }, parts, chosen, signedAtS);
    },
  };
}

function pick<Value>(values: readonly Value[], places: readonly number[]): Value[] {
  return places.flatMap((place) => values[place] ?? []);
}
