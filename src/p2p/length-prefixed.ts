/**
 * Stands before the reader of a stream of messages, each with its length in front, and sees all that
 * comes before it does. Readers keep each piece on its own until a message is whole, at 200 bytes and
 * more for a piece of one (measured), so small ones are joined here.
 */
import { type Stream, StreamMessageEvent } from "@libp2p/interface";
import { concatBytes } from "../core/std/bytes.ts";
import { LengthPrefixes, type SeenLengths } from "./length-prefixes.ts";

/** Of a message that is not whole a reader gets no smaller piece. */
const PIECE_BYTES_MIN = 1024;
const NOTHING = new Uint8Array();

export interface Seen extends SeenLengths {
  /** How many bytes came. */
  readonly bytes: number;
  /** Whether a message has begun that is not whole. */
  readonly isWithin: boolean;
}

/** @param takes Whether the reader gets what came. */
export function watchMessages(stream: Stream, takes: (seen: Seen) => boolean): void {
  const lengths = new LengthPrefixes();
  let held: Uint8Array = NOTHING;
  let isJoined = false;
  stream.addEventListener("message", (event) => {
    if (isJoined) return;
    const bytes = event.data.subarray();
    const { shortest, longest } = lengths.read(bytes);
    const { isWithin } = lengths;
    const isTaken = takes({ shortest, longest, bytes: bytes.length, isWithin });
    const isPassedOn = !isWithin || held.length + bytes.length >= PIECE_BYTES_MIN;
    if (isTaken && isPassedOn && held.length === 0) return;
    event.stopImmediatePropagation();
    if (!isTaken) return;
    held = concatBytes(held, bytes);
    if (!isPassedOn) return;
    const joined = new StreamMessageEvent(held);
    held = NOTHING;
    isJoined = true;
    stream.dispatchEvent(joined);
    isJoined = false;
  });
}
