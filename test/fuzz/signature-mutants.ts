/** Signatures and times: of which the SVID, the node or the clock is not right. */
import { encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import { encodeState } from "../../src/core/record/state.ts";
import { concatBytes, fromHex, toHex } from "../../src/core/std/bytes.ts";
import { NOW_S, makeNodeKey, signBlock, twinOf } from "../arbitraries/record.ts";
import type { Random } from "./random.ts";
import { type Row, signed } from "./record-draft.ts";
import type { Bravo } from "./world.ts";

const N = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const HALF_N_AND_1 = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9";
const scalar = (hex: string): Uint8Array => fromHex(hex.padStart(64, "0"));
const withR = (hex: string) => (signature: Uint8Array) =>
  concatBytes(scalar(hex), signature.subarray(32));
const withS = (hex: string) => (signature: Uint8Array) =>
  concatBytes(signature.subarray(0, 32), scalar(hex));
/** One bit of the low bytes, so that a scalar stays within its bounds. */
export const flipped =
  (random: Random, from: number, to: number) =>
  (signature: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(signature);
    const at = random.between(from, to);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  };
/** The order of Ed25519's base point, little-endian: S + L verifies where S < L is not asked for. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
function withSPlusL(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${toHex(signature.slice(32).toReversed())}`) + L;
  const bytes = fromHex(s.toString(16).padStart(64, "0")).toReversed();
  return concatBytes(signature.subarray(0, 32), bytes);
}

export function signatureRows({ cas, publisher, svids, held }: Bravo): Row[] {
  const ending = publisher.mint(publisher.ca, { notAfterS: NOW_S + 50 });
  const beginning = publisher.mint(publisher.ca, { notBeforeS: NOW_S - 20 });
  const otherSvid = publisher.mint(cas.next);
  return [
    ["nothing wrong", "taken", (draft) => draft],
    [
      "two blocks",
      "BLOCK_COUNT",
      (draft) => ({ ...draft, blocks: [draft.blocks[0], draft.blocks[0]] }),
    ],
    ["the twin (r, n − s)", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: twinOf }))],
    ["r = 0", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withR("0") }))],
    ["s = 0", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withS("0") }))],
    ["r = n", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withR(N) }))],
    ["r above n", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withR("f".repeat(64)) }))],
    ["s = n/2 + 1", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withS(HALF_N_AND_1) }))],
    [
      "an SVID signature with a bit changed",
      "SVID_SIGNATURE_INVALID",
      signed((_, random) => ({
        svidSignature: random.oneIn(2) ? flipped(random, 8, 31) : flipped(random, 40, 63),
      })),
    ],
    ["r = 1", "SVID_SIGNATURE_INVALID", signed(() => ({ svidSignature: withR("1") }))],
    ["s = 1", "SVID_SIGNATURE_INVALID", signed(() => ({ svidSignature: withS("1") }))],
    [
      "another SVID's signature",
      "SVID_SIGNATURE_INVALID",
      signed(() => ({ svids: [{ ...svids[0], privateKey: otherSvid.privateKey }] })),
    ],
    [
      "the SVID signature of another record, node, time or chain",
      "SVID_SIGNATURE_INVALID",
      (draft, random) => {
        const [block] = draft.blocks;
        const svid = svids[0];
        const { signedAtS = NOW_S, node } = block;
        const id = recordId(1, encodeState(draft.state));
        const [other = new Uint8Array()] = random.pick([
          () => signBlock(held.id, { node, svids: [svid], signedAtS }),
          () => signBlock(id, { node: makeNodeKey(), svids: [svid], signedAtS }),
          () => signBlock(id, { node, svids: [svid], signedAtS: signedAtS + 1 }),
          () =>
            signBlock(id, {
              node,
              svids: [{ ...svid, chain: [...svid.chain, ...svid.chain] }],
              signedAtS,
            }),
        ])().svidSignatures;
        return { ...draft, blocks: [{ ...block, svids: [svid], svidSignature: () => other }] };
      },
    ],
    [
      "two SVID signatures in each other's place",
      "SVID_SIGNATURE_INVALID",
      signed(() => {
        const [first, second = first] = svids;
        return {
          svids: [
            { ...first, privateKey: second.privateKey },
            { ...second, privateKey: first.privateKey },
          ],
        };
      }),
    ],
    [
      "a node signature with a bit changed",
      "NODE_SIGNATURE_INVALID",
      signed((_, random) => ({ nodeSignature: flipped(random, 0, 63) })),
    ],
    [
      "a node signature with S + L",
      "NODE_SIGNATURE_INVALID",
      signed(() => ({ nodeSignature: withSPlusL })),
    ],
    [
      "the signature of another node key",
      "NODE_SIGNATURE_INVALID",
      signed(({ node }) => ({ node: { ...node, privateKey: makeNodeKey().privateKey } })),
    ],
    [
      "a node key of small order",
      "NODE_SIGNATURE_INVALID",
      signed(({ node }, random) => {
        const publicKey = new Uint8Array(32);
        publicKey[0] = random.below(2);
        return {
          node: { ...node, publicKey },
          nodeSignature: () => concatBytes(publicKey, new Uint8Array(32)),
        };
      }),
    ],
    [
      "a node signature over other recovery signatures",
      "NODE_SIGNATURE_INVALID",
      (draft) => {
        const id = recordId(1, encodeState(draft.state));
        return encodeEnvelope({
          kind: 1,
          payload: encodeState(draft.state),
          blocks: [signBlock(id, draft.blocks[0])],
          recovery: [[new Uint8Array(32), new Uint8Array(64)]],
        });
      },
    ],
    [
      "a time ahead of the daemon's clock",
      "SIGNED_IN_FUTURE",
      signed((_, random) => ({ signedAtS: NOW_S + random.pick([301, 302, 86_400, 2 ** 40]) })),
    ],
    ["a time at the edge of the skew", "taken", signed(() => ({ signedAtS: NOW_S + 300 }))],
    [
      "a time before what the held record allows",
      "SIGNED_TOO_EARLY",
      signed((_, random) => ({ signedAtS: NOW_S - random.pick([701, 702, 86_400, NOW_S]) })),
    ],
    [
      "the earliest time that the held record allows",
      "taken",
      signed(() => ({ signedAtS: NOW_S - 700 })),
    ],
    [
      "a time after the SVID's end",
      "CHAIN_NOT_VALID_THEN",
      signed((_, random) => ({ svids: [ending], signedAtS: NOW_S + random.between(51, 300) })),
    ],
    ["the SVID's last second", "taken", signed(() => ({ svids: [ending], signedAtS: NOW_S + 50 }))],
    [
      "a time before the SVID's beginning",
      "CHAIN_NOT_VALID_THEN",
      signed((_, random) => ({ svids: [beginning], signedAtS: NOW_S - random.between(21, 600) })),
    ],
  ];
}
