/**
 * The limits of docs/protocol.md 6 as one table: the number, why it is that one, what happens at it,
 * and the file that keeps it. docs/limits.md is this table to read; test/limits provokes each entry.
 *
 * A limit that only its own file needs to know stands there, with the same three things said above
 * it. The unit is the last word of a name before `_MAX`; without one it is a count.
 */

export interface Limit {
  readonly value: number;
  /** Where the number is from. */
  readonly why: string;
  /** What is done with what is above it, or once it is over. */
  readonly beyond: string;
  /** The file that keeps it, below src/. */
  readonly file: string;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;
/** Bounds that are told in minutes. */
const MINUTE_MS = 60 * 1_000;

export const LIMITS = {
  // What a record may be.
  ENVELOPE_BYTES_MAX: {
    value: 128 * KIB,
    why: "one gossip message, one file, one record of a sync reply",
    beyond: "refused before any parsing: ENVELOPE_MALFORMED",
    file: "core/record/envelope.ts",
  },
  PAYLOAD_BYTES_MAX: {
    value: 96 * KIB,
    why: "what is left of an envelope once eight blocks are taken off",
    beyond: "refused: ENVELOPE_MALFORMED; of the own record authorities are left out",
    file: "core/record/envelope.ts",
  },
  CBOR_DEPTH_MAX: {
    value: 6,
    why: "the deepest array in any message of ours: the chains of a block",
    beyond: "refused by a byte scan before the decoder: ENVELOPE_MALFORMED",
    file: "core/std/cbor.ts",
  },
  CBOR_ITEMS_MAX: {
    value: 1_024,
    why: "a state at all its bounds has 579 values and arrays, an envelope 164; 128 KiB of empty arrays take 15 ms to decode (measured)",
    beyond: "refused by the scan before the decoder: ENVELOPE_MALFORMED, PAYLOAD_MALFORMED",
    file: "core/std/cbor.ts",
  },
  X509_AUTHORITIES_MAX: {
    value: 64,
    why: "SPIRE lists two or three a server",
    beyond:
      "refused: PAYLOAD_MALFORMED; of the own record some are left out, finding STATE_TOO_BIG when they still work",
    file: "core/record/state.ts",
  },
  JWT_AUTHORITIES_MAX: {
    value: 64,
    why: "SPIRE lists two or three a server",
    beyond:
      "refused: PAYLOAD_MALFORMED; of the own record some are left out, finding STATE_TOO_BIG when they still work",
    file: "core/record/state.ts",
  },
  CERTIFICATE_BYTES_MAX: {
    value: 8 * KIB,
    why: "SPIRE's have 0.5 to 2 KiB",
    beyond: "refused: PAYLOAD_MALFORMED as an authority, ENVELOPE_MALFORMED in a chain",
    file: "core/record/state.ts",
  },
  SPKI_BYTES_MAX: {
    value: 2 * KIB,
    why: "a SubjectPublicKeyInfo of RSA 8192 takes 1,062",
    beyond: "refused: PAYLOAD_MALFORMED",
    file: "core/record/state.ts",
  },
  KEY_ID_LENGTH_MAX: {
    value: 128,
    why: "printable ASCII characters in a JWT key id; SPIRE's have 32",
    beyond: "refused: PAYLOAD_MALFORMED",
    file: "core/spiffe/trust-bundle.ts",
  },
  CHAIN_CERTIFICATES_MAX: {
    value: 4,
    why: "leaf included; SPIRE sends one to three",
    beyond: "refused: ENVELOPE_MALFORMED",
    file: "core/record/envelope.ts",
  },
  BLOCKS_MAX: {
    value: 8,
    why: "one a replica and anchor",
    beyond: "refused: ENVELOPE_MALFORMED; of more that add up the smallest eight are kept",
    file: "core/record/envelope.ts",
  },
  NODES_MAX: {
    value: 16,
    why: "daemons that may publish for one trust domain",
    beyond: "refused: PAYLOAD_MALFORMED",
    file: "core/record/state.ts",
  },
  REMOVED_NODES_MAX: {
    value: 32,
    why: "former nodes, the last in order of removal",
    beyond: "refused: PAYLOAD_MALFORMED",
    file: "core/record/state.ts",
  },
  RECOVERY_KEYS_MAX: {
    value: 5,
    why: "offline keys that people keep",
    beyond: "refused: PAYLOAD_MALFORMED as a commitment, ENVELOPE_MALFORMED as signatures",
    file: "core/record/state.ts",
  },
  REV_JUMP_MAX: {
    value: 1_024,
    why: "a fast-forward would leave no room for its heal",
    beyond: "refused: REV_JUMP",
    file: "core/record/step.ts",
  },
  GONE_MAX: {
    value: 256,
    why: "authorities of one trust domain that were taken back and have not ended by themselves: four times what a record lists",
    beyond: "those that end first are forgotten, and may come back",
    file: "core/resolver/gone.ts",
  },
  FRAME_ITEMS_MAX: {
    value: 2_048,
    why: "a frame at all its bounds: 64 X.509 and 64 JWT authorities of a fork with 3 values each, 256 that are gone with 3",
    beyond: "not written: the daemon stops, as such a frame cannot be",
    file: "core/resolver/frame.ts",
  },
  CLOCK_SKEW_S: {
    value: 300,
    why: "clocks of trust domains differ so much without anybody's fault",
    beyond: "signed later than this from now: SIGNED_IN_FUTURE",
    file: "core/record/verify.ts",
  },
  SIGNED_AT_SLACK_S: {
    value: 600,
    why: "twice the skew: two replicas may differ by it in both directions",
    beyond: "signed earlier than this before the held blocks: SIGNED_TOO_EARLY",
    file: "core/resolver/slot.ts",
  },

  // What a peer may make us keep and verify.
  PINNED_DOMAINS_MAX: {
    value: 10_000,
    why: "partners of one daemon: what rows, hints and labels are sized for",
    beyond: "import is refused: NOT_READY",
    file: "core/mesh/operator.ts",
  },
  NODE_RECORDS_AT_ONCE_MAX: {
    value: 10,
    why: "gossiped records of one listed node; a forced rotation is four",
    beyond: "OVER_BUDGET before any certificate is read; sync brings it",
    file: "core/mesh/meter.ts",
  },
  NODE_RECORDS_A_SECOND_MAX: {
    value: 1,
    why: "after the first ones; what comes faster is for sync",
    beyond: "OVER_BUDGET before any certificate is read; sync brings it",
    file: "core/mesh/meter.ts",
  },
  SIGNATURE_CHECKS_MAX: {
    value: 64,
    why: "for one record; eight replicas under an intermediate authority, old and new, take 48, and 64 under P-521 take 83 ms (measured)",
    beyond: "blocks after it are left out; TOO_COSTLY when none was verified before",
    file: "core/record/effort.ts",
  },
  DOMAIN_RECORDS_AT_ONCE_MAX: {
    value: 20,
    why: "gossiped records of all nodes of one trust domain, and as many blocks of the held one: 16 replicas sign it; a forced rotation is four records",
    beyond: "OVER_BUDGET before any certificate is read; sync brings it",
    file: "core/mesh/meter.ts",
  },
  DOMAIN_RECORDS_A_SECOND_MAX: {
    value: 2,
    why: "after the first ones: twice what one node may",
    beyond: "OVER_BUDGET before any certificate is read; sync brings it",
    file: "core/mesh/meter.ts",
  },
  DOMAIN_WORK_AT_ONCE_MAX: {
    value: 1_024,
    why: "signature checks and readings for what one trust domain brings and what is taken of it: 64 steps of catching up take about 500",
    beyond: "OVER_BUDGET until it is earned, whatever the carrier but a file; sync comes again",
    file: "core/mesh/meter.ts",
  },
  DOMAIN_WORK_A_SECOND_MAX: {
    value: 16,
    why: "four records a second, or 2 % of a core under P-521",
    beyond: "OVER_BUDGET until it is earned, whatever the carrier but a file; sync comes again",
    file: "core/mesh/meter.ts",
  },
  ADDRESS_HINTS_MAX: {
    value: 64,
    why: "addresses of one pin: four for each of 16 nodes",
    beyond: "the oldest go; hints are never trusted",
    file: "core/mesh/intake.ts",
  },
  PARKED_A_FORWARDER_MAX: {
    value: 64,
    why: "records that came before the one they stand on; as many as there are steps",
    beyond: "the forwarder's oldest go",
    file: "core/mesh/parked.ts",
  },
  PARKED_BYTES_MAX: {
    value: 8 * MIB,
    why: "1,600 usual records together",
    beyond: "the oldest of whoever takes the most go",
    file: "core/mesh/parked.ts",
  },
  PARKED_MS: {
    value: 10 * MINUTE_MS,
    why: "sync repairs within seconds",
    beyond: "dropped",
    file: "core/mesh/parked.ts",
  },
  PARKED_TRIES_MAX: {
    value: 8,
    why: "parked records verified for each step of their trust domain",
    beyond: "the rest wait for the next step",
    file: "core/mesh/intake.ts",
  },
  STEP_RECORDS_MAX: {
    value: 64,
    why: "records kept of a trust domain, to lead a partner forward who was away",
    beyond: "the oldest go",
    file: "store/known-domain.ts",
  },
  STEP_BYTES_MAX: {
    value: 4 * MIB,
    why: "32 of the largest, more than 64 of the usual ones",
    beyond: "the oldest go",
    file: "store/known-domain.ts",
  },
  REMOTE_INPUTS_MAX: {
    value: 1_024,
    why: "peers' inputs waiting for the core: a second of its work; of one trust domain an eighth of what is free",
    beyond: "not taken in: gossip is left and its forwarder asked for a round of sync",
    file: "runtime/input-queue.ts",
  },
  REMOTE_BYTES_MAX: {
    value: 16 * MIB,
    why: "the same in bytes: 128 of the largest records",
    beyond: "not taken in: gossip is left and its forwarder asked for a round of sync",
    file: "runtime/input-queue.ts",
  },

  // What a peer may do with a connection.
  INBOUND_PENDING_MAX: {
    value: 100,
    why: "connections that have proved no key yet; each handshake is 6 ms of CPU (measured), so all are done well within their time",
    beyond: "refused at once",
    file: "p2p/libp2p-node.ts",
  },
  PENDING_A_SUBNET_MAX: {
    value: 32,
    why: "of these from one /24 or /48: one holder of addresses leaves room for the others, and at up to 200 ms each 160 members a second still come from there, which is all of a core",
    beyond: "refused before the handshake",
    file: "p2p/inbound.ts",
  },
  UPGRADE_TIMEOUT_MS: {
    value: 2_000,
    why: "noise and yamux take four round trips, 212 ms at 50 ms one way (measured)",
    beyond: "the connection is closed",
    file: "p2p/libp2p-node.ts",
  },
  CONNECTIONS_MAX: {
    value: 512,
    why: "each costs 160 to 500 KB (measured), which is 250 MB at the worst; strangers take at most 32 and one member 4, so there is room for 120 members at the least",
    beyond: "inbound is refused",
    file: "p2p/libp2p-node.ts",
  },
  STRANGERS_MAX: {
    value: 32,
    why: "connected and not admitted: members always find room",
    beyond: "refused after the handshake",
    file: "p2p/strangers.ts",
  },
  STREAMS_A_CONNECTION_MAX: {
    value: 64,
    why: "gossip, sync, identify and ping, those still closing included",
    beyond: "the stream is reset",
    file: "p2p/libp2p-node.ts",
  },
  VALIDATIONS_MAX: {
    value: 256,
    why: "gossiped records waiting for a verdict: a quarter of the core's room, so that sync has its own",
    beyond: "left unseen: another's copy is taken, and the forwarder is asked for a round of sync",
    file: "p2p/gossip.ts",
  },
  HEAD_BYTES_MAX: {
    value: 1 * KIB,
    why: "a signed head; with the longest name it takes less than 500 bytes",
    beyond: "the message is rejected before anybody looks at it",
    file: "p2p/gossip.ts",
  },
  HEADS_WAITING_MAX: {
    value: 256,
    why: "gossiped heads waiting for a verdict, besides the records: a second of one forwarder's budget",
    beyond: "left unseen: another's copy is taken, or the next head says more",
    file: "p2p/gossip.ts",
  },
  RPC_BYTES_MAX: {
    value: 1 * MIB,
    why: "one gossip RPC: eight of the largest records, as an answer to IWANT carries many",
    beyond: "what we send goes in several; where one comes the stream ends, and is opened again",
    file: "p2p/gossip-options.ts",
  },
  WANTED_MAX: {
    value: 24,
    why: "advertised messages that one peer is asked for in a heartbeat: four more than its budget earns, 3 MiB at the most",
    beyond: "not asked for: the next IHAVE, another peer or sync brings them",
    file: "p2p/gossip.ts",
  },
  WANTED_DOMAINS_MAX: {
    value: 10_001,
    why: "trust domains that a peer may want of us: all partners of one daemon and its own",
    beyond: "the frame is refused and the stream ends",
    file: "p2p/sync-frames.ts",
  },
  SYNC_WANTED_MAX: {
    value: 1_024,
    why: "of these in one frame, so that no frame grows with the mesh",
    beyond: "the frame is refused and the stream ends; more are said in several",
    file: "p2p/sync-frames.ts",
  },
  SYNC_ENTRIES_MAX: {
    value: 1_024,
    why: "entries in one list, so that no frame grows with the mesh",
    beyond: "the frame is refused and the stream ends; more are listed in several",
    file: "p2p/sync-frames.ts",
  },
  SYNC_WANTS_MAX: {
    value: 64,
    why: "each of another trust domain; a reply rarely carries more records",
    beyond: "the frame is refused and the stream ends",
    file: "p2p/sync-frames.ts",
  },
  SYNC_REPLY_RECORDS_MAX: {
    value: 64,
    why: "the asking side verifies them before it asks again",
    beyond: "the frame is refused and the stream ends",
    file: "p2p/sync-frames.ts",
  },
  SYNC_REPLY_BYTES_MAX: {
    value: 1 * MIB,
    why: "eight of the largest records, 64 usual ones",
    beyond: "the stream ends before the frame has arrived",
    file: "p2p/sync-frames.ts",
  },

  // What we ask of SPIRE Server, and what others may ask of us.
  SPIRE_AUTHORITIES_MAX: {
    value: 8_192,
    why: "of both kinds in the own bundle: ca_ttl 1m makes 5,300 a day (measured), kept for 30 h at most; 60 µs each, once for each read that differs",
    beyond: "none is read, nothing is published: finding STATE_TOO_BIG",
    file: "core/mesh/candidate.ts",
  },
  SPIRE_CALL_DEADLINE_MS: {
    value: 5_000,
    why: "the slowest call measured is a page of rows, at 10 ms",
    beyond: "the call is given up: SPIRE_UNREACHABLE",
    file: "spire-api/client.ts",
  },
  SPIRE_REQUEST_BYTES_MAX: {
    value: 3 * MIB,
    why: "SPIRE refuses 4 MiB, and a call of 10 MiB hangs and spoils the connection (measured)",
    beyond: "not sent, refused with status 8",
    file: "spire-api/client.ts",
  },
  SPIRE_ANSWER_FIELDS_MAX: {
    value: 80 * KIB,
    why: "a message counts for four; 50 rows with 128 authorities of each kind have 77,000; as many empty ones take 0.2 s (measured)",
    beyond: "not decoded: SPIRE_REFUSED",
    file: "spire-api/answer-fields.ts",
  },
  SPIRE_PAGE_ROWS: {
    value: 50,
    why: "0.2 MB as measured, and rows with 128 authorities of each kind are within an answer's fields",
    beyond: "the list goes on with the next page; one with more rows is refused: SPIRE_REFUSED",
    file: "spire/pages.ts",
  },
  SPIRE_LIST_PAGES_MAX: {
    value: 800,
    why: "40,000 rows, four times the partners that one daemon may have",
    beyond: "the list is refused: SPIRE_REFUSED, finding ROWS_UNREAD",
    file: "spire/pages.ts",
  },
  SPIRE_LIST_BYTES_MAX: {
    value: 256 * MIB,
    why: "40,000 rows as measured take 172 MB; one page is held at a time",
    beyond: "the list is refused: SPIRE_REFUSED, finding ROWS_UNREAD",
    file: "spire/pages.ts",
  },
  SPIRE_LIST_DEADLINE_MS: {
    value: 15_000,
    why: "40,000 rows take 5 s of CPU time, half of it the embedded SPIRE Server's (measured); an import waits for one list",
    beyond: "no further page is asked for: SPIRE_UNREACHABLE, finding ROWS_UNREAD",
    file: "spire/pages.ts",
  },
  SPIRE_WRITES_WAITING_MAX: {
    value: 64,
    why: "behind the one write in flight; 300 at once broke PostgreSQL's connection limit (measured)",
    beyond: "refused at once: SPIRE_UNREACHABLE",
    file: "spire/write-lane.ts",
  },
  ROW_PAUSE_MS: {
    value: 1_000,
    why: "each write of a row is pushed to every workload",
    beyond: "the next write of the row waits, the newest order stands",
    file: "spire/row-writer.ts",
  },
  SVID_TTL_S: {
    value: 3_600,
    why: "how long a stolen X509-SVID of the publisher may date records, which are taken until the publisher's next one",
    beyond: "another is minted at half of it",
    file: "keys/publisher-svid.ts",
  },
  ADMIN_BODY_BYTES_MAX: {
    value: 256 * KIB,
    why: "an export file of 160 KiB in base64 and what stands around it",
    beyond: "refused: USAGE, the rest unread",
    file: "admin/limits.ts",
  },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof LIMITS;
