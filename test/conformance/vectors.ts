/** The small parts by themselves: what is hashed and signed, and which CBOR is read. */
import {
  nodePreimage,
  recordId,
  recoveryPreimage,
  svidPreimage,
} from "../../src/core/record/preimages.ts";
import { encodeHeadPayload, headSigningBytes } from "../../src/core/record/head.ts";
import { encodeState } from "../../src/core/record/state.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { NOW_S } from "./fixed-certificates.ts";
import { genesis, next, one, svidOne, svidOther } from "./fixed-records.ts";

/** Each step from a payload to what is signed. Bytes in hex. */
export function preimages(): unknown {
  return [
    { title: "the genesis of the cases, one chain", record: genesis, svids: [svidOne] },
    { title: "the record after it, two chains", record: next(), svids: [svidOne, svidOther] },
  ].map(({ title, record, svids }) => {
    const payload = encodeState(record.state);
    const id = recordId(1, payload);
    const chains = svids.map(({ chain }) => chain);
    const svidPreimages = chains.map((chain) => svidPreimage(id, one.publicKey, NOW_S, chain));
    const svidSignatures = svids.map(({ key }, index) =>
      key.signSvid(svidPreimages[index] ?? new Uint8Array()),
    );
    const headPayload = encodeHeadPayload({
      trustDomain: record.state.trustDomain,
      lineage: record.lineage,
      version: record.state.version,
      recordId: id,
      counter: BigInt(NOW_S * 1_000),
      issuedAtMs: NOW_S * 1_000,
    });
    return {
      title,
      payload: toHex(payload),
      recordId: toHex(id),
      node: toHex(one.publicKey),
      signedAt: NOW_S,
      chains: chains.map((chain) => chain.map(toHex)),
      svidPreimages: svidPreimages.map(toHex),
      svidSignatures: svidSignatures.map(toHex),
      nodePreimage: toHex(nodePreimage(id, NOW_S, chains, svidSignatures, [])),
      recoveryPreimage: toHex(recoveryPreimage(id)),
      headPayload: toHex(headPayload),
      headRecordId: toHex(recordId(2, headPayload)),
      headPreimage: toHex(headSigningBytes(headPayload)),
    };
  });
}

export interface CborVector {
  readonly bytes: string;
  readonly taken: boolean;
  readonly why: string;
}

const of = (bytes: string, taken: boolean, why: string): CborVector => ({ bytes, taken, why });

/** One value each, as payloads and envelopes are made of. */
export const CBOR: readonly CborVector[] = [
  of("00", true, "0"),
  of("17", true, "23, the last integer in one byte"),
  of("1818", true, "24, the first in two"),
  of("1817", false, "23 in two bytes"),
  of("18ff", true, "255"),
  of("1900ff", false, "255 in three bytes"),
  of("190100", true, "256"),
  of("19ffff", true, "65,535"),
  of("1a0000ffff", false, "65,535 in five bytes"),
  of("1a00010000", true, "65,536"),
  of("1b00000000ffffffff", false, "2^32 − 1 in nine bytes"),
  of("1b0000000100000000", true, "2^32"),
  of("1bffffffffffffffff", true, "2^64 − 1"),
  of("1c", false, "a reserved length"),
  of("1f", false, "an integer without a length"),
  of("20", false, "−1"),
  of("c249010000000000000000", false, "2^64 as a bignum"),
  of("40", true, "no bytes"),
  of("4100", true, "one byte"),
  of("580100", false, "one byte with a length in two"),
  of("5f4100ff", false, "bytes in pieces"),
  of("41", false, "bytes that are cut off"),
  of("60", true, "no text"),
  of("6161", true, "a"),
  of("62c3a4", true, "ä"),
  of("62c328", false, "text that is not UTF-8"),
  of("63eda080", false, "a surrogate in UTF-8"),
  of("62c080", false, "UTF-8 in more bytes than it takes"),
  of("7f6161ff", false, "text in pieces"),
  of("80", true, "no items"),
  of("8100", true, "one item"),
  of("980100", false, "one item with a length in two bytes"),
  of("9f00ff", false, "an array that does not say how long it is"),
  of("81", false, "an array that is cut off"),
  of("9affffffff", false, "an array of 2^32 − 1 items that are not there"),
  of("81818181818180", false, "seven arrays in each other"),
  of("818181818180", true, "six arrays in each other"),
  of("f4", true, "false"),
  of("f5", true, "true"),
  of("f6", false, "null"),
  of("f7", false, "undefined"),
  of("f0", false, "another simple value"),
  of("f814", false, "false in two bytes"),
  of("f90000", false, "a float"),
  of("fb3ff0000000000000", false, "a float of 8 bytes"),
  of("a0", false, "a map"),
  of("c000", false, "a tag"),
  of("0000", false, "two values"),
  of("", false, "no value"),
  of("ff", false, "an end without a beginning"),
  of(`9903ff${"00".repeat(1_023)}`, true, "1,024 items, the array itself included"),
  of(`990400${"00".repeat(1_024)}`, false, "1,025 items"),
];
