/**
 * How gossipsub is set: what it may take, how many copies travel, and what its own score counts. The
 * score that lasts is ours (conduct.ts).
 */
import type { gossipsub } from "@libp2p/gossipsub";
import { createTopicScoreParams } from "@libp2p/gossipsub/score";
import { toHex } from "../core/std/bytes.ts";
import { RPC_BYTES_MAX } from "../core/std/limits.ts";
import { sha256 } from "../core/std/sha256.ts";

export const STATE_TOPIC = "/spire-mesh/state/1";
export const HEAD_TOPIC = "/spire-mesh/head/1";

/**
 * What messages take of an RPC that we send. The other half is for control, of which gossipsub adds
 * 340 KB at most: 5,000 ids each of IHAVE and IWANT. Above: the next one goes into another RPC.
 */
export const MESSAGES_BYTES_MAX = RPC_BYTES_MAX / 2;
/** Topic and lengths around a message take 29. */
export const MESSAGE_FRAME_BYTES = 32;
/** Unsent bytes for a peer that does not read. Above: its stream ends, and is opened again later. */
const OUTBOUND_BYTES_MAX = 4 * 1024 * 1024;
/**
 * One gossip stream a peer and direction; the rest are old ones still closing. Above: the new one is
 * refused.
 */
const GOSSIP_STREAMS_MAX = 4;
/**
 * Messages in one RPC: a full one of an honest peer has 430, as a record takes 1.2 KB and more. Each costs
 * us 13 µs even when it is a copy (measured), and an RPC is one piece of work. Above: it is refused.
 */
const RPC_MESSAGES_MAX = 1_024;
/**
 * Grafts while we asked it to stay away, and answers that it promised and did not give, before the
 * score sinks. An honest peer promises one answer a second, and breaks it when it or we are busy.
 */
const MISBEHAVIOUR_MAX = 6;
/** Peers never introduce others to us: whom we dial is decided by the admission and our hints. */
const FAR_ABOVE_ANY_SCORE = Number.MAX_VALUE;

/** gossipsub's own default, which its options do not tell. */
export const GRAYLIST_THRESHOLD = -80;

/**
 * The score only punishes: who sends what no honest node sends (verdict reject) leaves the mesh with
 * the first such message for a minute and is not listened to from the ninth on.
 */
const TOPIC_SCORE = createTopicScoreParams({
  topicWeight: 1,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  meshMessageDeliveriesWeight: 0, // At one record an hour every honest peer is in deficit.
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -1,
  invalidMessageDeliveriesDecay: 0.96,
});

export const GOSSIPSUB = {
  globalSignaturePolicy: "StrictNoSign",
  msgIdFn: ({ data }) => sha256(data),
  msgIdToStrFn: toHex,
  allowedTopics: [STATE_TOPIC, HEAD_TOPIC],
  fallbackToFloodsub: false,
  doPX: false,
  allowPublishToZeroTopicPeers: true,
  ignoreDuplicatePublishError: true,
  // The publisher sends to every peer it has: in a small mesh that is everybody, at once.
  floodPublish: true,
  // Measured with 40 nodes against the default of 6, 4, 12: a third fewer copies, a lower p99.
  D: 4,
  Dlo: 3,
  Dhi: 8,
  Dscore: 2,
  Dout: 1,
  maxInboundStreams: GOSSIP_STREAMS_MAX,
  maxOutboundStreams: GOSSIP_STREAMS_MAX,
  maxInboundDataLength: RPC_BYTES_MAX,
  decodeRpcLimits: {
    maxMessages: RPC_MESSAGES_MAX,
    // The rest is as gossipsub has it; rpc-fields.ts bounds it further.
    maxSubscriptions: 5_000,
    maxControlMessages: 5_000,
    maxIhaveMessageIDs: 5_000,
    maxIwantMessageIDs: 5_000,
    maxIdontwantMessageIDs: 512,
    maxPeerInfos: 16,
  },
  maxOutboundBufferSize: OUTBOUND_BYTES_MAX,
  scoreThresholds: {
    acceptPXThreshold: FAR_ABOVE_ANY_SCORE,
    graylistThreshold: GRAYLIST_THRESHOLD,
  },
  scoreParams: {
    behaviourPenaltyThreshold: MISBEHAVIOUR_MAX,
    // Loopback, NAT and cluster egress put many honest peers on one address.
    IPColocationFactorWeight: 0,
    topics: { [STATE_TOPIC]: TOPIC_SCORE, [HEAD_TOPIC]: TOPIC_SCORE },
  },
} as const satisfies Parameters<typeof gossipsub>[0];
