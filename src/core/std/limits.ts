/**
 * Every limit on what comes from outside the core, with its reason and what happens at it.
 * The protocol's own numbers are those of docs/protocol.md; a limit that belongs to one file only
 * stands in that file.
 */

/** One gossip message, one file, one record in a sync reply. Above: refused before any parsing. */
export const ENVELOPE_BYTES_MAX = 128 * 1024;
/** A record's signed payload: what is left of an envelope once eight blocks are taken off. */
export const PAYLOAD_BYTES_MAX = 96 * 1024;
/** Deepest array in any message of ours: the chains of a block. Above: refused by a byte scan. */
export const CBOR_DEPTH_MAX = 6;
/** X.509 authorities in one state record. SPIRE lists 2 to 3 a server; above: `STATE_TOO_BIG`. */
export const X509_AUTHORITIES_MAX = 64;
/** JWT authorities in one state record. */
export const JWT_AUTHORITIES_MAX = 64;
/** One DER certificate. SPIRE's are 0.5 to 2 KiB. */
export const CERTIFICATE_BYTES_MAX = 8 * 1024;
/** One DER SubjectPublicKeyInfo; RSA 8192 takes 1,062 bytes. */
export const SPKI_BYTES_MAX = 2 * 1024;
/** Printable ASCII characters in a JWT key id. */
export const KEY_ID_LENGTH_MAX = 128;
/** Certificates in one chain, leaf included. SPIRE sends 1 to 3. */
export const CHAIN_CERTIFICATES_MAX = 4;
/** Signature blocks of one record: one a replica and anchor. The smallest eight are kept. */
export const BLOCKS_MAX = 8;
/** Daemons that may publish for one trust domain. */
export const NODES_MAX = 16;
/** Former nodes that a state record names, the last in order of removal. */
export const REMOVED_NODES_MAX = 32;
/** Offline recovery keys of one trust domain. */
export const RECOVERY_KEYS_MAX = 5;
/** How far `rev` may rise in one record: a fast-forward would leave no room for its heal. */
export const REV_JUMP_MAX = 1_024;
/** Partners of one daemon. Above: `import` is refused. */
export const PINNED_DOMAINS_MAX = 10_000;
/** Step records kept a trust domain, so that a partner who was away can be led forward. */
export const STEP_RECORDS_MAX = 64;
/** Records of one forwarder that wait for the one before them. Above: its oldest go. */
export const PARKED_A_FORWARDER_MAX = 64;
/** All parked records together. Above: the oldest of whoever takes the most go. */
export const PARKED_BYTES_MAX = 8 * 1024 * 1024;
/** How long a record may wait for the one before it; sync repairs within seconds. */
export const PARKED_MS = 10 * 60 * 1_000;
/** Parked records verified again each time their trust domain advances. The rest wait for the next. */
export const PARKED_TRIES_MAX = 8;
/** Clock difference between daemons that is taken without a word. */
export const CLOCK_SKEW_S = 300;
/** How much older than the held blocks a signature may be (docs/protocol.md, step 10). */
export const SIGNED_AT_SLACK_S = 600;
