/**
 * A keyring that signs by the table of proofs and decides as src/keys/publisher.ts does: the newest
 * SVID of each anchor is kept, one minted because of a change only ever supplies the new chain.
 */
import type { Anchors } from "../../src/core/record/authority.ts";
import { findAnchor, readChain } from "../../src/core/record/chain.ts";
import { nodePreimage, svidPreimage } from "../../src/core/record/preimages.ts";
import type { SigningOrder, SigningOutcome } from "../../src/core/record/signing.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import type { Keyring } from "../../src/ports/keyring.ts";
import type { Certified, SigningKey, TableProofs } from "./table-proofs.ts";

export interface SignerOptions {
  readonly trustDomain: TrustDomain;
  readonly node: SigningKey;
  /** Those kept in the runtime directory, by issuer, oldest first: they outlive a crash. */
  readonly svids: Map<string, Certified>;
  readonly mint: () => Promise<Certified>;
  readonly proofs: TableProofs;
}

/** A block over a record, whatever it says: two factors, and who holds both keys has both. */
export function signBlock(
  { recordId, recovery }: Pick<SigningOrder, "recordId" | "recovery">,
  node: SigningKey,
  svids: readonly Certified[],
  signedAtS: number,
) {
  const { publicKey: nodePublicKey } = node;
  const chains = svids.map(({ facts }) => [facts.der]);
  const svidSignatures = svids.map(({ facts, key }) =>
    key.sign(svidPreimage(recordId, nodePublicKey, signedAtS, [facts.der])),
  );
  const preimage = nodePreimage(recordId, signedAtS, chains, svidSignatures, recovery);
  return { nodePublicKey, signedAtS, chains, svidSignatures, nodeSignature: node.sign(preimage) };
}

export function createSigner({ trustDomain, node, svids, mint, proofs }: SignerOptions): Keyring {
  /** At start and after signing, whatever the newest SVID's age. */
  let isDue = true;
  const mintNow = async (): Promise<Certified> => {
    const svid = await mint();
    const issuer = toHex(svid.facts.issuer);
    svids.delete(issuer);
    svids.set(issuer, svid);
    isDue = false;
    return svid;
  };
  const speaks = ({ facts }: Certified, anchors: Anchors, timeS: number): boolean => {
    const chain = readChain([facts.der], proofs);
    if (!chain.ok || facts.notAfterS < timeS) return false;
    return findAnchor(chain.value, anchors, trustDomain, timeS, "NEW_AUTHORITY_MISSING", proofs).ok;
  };
  return {
    nodePublicKey: node.publicKey,
    async sign(order, nowMs): Promise<SigningOutcome> {
      const timeS = Math.floor(nowMs / 1_000);
      const newestFirst = [...svids.values()].toReversed();
      const old = newestFirst.filter((svid) => speaks(svid, order.heldAuthorities, timeS));
      const fresh = newestFirst.filter((svid) => speaks(svid, order.newAuthorities, timeS));
      const isFirst = order.heldAuthorities.length === 0;
      const both = fresh.find((svid) => isFirst || old.includes(svid));
      if (both === undefined && !isFirst && old[0] === undefined) return { kind: "no-old-chain" };
      const forNew = both ?? fresh[0] ?? (await mintNow());
      if (!speaks(forNew, order.newAuthorities, timeS)) {
        return { kind: "no-new-chain", problem: "SPIRE signs with another CA" };
      }
      isDue = true;
      const chosen = both === undefined && old[0] !== undefined ? [old[0], forNew] : [forNew];
      return { kind: "signed", block: signBlock(order, node, chosen, timeS) };
    },
    async mintAhead(nowMs) {
      const newest = [...svids.values()].at(-1)?.facts;
      const halfS = newest === undefined ? 0 : (newest.notBeforeS + newest.notAfterS) / 2;
      if (isDue || nowMs / 1_000 >= halfS) await mintNow();
    },
  };
}
