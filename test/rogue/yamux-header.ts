/** Frame headers of any content (yamux specification, Framing). */

export const YAMUX = { data: 0, windowUpdate: 1, ping: 2, syn: 1, fin: 4, rst: 8 } as const;
const HEADER_BYTES = 12;

export function yamuxHeader(type: number, flags: number, streamId: number, length: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt32BE(length, 8);
  return header;
}
