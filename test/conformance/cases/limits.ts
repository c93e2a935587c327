/** Section 6: at a bound, and one above it. */
import { extension } from "../../arbitraries/der.ts";
import {
  CERTIFICATE_BYTES_MAX,
  ENVELOPE_BYTES_MAX,
  JWT_AUTHORITIES_MAX,
  NODES_MAX,
  PAYLOAD_BYTES_MAX,
  REMOVED_NODES_MAX,
  X509_AUTHORITIES_MAX,
} from "../../../src/core/std/limits.ts";
import { encodeState } from "../../../src/core/record/state.ts";
import { type Authority, NOW_S, authority, svid } from "../fixed-certificates.ts";
import { type Arrival, casesIn, refused, taken } from "../conformance-case.ts";
import type { NodeKey } from "../../arbitraries/record.ts";
import { nodeKey } from "../fixed-keys.ts";
import {
  type BlockDraft,
  after,
  at,
  byOne,
  byTwo,
  ca,
  commitmentTo,
  genesis,
  jwtAuthority,
  makeRecord,
  next,
  one,
  untainted,
} from "../fixed-records.ts";

const { cases, add } = casesIn("limits");
export const limitCases = cases;

add("a certificate of 8 KiB", "a certificate has at most 8 KiB", [
  taken(genesis),
  taken(next({ x509Authorities: untainted(ca, sized("big", CERTIFICATE_BYTES_MAX)) })),
]);
add("a certificate above 8 KiB", "a certificate has at most 8 KiB", [
  taken(genesis),
  refused(
    "PAYLOAD_MALFORMED",
    next({ x509Authorities: untainted(ca, sized("big", CERTIFICATE_BYTES_MAX + 1)) }),
  ),
]);
add("a payload of 96 KiB", "a payload has at most 96 KiB", [
  taken(genesis),
  taken(filled(PAYLOAD_BYTES_MAX)),
]);
add("a payload above 96 KiB", "a payload has at most 96 KiB", [
  taken(genesis),
  refused("ENVELOPE_MALFORMED", filled(PAYLOAD_BYTES_MAX + 1)),
]);
add("an envelope of 128 KiB", "an envelope has at most 128 KiB", [
  taken(genesis),
  taken(envelopeOfSize(ENVELOPE_BYTES_MAX)),
]);
add("an envelope above 128 KiB", "an envelope has at most 128 KiB", [
  taken(genesis),
  refused("ENVELOPE_MALFORMED", envelopeOfSize(ENVELOPE_BYTES_MAX + 1)),
]);
add("every count at its bound", "64 authorities of a kind, 16 nodes, 32 removed, 5 recovery keys", [
  taken(genesis),
  taken(makeRecord(atBounds())),
]);
add("65 X 509 authorities", "a record has at most 64", [
  taken(genesis),
  refused(
    "PAYLOAD_MALFORMED",
    next({ x509Authorities: untainted(...cas(X509_AUTHORITIES_MAX + 1)) }),
  ),
]);
add("65 JWT authorities", "a record has at most 64", [
  taken(genesis),
  refused("PAYLOAD_MALFORMED", next({ jwtAuthorities: jwts(JWT_AUTHORITIES_MAX + 1) })),
]);
add("eight blocks", "an envelope has at most eight blocks", blocks(8));
add("nine blocks", "an envelope has at most eight blocks", blocks(9));
add("a key above 2 KiB", "a SubjectPublicKeyInfo has at most 2 KiB", [
  taken(genesis),
  refused(
    "PAYLOAD_MALFORMED",
    next({ jwtAuthorities: [jwtAuthority("key-1", { spki: new Uint8Array(2_049).fill(0x30) })] }),
  ),
]);

/** What has exactly this many bytes. Signatures have 70 to 72, so it is tried with other padding. */
function ofBytes<Made>(
  bytes: number,
  make: (padding: Uint8Array) => Made,
  sizeOf: (made: Made) => number,
): Made {
  let length = 1_024;
  for (let tries = 0; tries < 100; tries += 1) {
    const made = make(Buffer.alloc(length, tries));
    if (sizeOf(made) === bytes) return made;
    length += bytes - sizeOf(made);
  }
  throw new Error(`nothing of ${bytes} bytes`);
}

/** An extension of a private arc. */
function unread(padding: Uint8Array): Buffer {
  return extension("1.3.6.1.4.1.99999.1", padding);
}

function sized(label: string, bytes: number): Authority {
  return ofBytes(
    bytes,
    (padding) => authority(label, { more: [unread(padding)] }),
    ({ der }) => der.length,
  );
}

function fillers(count: number): Authority[] {
  return Array.from({ length: count }, (_, index) =>
    sized(`filler ${index}`, CERTIFICATE_BYTES_MAX),
  );
}

/** A record whose payload has exactly this many bytes. */
function filled(bytes: number) {
  const full = fillers(11);
  const state = ofBytes(
    bytes,
    (padding) => {
      const last = authority("last filler", { more: [unread(padding)] });
      return after(genesis, { x509Authorities: untainted(ca, ...full, last), jwtAuthorities: [] });
    },
    (made) => encodeState(made).length,
  );
  return makeRecord(state);
}

/** A block whose leaf is padded. */
function padded(index: number, padding: Uint8Array): BlockDraft {
  const leaf = svid("padded leaf", ca, { more: [unread(padding)] });
  return { node: one, svids: [leaf], signedAtS: NOW_S - index };
}

/** A record whose envelope has exactly this many bytes: its leaves are padded. */
function envelopeOfSize(bytes: number) {
  const state = after(genesis, {
    x509Authorities: untainted(ca, ...fillers(11)),
    jwtAuthorities: [],
  });
  const full = [1, 2, 3, 4].map((index) => padded(index, Buffer.alloc(7_400)));
  return ofBytes(
    bytes,
    (padding) => makeRecord(state, [...full, padded(5, padding)]),
    ({ envelope }) => envelope.length,
  );
}

function cas(count: number): Authority[] {
  return [
    ca,
    ...Array.from({ length: count - 1 }, (_, index) => authority(`one of many ${index}`)),
  ];
}

function jwts(count: number) {
  return Array.from({ length: count }, (_, index) => jwtAuthority(`many-${index}`));
}

function keys(label: string, count: number): NodeKey[] {
  return Array.from({ length: count }, (_, index) => nodeKey(`${label} ${index}`));
}

function atBounds() {
  return after(genesis, {
    ...at(0, 1, 2n),
    nodes: [one, ...keys("many", NODES_MAX - 1)].map(({ publicKey }) => publicKey),
    removed: keys("gone", REMOVED_NODES_MAX).map(({ publicKey }) => publicKey),
    recovery: commitmentTo(5, keys("recovery", 5)),
    x509Authorities: untainted(...cas(X509_AUTHORITIES_MAX)),
    jwtAuthorities: jwts(JWT_AUTHORITIES_MAX),
  });
}

/** Blocks of one node at different times, and one of another. */
function blocks(count: number): readonly Arrival[] {
  const record = next({}, [
    byTwo,
    ...Array.from({ length: count - 1 }, (_, index) => ({ ...byOne, signedAtS: NOW_S - index })),
  ]);
  return [taken(genesis), count > 8 ? refused("ENVELOPE_MALFORMED", record) : taken(record)];
}
