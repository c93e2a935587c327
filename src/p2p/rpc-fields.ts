/**
 * How many fields a gossip RPC has, counted before it is decoded. The decoder bounds entries of lists,
 * and not how often a field comes of which the last one counts: 1 MiB of empty topics took it 190 ms
 * and more, where an honest one takes 1 to 3 (measured).
 *
 * Law: the decoder reads no field that was not counted. It does not compare wire types, so whatever
 * has another one than rpc.proto says is malformed here, and so is what ends outside of what holds it.
 */
/**
 * 5,000 ids each of IHAVE and of IWANT, 512 of IDONTWANT, 1 MiB of the smallest records. As many are
 * decoded in 7 to 20 ms (measured). Above: not decoded.
 */
export const RPC_FIELDS_MAX = 16_384;

const VARINT = 0;
const FIXED_64 = 1;
const DELIMITED = 2;
const FIXED_32 = 5;
/** Bytes of a varint that is a tag or a length, and of one that is a value. */
const SHORT_VARINT_BYTES = 5;
const VARINT_BYTES = 10;
const VARINT_MORE = 0x80;

/** By number: the fields of a message, or the wire type of a field that is not one. */
interface Fields {
  readonly [number: number]: Fields | typeof VARINT | typeof DELIMITED;
}

const LIST_OF_IDS: Fields = { 1: DELIMITED };
const PEER: Fields = { 1: DELIMITED, 2: DELIMITED };
const CONTROL: Fields = {
  1: { 1: DELIMITED, 2: DELIMITED },
  2: LIST_OF_IDS,
  3: { 1: DELIMITED },
  4: { 1: DELIMITED, 2: PEER, 3: VARINT },
  5: LIST_OF_IDS,
};
const MESSAGE: Fields = {
  1: DELIMITED,
  2: DELIMITED,
  3: DELIMITED,
  4: DELIMITED,
  5: DELIMITED,
  6: DELIMITED,
};
const RPC: Fields = { 1: { 1: VARINT, 2: DELIMITED }, 2: MESSAGE, 3: CONTROL };

export interface CountedFields {
  /** Above {@link RPC_FIELDS_MAX} by one at most: it is counted no further. Of what is malformed, so far. */
  readonly count: number;
  readonly isMalformed: boolean;
}

/** Counts at all depths. */
export function countRpcFields(bytes: Uint8Array): CountedFields {
  const reader = new Reader(bytes);
  reader.read(RPC, bytes.length);
  return { count: reader.count, isMalformed: reader.isMalformed };
}

class Reader {
  count = 0;
  isMalformed = false;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Messages of rpc.proto are four deep at most. */
  read(fields: Fields, end: number): void {
    while (this.#at < end && this.count <= RPC_FIELDS_MAX && !this.isMalformed) {
      this.count += 1;
      const tag = this.#varint(SHORT_VARINT_BYTES);
      const [number, wireType] = [tag >>> 3, tag & 7];
      const field = fields[number];
      const known = typeof field === "object" ? DELIMITED : field;
      if (known !== undefined && known !== wireType) this.isMalformed = true;
      else if (wireType === DELIMITED) this.#delimited(field, end);
      else if (wireType === VARINT) this.#varint(VARINT_BYTES);
      else if (wireType === FIXED_64) this.#at += 8;
      else if (wireType === FIXED_32) this.#at += 4;
      else this.isMalformed = true;
    }
    if (this.#at > end) this.isMalformed = true;
  }

  #delimited(field: Fields[number] | undefined, end: number): void {
    const length = this.#varint(SHORT_VARINT_BYTES);
    if (this.#at + length > end) this.isMalformed = true;
    else if (typeof field === "object") this.read(field, this.#at + length);
    else this.#at += length;
  }

  /** The lowest 32 bits, as the decoder takes them of tags and lengths. */
  #varint(bytesMax: number): number {
    let value = 0;
    for (let index = 0; index < bytesMax; index += 1) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      if (index < SHORT_VARINT_BYTES) value |= (byte % VARINT_MORE) << (7 * index);
      if (byte < VARINT_MORE) return value >>> 0;
    }
    this.isMalformed = true;
    return 0;
  }
}
