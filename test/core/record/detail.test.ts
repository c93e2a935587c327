/** What a refusal tells people beside its code: the number or name that is wrong, and the place. */
import { describe, expect, test } from "vitest";
import { encodeEnvelope } from "../../../src/core/record/envelope.ts";
import type { State } from "../../../src/core/record/state.ts";
import { type VerifiedRecord, readRecord } from "../../../src/core/record/verify.ts";
import { fromHex } from "../../../src/core/std/bytes.ts";
import { encodeCbor } from "../../../src/core/std/cbor.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { type Authority, makeAuthority } from "../../arbitraries/authority.ts";
import { extensions, makeKeyPair } from "../../arbitraries/certificate.ts";
import { bitString, extension, sequence, tlv } from "../../arbitraries/der.ts";
import {
  type BlockParts,
  NOW_S,
  type Svid,
  type TestRecord,
  makePublisher,
  makeRecord,
  signBlock,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";
import { judgeAfter, verified } from "./verdict.ts";

const { ca, node, svid, genesis, newCa, mint, next, trustDomain } = makePublisher("alpha.test");
const held = verified(genesis);

/** Code and detail of what is said of a record that comes by gossip. */
function refusal(record: TestRecord, before?: VerifiedRecord): string {
  const read = readRecord(record.envelope, "gossip", x509Proofs);
  const judged = read.ok ? judgeAfter(read.value, before) : read;
  return judged.ok ? "taken" : `${judged.reason.code}: ${judged.reason.detail}`;
}

const step = (change: Partial<State>, block?: Partial<BlockParts>): TestRecord =>
  next(genesis, change, block?.svids ?? [svid], block);
const leafOf = (...uris: readonly string[]): Svid =>
  mint(ca, {
    overrides: {
      extensions: [
        extensions.keyUsage(0, 2, 4),
        ...(uris.length > 0 ? [extensions.uriSans(...uris)] : []),
      ],
    },
  });
const damaged = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, index) => (index === 5 ? byte ^ 1 : byte));

describe("a refused step says", () => {
  test.each<readonly [string, () => TestRecord]>([
    [
      "ENVELOPE_MALFORMED: envelope: a type that the protocol does not have",
      () => ({ ...genesis, envelope: fromHex("a0") }),
    ],
    [
      "PAYLOAD_MALFORMED: state: not an array",
      () => {
        const blocks = [signBlock(genesis.id, { node, svids: [svid] })];
        const payload = encodeCbor("state");
        return { ...genesis, envelope: encodeEnvelope({ kind: 1, payload, blocks, recovery: [] }) };
      },
    ],
    [
      "AUTHORITY_MALFORMED: expected identifier octet 0x30, found nothing",
      () => step({ x509Authorities: [untainted(ca), { der: fromHex("3000"), tainted: false }] }),
    ],
    [
      "BLOCK_COUNT: 2 blocks in one gossip message",
      () =>
        makeRecord(
          stateAfter(genesis),
          [1, 2].map(() => ({ node, svids: [svid] })),
        ),
    ],
    ["EPOCH_JUMP: epoch 0 to 7", () => step({ version: { epoch: 7, rev: 0, sequence: 2n } })],
    ["REV_JUMP: rev 0 to 1025", () => step({ version: { epoch: 0, rev: 1_025, sequence: 2n } })],
    [
      "AUTHORITY_MALFORMED: JWT key kid-1: expected identifier octet 0x30, found nothing",
      () =>
        step({
          jwtAuthorities: [
            { keyId: "kid-1", spki: fromHex("3000"), expiresAtS: 0, tainted: false },
          ],
        }),
    ],
    ["SIGNED_IN_FUTURE: 301 s ahead of this clock", () => step({}, { signedAtS: NOW_S + 301 })],
    [
      "SIGNED_TOO_EARLY: 3 s before what is held of it allows",
      () => step({}, { signedAtS: NOW_S - 603 }),
    ],
    [
      "LEAF_NOT_PUBLISHER: URI SANs spiffe://alpha.test/a spiffe://alpha.test/b",
      () => step({}, { svids: [leafOf("spiffe://alpha.test/a", "spiffe://alpha.test/b")] }),
    ],
    ["LEAF_NOT_PUBLISHER: URI SANs none", () => step({}, { svids: [leafOf()] })],
    [
      "LEAF_NOT_PUBLISHER: key ec-p384",
      () => {
        const minted = mint(ca, { keyPair: makeKeyPair("ec-p384") });
        return step({}, { svids: [{ ...minted, privateKey: svid.privateKey }] });
      },
    ],
    ["SVID_SIGNATURE_INVALID: chain 0", () => step({}, { svidSignature: damaged })],
    [
      "SVID_SIGNATURE_INVALID: chain 1",
      () => {
        const other = newCa();
        const second = { ...mint(other), privateKey: svid.privateKey };
        return step(
          { x509Authorities: [untainted(ca), untainted(other)] },
          { svids: [svid, second] },
        );
      },
    ],
  ])("%s", (told, make) => {
    expect(refusal(make(), held)).toBe(told);
  });
});

const below = (parent: Authority, ...changed: readonly Buffer[]): Authority =>
  parent.issueIntermediate({ overrides: { extensions: changed } });

/** A first record under this authority with a leaf of the lowest CA, which sends those above. */
function under(anchor: Authority, sent: readonly Authority[], options = {}): string {
  const state = { ...genesis.state, x509Authorities: [untainted(anchor)] };
  const signer = mint(sent[0] ?? anchor, { sent, ...options });
  return refusal(makeRecord(state, [{ node, svids: [signer] }]));
}

describe("a refused chain says", () => {
  const root = makeAuthority({ trustDomain, uriSans: [] });
  const server = root.issueIntermediate();
  const own = extensions.uriSans("spiffe://alpha.test");
  const ca5 = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
  test.each<readonly [string, () => string]>([
    [
      `CHAIN_NOT_VALID_THEN: certificate 0 at ${NOW_S}`,
      () => under(root, [server], { notAfterS: NOW_S - 1 }),
    ],
    [
      `CHAIN_NOT_VALID_THEN: certificate 1 at ${NOW_S}`,
      () => under(root, [root.issueIntermediate({ notAfterS: NOW_S - 1 })]),
    ],
    [
      `CHAIN_NOT_VALID_THEN: the authority at ${NOW_S}`,
      () => {
        const old = makeAuthority({ trustDomain, notAfterS: NOW_S - 1 });
        return under(old, [old.issueIntermediate()]);
      },
    ],
    [
      "CHAIN_BROKEN: issuer name of certificate 0",
      () => under(root, [server, root], { overrides: { issuer: root.subject } }),
    ],
    ["CHAIN_BROKEN: issuer name of certificate 1", () => under(root, [server, newCa()])],
    [
      "CHAIN_BROKEN: authority key id of certificate 1",
      () =>
        under(root, [below(server, ...ca5, own, extensions.authorityKeyId(root.keyId)), server]),
    ],
    [
      "CHAIN_BROKEN: the issuer of certificate 0 is not a CA",
      () => under(root, [below(server, own), server]),
    ],
    [
      "CHAIN_BROKEN: the issuer of certificate 0 may not sign certificates",
      () =>
        under(root, [
          below(server, extensions.keyUsage(6), extensions.basicConstraints(true), own),
          server,
        ]),
    ],
    [
      "CHAIN_BROKEN: path length above certificate 1",
      () => {
        const last = root.issueIntermediate({ pathLength: 0 });
        return under(root, [last.issueIntermediate(), last]);
      },
    ],
    [
      "CHAIN_BROKEN: signature 1",
      () => {
        const signature = bitString(fromHex("3006020101020101"));
        return under(root, [server.issueIntermediate({ overrides: { signature } }), server]);
      },
    ],
    ["ISSUER_NOT_TRUST_DOMAIN: URI SANs none", () => under(root, [])],
    [
      "ISSUER_NOT_TRUST_DOMAIN: URI SANs spiffe://alpha.test spiffe://bravo.test",
      () => {
        const uriSans = ["spiffe://alpha.test", "spiffe://bravo.test"];
        return under(root, [root.issueIntermediate({ uriSans })]);
      },
    ],
    [
      "NAME_CONSTRAINED: alpha.test is outside the CA's URI constraints",
      () => {
        const bravo = sequence(tlv(0xa0, sequence(tlv(0x86, "bravo.test"))));
        return under(root, [below(root, ...ca5, own, extension("2.5.29.30", bravo, true))]);
      },
    ],
  ])("%s", (told, judge) => {
    expect(judge()).toBe(told);
  });
});
