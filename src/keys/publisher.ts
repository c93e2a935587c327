/**
 * Signs this daemon's records: with X509-SVIDs minted for the publisher's SPIFFE ID and with the
 * node key. Continuity is old and new: one chain speaks for the authorities that receivers hold, one
 * for those of the record, and one SVID may be both.
 *
 *     kept SVIDs ──▶ one for both? ──▶ [it]
 *                └─▶ old, and new (kept, else minted now) ──▶ [old, new]
 *
 * SVIDs are minted ahead of changes; one that is minted because of a change only ever supplies the
 * new chain (docs/protocol.md 1).
 */
import type { Anchors } from "../core/record/authority.ts";
import { findAnchor } from "../core/record/chain.ts";
import type { Block } from "../core/record/envelope.ts";
import { encodeHead, headSigningBytes } from "../core/record/head.ts";
import { nodePreimage, svidPreimage } from "../core/record/preimages.ts";
import type { Proofs } from "../core/record/proofs.ts";
import type { Refusal } from "../core/record/refusal.ts";
import type { SigningOrder, SigningOutcome } from "../core/record/signing.ts";
import { type TrustDomain, publisherId } from "../core/spiffe/trust-domain.ts";
import { SVID_TTL_S } from "../core/std/limits.ts";
import { toSeconds } from "../core/std/unix-time.ts";
import { Fault } from "../fault.ts";
import type { Keyring } from "../ports/keyring.ts";
import type { SpireServer } from "../ports/spire-server.ts";
import { requestSvid } from "../x509/csr.ts";
import { x509Proofs } from "../x509/proofs.ts";
import type { NodeKey } from "./node-key.ts";
import { type PublisherSvid, readPublisherSvid, signAsSvid } from "./publisher-svid.ts";
import { SvidCache } from "./svid-cache.ts";
import { type SvidPlaces, type Warn, openSvidFiles } from "./svid-files.ts";

export interface PublisherOptions {
  readonly trustDomain: TrustDomain;
  readonly nodeKey: NodeKey;
  /** Where minted SVIDs are kept. */
  readonly svidCache: SvidPlaces;
}

export interface PublisherPorts {
  /** SPIRE's mint, with its deadline; rejects with its faults. */
  readonly mint: SpireServer["mintX509Svid"];
  /** Told what an operator may act on, such as SVIDs that cannot be kept. */
  readonly warn: Warn;
  /** A clock that nobody sets, by which kept SVIDs live. Milliseconds. */
  readonly uptimeMs?: () => number;
}

/** Opens the keyring with the SVIDs that an earlier run kept. */
export async function openPublisher(
  options: PublisherOptions,
  ports: PublisherPorts,
): Promise<Keyring> {
  const files = await openSvidFiles(options.svidCache, options.trustDomain, ports.warn);
  const cache = new SvidCache(files, ports.uptimeMs);
  await cache.load();
  const { trustDomain, nodeKey } = options;
  const mint = async (): Promise<PublisherSvid> => {
    const { csr, privateKey } = requestSvid(publisherId(trustDomain));
    const read = readPublisherSvid(await ports.mint(csr, SVID_TTL_S), privateKey, trustDomain);
    if (read.ok) return read.value;
    throw new Fault("SPIRE_REFUSED", `SPIRE minted an X509-SVID of no use: ${read.reason}`);
  };
  return new Publisher({ trustDomain, nodeKey, cache, mint, signAsSvid, proofs: x509Proofs });
}

/** What a publisher decides over: keys and proofs are real in the daemon, a table in the simulator. */
export interface PublisherParts {
  readonly trustDomain: TrustDomain;
  readonly nodeKey: Pick<NodeKey, "publicKey" | "sign">;
  readonly cache: SvidCache;
  /** Mints an SVID with a key of its own. */
  readonly mint: () => Promise<PublisherSvid>;
  readonly signAsSvid: typeof signAsSvid;
  readonly proofs: Pick<Proofs, "issuedBy">;
}

export class Publisher implements Keyring {
  readonly #parts: PublisherParts;
  /** The last order's, which tell how much a kept SVID is worth. */
  #held: Anchors = [];
  #new: Anchors = [];
  /** Whether the next look mints whatever the newest SVID's age: at start, after signing, and for want of one. */
  #isDue = true;
  /** One mint or signature at a time: who signs waits for the SVID that is being minted ahead. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  async sign(order: SigningOrder, nowMs: number): Promise<SigningOutcome> {
    return await this.#inTurn(() => this.#signNow(order, toSeconds(nowMs)));
  }

  signHead(payload: Uint8Array): Uint8Array {
    const { nodeKey } = this.#parts;
    return encodeHead(payload, nodeKey.publicKey, nodeKey.sign(headSigningBytes(payload)));
  }

  async mintAhead(nowMs: number): Promise<void> {
    await this.#inTurn(() => this.#mintAheadNow(toSeconds(nowMs)));
  }

  async #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined); // Whoever asked for it is told.
    return await mine;
  }

  async #signNow(order: SigningOrder, signedAtS: number): Promise<SigningOutcome> {
    const { heldAuthorities, newAuthorities } = order;
    this.#held = heldAuthorities;
    this.#new = newAuthorities;
    const isFirst = heldAuthorities.length === 0;
    const kept = this.#parts.cache.validAt(signedAtS);
    const speakers = (anchors: Anchors) =>
      kept.filter((svid) => this.#anchorProblem(svid, anchors, signedAtS) === undefined);
    const old = speakers(heldAuthorities);
    const fresh = speakers(newAuthorities);

    const [both] = isFirst ? fresh : fresh.filter((svid) => old.includes(svid));
    if (both !== undefined) return this.#signed(order, [both], signedAtS);
    const [forOld] = old;
    if (forOld === undefined && !isFirst) {
      this.#isDue = true; // SPIRE may sign with an authority that is held by now.
      return { kind: "no-old-chain" };
    }
    const forNew = fresh[0] ?? (await this.#mintNow());
    const problem = this.#anchorProblem(forNew, newAuthorities, signedAtS);
    if (problem !== undefined) return { kind: "no-new-chain", problem: problem.detail };
    return this.#signed(order, forOld === undefined ? [forNew] : [forOld, forNew], signedAtS);
  }

  async #mintAheadNow(nowS: number): Promise<void> {
    await this.#parts.cache.dropOver();
    const [newest] = this.#parts.cache.validAt(nowS);
    const isYoung = newest !== undefined && nowS < (newest.notBeforeS + newest.notAfterS) / 2;
    if (isYoung && !this.#isDue) return;
    await this.#mintNow();
  }

  /** Mints an SVID and keeps it. */
  async #mintNow(): Promise<PublisherSvid> {
    const minted = await this.#parts.mint();
    this.#isDue = false;
    await this.#parts.cache.keep(minted, (svid) => this.#worth(svid));
    return minted;
  }

  /** An SVID of a published authority goes last: without it no record can follow that one. */
  #worth(svid: PublisherSvid): number {
    const whileValidS = Math.floor((svid.notBeforeS + svid.notAfterS) / 2); // Whatever time it is.
    if (this.#anchorProblem(svid, this.#held, whileValidS) === undefined) return 2;
    return this.#anchorProblem(svid, this.#new, whileValidS) === undefined ? 1 : 0;
  }

  /** Why an SVID does not speak for any of these authorities: judged as every receiver will. */
  #anchorProblem(svid: PublisherSvid, anchors: Anchors, timeS: number): Refusal | undefined {
    const { trustDomain, proofs } = this.#parts;
    const missing = "NEW_AUTHORITY_MISSING";
    const found = findAnchor(svid.facts, anchors, trustDomain, timeS, missing, proofs);
    return found.ok ? undefined : found.reason;
  }

  #signed(order: SigningOrder, svids: readonly PublisherSvid[], signedAtS: number): SigningOutcome {
    this.#isDue = true;
    return { kind: "signed", block: signBlock(order, this.#parts, svids, signedAtS) };
  }
}

/** A block over a record, whatever it says: who holds both factors may say anything. */
export function signBlock(
  { recordId, recovery }: Pick<SigningOrder, "recordId" | "recovery">,
  { nodeKey, signAsSvid }: Pick<PublisherParts, "nodeKey" | "signAsSvid">,
  svids: readonly PublisherSvid[],
  signedAtS: number,
): Block {
  const { publicKey: nodePublicKey } = nodeKey;
  const chains = svids.map(({ chain }) => chain);
  const svidSignatures = svids.map((svid) =>
    signAsSvid(svid, svidPreimage(recordId, nodePublicKey, signedAtS, svid.chain)),
  );
  const preimage = nodePreimage(recordId, signedAtS, chains, svidSignatures, recovery);
  const nodeSignature = nodeKey.sign(preimage);
  return { nodePublicKey, signedAtS, chains, svidSignatures, nodeSignature };
}
