/**
 * How many fields an answer has, counted before it is decoded: an empty entry takes two bytes, and
 * decoded some 300 of memory and its share of all work after. 31 MiB of them held the event loop for
 * 19 s, or filled the heap (measured).
 *
 * Law: the decoder reads no field that was not counted. It does not compare wire types, so whatever
 * has another one than its .proto says is malformed here; so are groups, which proto3 lacks.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * Fields of one answer, at all depths. A page of 50 rows with 128 authorities of each kind has
 * 77,000, an own bundle of 8,192 JWT authorities 57,347. As many in empty entries are decoded and
 * hashed in 0.2 s (measured). Above: the answer is refused with status 8.
 */
export const ANSWER_FIELDS_MAX = 80 * 1024;
/** What a field that is a message counts for: it is made an object, and an authority is hashed. */
const FIELDS_A_MESSAGE = 4;

/**
 * Counts until it is above {@link ANSWER_FIELDS_MAX} and no further. No message of our .proto files
 * is part of itself, so their depth bounds the recursion.
 *
 * @throws {Error} When the bytes are no such message.
 */
export function countFields(message: DescMessage, bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let count = 0;
  const countTo = (end: number, { fields }: DescMessage): void => {
    while (reader.pos < end && count <= ANSWER_FIELDS_MAX) {
      const [number, wireType] = reader.tag();
      const field = fields.find((each) => each.number === number);
      if (wireType === WireType.StartGroup || (field && wireType !== wireTypeOf(field))) {
        throw new Error(`field ${number} has wire type ${wireType}`);
      }
      count += field?.message ? FIELDS_A_MESSAGE : 1;
      if (field?.message) countTo(reader.uint32() + reader.pos, field.message);
      else reader.skip(wireType, number);
    }
  };
  countTo(bytes.length, message);
  return count;
}

/** Our .proto files have messages, text and bytes, and varints; a test walks all of them. */
function wireTypeOf({ message, scalar }: DescField): WireType {
  const isDelimited = message || scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
  return isDelimited ? WireType.LengthDelimited : WireType.Varint;
}
