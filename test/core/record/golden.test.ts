/**
 * The bytes of the protocol, pinned. They are computed twice: by the core, and here from the page of
 * the protocol by an encoder of its own. A change of any of them is a change of the protocol.
 */
import { createHash, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { decodeEnvelope, encodeEnvelope } from "../../../src/core/record/envelope.ts";
import { nodePreimage, recordId, svidPreimage } from "../../../src/core/record/preimages.ts";
import { type State, decodeState, encodeState } from "../../../src/core/record/state.ts";
import { readRecord } from "../../../src/core/record/verify.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { nodeKeyFromSeed } from "../../arbitraries/record.ts";

type Item = bigint | string | boolean | Uint8Array | readonly Item[];

/** RFC 8949, 4.2.1, for what the protocol speaks. */
function cbor(item: Item): Buffer {
  if (typeof item === "bigint") return head(0, item);
  if (typeof item === "boolean") return Buffer.of(item ? 0xf5 : 0xf4);
  if (typeof item === "string") {
    const text = Buffer.from(item, "utf8");
    return Buffer.concat([head(3, BigInt(text.length)), text]);
  }
  if (item instanceof Uint8Array) return Buffer.concat([head(2, BigInt(item.length)), item]);
  return Buffer.concat([head(4, BigInt(item.length)), ...item.map(cbor)]);
}

function head(major: number, value: bigint): Buffer {
  const size = value < 24n ? 0 : value < 256n ? 1 : value < 65_536n ? 2 : value < 2n ** 32n ? 4 : 8;
  const info = { 0: Number(value), 1: 24, 2: 25, 4: 26, 8: 27 }[size];
  const argument = value.toString(16).padStart(size * 2, "0");
  return Buffer.concat([
    Buffer.of((major << 5) | info),
    Buffer.from(size === 0 ? "" : argument, "hex"),
  ]);
}

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
const text = (value: string): Buffer => Buffer.from(value, "latin1");
const u64 = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(16, "0"), "hex");
const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

const SIGNED_AT_S = 1_790_000_000;
const node = nodeKeyFromSeed(fill(32, 1));
const otherNode = nodeKeyFromSeed(fill(32, 2)).publicKey;

const state: State = {
  trustDomain: "alpha.test" as TrustDomain,
  lineage: fill(32, 0xaa),
  version: { epoch: 1, rev: 24, sequence: 2n ** 63n + 7n },
  nodes: [node.publicKey, otherNode], // 8a88… and 8139…: encoding sorts them.
  removed: [fill(32, 4), fill(32, 3)], // In order of removal.
  recovery: { threshold: 1, keyHashes: [fill(32, 6), fill(32, 5)] },
  x509Authorities: [
    { der: text("first"), tainted: false },
    { der: text("second"), tainted: true },
    { der: text("third"), tainted: false },
  ],
  jwtAuthorities: [
    { keyId: "b", spki: text("key b"), expiresAtS: 0, tainted: true },
    { keyId: "a", spki: text("key a"), expiresAtS: SIGNED_AT_S, tainted: false },
  ],
};

const STATE_HEX = [
  "8b", // Eleven positions.
  "01",
  "6a616c7068612e74657374",
  `5820${"aa".repeat(32)}`,
  "01",
  "1818",
  "1b8000000000000007",
  "82",
  "58208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
  "58208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
  `825820${"04".repeat(32)}5820${"03".repeat(32)}`,
  `8201825820${"05".repeat(32)}5820${"06".repeat(32)}`,
  "83", // By SHA-256: 16367…, a7937…, be61e….
  "82467365636f6e64f5",
  "82456669727374f4",
  "82457468697264f4",
  "82",
  "846161456b657920611a6ab13b80f4",
  "846162456b6579206200f5",
].join("");

const RECORD_ID_HEX = "396961514e27bf7f4439eb9ec90bb24e971a514e3491453b0cb35002e9d8cc83";
const NODE_HEX = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
const TIME_HEX = "000000006ab13b80";
const NODE_SIGNATURE_HEX =
  "a50a0ecaac5c0062e4360540aad8f158498a136d8c2c7fb7f3da133799abe7bf2c47f271e478c3e1a200d340b265c9b7776e1e72e96ab217dfc6163f50f99007";

const ENVELOPE_HEX = [
  "84", // Four positions: kind, payload, blocks, recovery.
  "01",
  `59${(STATE_HEX.length / 2).toString(16).padStart(4, "0")}${STATE_HEX}`,
  "8185", // One block of five positions.
  `5820${NODE_HEX}`,
  "1a6ab13b80",
  "82", // Two chains, of two certificates and of one.
  "8243303030423131",
  "814432323232",
  `825840${"11".repeat(64)}5840${"12".repeat(64)}`,
  `5840${NODE_SIGNATURE_HEX}`,
  "80",
].join("");

describe("the bytes of", () => {
  const payload = cbor([
    1n,
    "alpha.test",
    fill(32, 0xaa),
    1n,
    24n,
    2n ** 63n + 7n,
    [otherNode, node.publicKey],
    [fill(32, 4), fill(32, 3)],
    [1n, [fill(32, 5), fill(32, 6)]],
    [
      [text("second"), true],
      [text("first"), false],
      [text("third"), false],
    ],
    [
      ["a", text("key a"), BigInt(SIGNED_AT_S), false],
      ["b", text("key b"), 0n, true],
    ],
  ]);
  const type = "application/vnd.spire-mesh.state.v1+cbor";
  const id = sha256(
    Buffer.concat([text(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]),
  );
  const chains = [[fill(3, 0x30), fill(2, 0x31)], [fill(4, 0x32)]];
  const svidSignatures = [fill(64, 0x11), fill(64, 0x12)];
  const time = u64(BigInt(SIGNED_AT_S));
  const nodeSigned = Buffer.concat([
    text("spire-mesh node 1\0"),
    id,
    time,
    sha256(cbor([chains, svidSignatures, []])),
  ]);
  const nodeSignature = Uint8Array.from(sign(null, nodeSigned, node.privateKey));
  const block = {
    nodePublicKey: node.publicKey,
    signedAtS: SIGNED_AT_S,
    chains,
    svidSignatures,
    nodeSignature,
  };
  const envelope = cbor([
    1n,
    payload,
    [[node.publicKey, BigInt(SIGNED_AT_S), chains, svidSignatures, nodeSignature]],
    [],
  ]);

  test("a state", () => {
    expect(toHex(encodeState(state))).toBe(STATE_HEX);
    expect(toHex(payload)).toBe(STATE_HEX);
  });

  test("a state without recovery keys and lists", () => {
    const least = { ...state, recovery: undefined, removed: [], jwtAuthorities: [] };
    const ends = "80808382467365636f6e64f582456669727374f482457468697264f480";
    expect(toHex(encodeState(least)).endsWith(ends)).toBe(true);
  });

  test("a record id", () => {
    expect(toHex(recordId(1, payload))).toBe(RECORD_ID_HEX);
    expect(toHex(id)).toBe(RECORD_ID_HEX);
  });

  test("what an X509-SVID signs", () => {
    const [chain = []] = chains;
    const signed = [text("spire-mesh svid 1\0"), id, node.publicKey, time, sha256(cbor(chain))];
    expect(toHex(svidPreimage(id, node.publicKey, SIGNED_AT_S, chain))).toBe(
      toHex(Buffer.concat(signed)),
    );
    expect(toHex(Buffer.concat(signed))).toBe(
      `${toHex(text("spire-mesh svid 1\0"))}${RECORD_ID_HEX}${NODE_HEX}${TIME_HEX}4eec7011842a31237a07d8c1eac4036fecff99a6f44d5c50fec0d4156716cfa0`,
    );
  });

  test("what a node signs", () => {
    expect(toHex(nodePreimage(id, SIGNED_AT_S, chains, svidSignatures, []))).toBe(
      toHex(nodeSigned),
    );
    expect(toHex(nodeSigned)).toBe(
      `${toHex(text("spire-mesh node 1\0"))}${RECORD_ID_HEX}${TIME_HEX}bc4df7759a400ef31f91fa302cf695a7449fccf5f545367c56bec42698d1af60`,
    );
  });

  test("what a node signs beside recovery keys", () => {
    const recovery = [[fill(32, 8), fill(64, 9)]] as const;
    const covered = sha256(cbor([chains, svidSignatures, recovery]));
    const signed = nodePreimage(id, SIGNED_AT_S, chains, svidSignatures, recovery);
    expect(toHex(signed.subarray(-32))).toBe(toHex(covered));
  });

  test("an envelope", () => {
    const encoded = encodeEnvelope({ kind: 1, payload, blocks: [block], recovery: [] });
    expect(toHex(encoded)).toBe(toHex(envelope));
    expect(toHex(encoded)).toBe(ENVELOPE_HEX);
  });

  test("all of it read back as what was written", () => {
    expect(decodeState(payload)).toMatchObject({ ok: true });
    expect(decodeEnvelope(envelope)).toEqual({
      ok: true,
      value: { kind: 1, payload: Uint8Array.from(payload), blocks: [block], recovery: [] },
    });
    const read = readRecord(envelope, "gossip", x509Proofs);
    expect(read).toMatchObject({ ok: true, value: { idHex: RECORD_ID_HEX } });
  });
});
