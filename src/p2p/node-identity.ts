/**
 * A node's Ed25519 key is its libp2p identity: the peer id carries the public key itself
 * (libp2p peer id specification, identity multihash), so one follows from the other.
 */
import assert from "node:assert/strict";
import { generateKeyPairFromSeed, publicKeyFromRaw } from "@libp2p/crypto/keys";
import type { Ed25519PeerId, PeerId, PrivateKey } from "@libp2p/interface";
import { peerIdFromPublicKey, peerIdFromString } from "@libp2p/peer-id";

const NODE_KEY_BYTES = 32;

/** The private key of a 32-byte Ed25519 seed (RFC 8032, 5.1.5). */
export async function nodePrivateKey(seed: Uint8Array): Promise<PrivateKey> {
  assert(seed.length === NODE_KEY_BYTES, "an Ed25519 seed has 32 bytes");
  return await generateKeyPairFromSeed("Ed25519", seed);
}

/** The peer id of a node public key. 32 bytes. */
export function peerIdOfNode(nodePublicKey: Uint8Array): Ed25519PeerId {
  assert(nodePublicKey.length === NODE_KEY_BYTES, "an Ed25519 public key has 32 bytes");
  const key = publicKeyFromRaw(nodePublicKey);
  assert(key.type === "Ed25519", "32 bytes are an Ed25519 key");
  return peerIdFromPublicKey(key);
}

/** The node public key in a peer id, or undefined when the id is not of an Ed25519 key. */
export function nodeOfPeerId(peerId: PeerId): Uint8Array | undefined {
  return peerId.type === "Ed25519" ? peerId.publicKey.raw : undefined;
}

/** Reads a peer id in text form, such as `12D3KooW…`; undefined when it is none of an Ed25519 key. */
export function readPeerId(text: string): Ed25519PeerId | undefined {
  try {
    const peerId = peerIdFromString(text);
    return peerId.type === "Ed25519" ? peerId : undefined;
  } catch {
    return undefined; // The text came from a peer or a file: the caller says what is wrong with it.
  }
}
