/** Heads as a node's keyring signs them, and every part of one open to be wrong. */
import { sign } from "node:crypto";
import {
  type Head,
  encodeHead,
  encodeHeadPayload,
  headSigningBytes,
} from "../../src/core/record/head.ts";
import { NOW_S, type NodeKey, type Publisher, type TestRecord } from "./record.ts";

export interface HeadOptions extends Partial<Head> {
  /** Who signs it, in the place of the publisher's node. */
  readonly node?: NodeKey;
  /** Changes the signature. */
  readonly signature?: (signature: Uint8Array) => Uint8Array;
}

/** What a publisher's node says of the record that it stands on, by default its first. */
export function makeHead(
  publisher: Publisher,
  { node = publisher.node, signature = (each) => each, ...change }: HeadOptions = {},
  record: TestRecord = publisher.genesis,
): Uint8Array {
  const payload = encodeHeadPayload({
    trustDomain: publisher.trustDomain,
    lineage: record.lineage,
    version: record.state.version,
    recordId: record.id,
    counter: BigInt(NOW_S) * 1_000n,
    issuedAtMs: NOW_S * 1_000,
    ...change,
  });
  const signed = sign(null, headSigningBytes(payload), node.privateKey);
  return encodeHead(payload, node.publicKey, signature(Uint8Array.from(signed)));
}
