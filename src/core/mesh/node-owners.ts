/**
 * Whose a node is. A record may list any key, another domain's node too, so listing alone proves
 * nothing; a block in the held record does, as the node itself signed that domain's state in it.
 *
 *     listed by one trust domain ─────────────────────▶ it is that one's
 *     listed by several, signed for one of them ──────▶ it is that one's
 *     listed by several, signed for none or several ──▶ it is nobody's
 *
 * Law: what one trust domain lists never takes a node from another that the node has signed for.
 */
import { toHex } from "../std/bytes.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";

/** What a trust domain lists, and who signed what is held of it. Keys of 32 bytes. */
export interface Listed {
  readonly nodes: readonly Uint8Array[];
  readonly signers: readonly Uint8Array[];
}

export function listedBy(slot: Slot): Listed {
  return {
    nodes: slot.effective.state.nodes,
    signers: slot.held.blocks.map(({ block }) => block.nodePublicKey),
  };
}

export class NodeOwners {
  /** By node in hex: who lists it, and whether the node signed what is held of that one. */
  readonly #listedBy = new Map<string, Map<TrustDomain, boolean>>();
  /** By trust domain, in hex. Bounded by the partners and the nodes of a record. */
  readonly #nodes = new Map<TrustDomain, readonly string[]>();

  /**
   * Takes in what is held of a trust domain now, in place of what was; undefined when nothing is.
   *
   * @returns The trust domains that list one of its nodes, those of before included.
   */
  hold(trustDomain: TrustDomain, listed: Listed | undefined): ReadonlySet<TrustDomain> {
    const touched = new Set<TrustDomain>([trustDomain]);
    for (const node of this.#nodes.get(trustDomain) ?? []) {
      const listedBy = this.#listedBy.get(node);
      for (const each of listedBy?.keys() ?? []) touched.add(each);
      listedBy?.delete(trustDomain);
      if (listedBy?.size === 0) this.#listedBy.delete(node);
    }
    this.#nodes.delete(trustDomain);
    if (listed === undefined) return touched;
    const signed = new Set(listed.signers.map(toHex));
    const nodes = listed.nodes.map(toHex);
    this.#nodes.set(trustDomain, nodes);
    for (const node of nodes) {
      const listedBy = this.#listedBy.get(node) ?? new Map<TrustDomain, boolean>();
      this.#listedBy.set(node, listedBy.set(trustDomain, signed.has(node)));
      for (const each of listedBy.keys()) touched.add(each);
    }
    return touched;
  }

  /** The trust domain that a node (32 bytes as hex) speaks for. */
  ownerOf(node: string): TrustDomain | undefined {
    const listedBy = this.#listedBy.get(node) ?? new Map<TrustDomain, boolean>();
    const all = [...listedBy.keys()];
    const signedFor = all.filter((each) => listedBy.get(each));
    const [owner, another] = all.length === 1 ? all : signedFor;
    return another === undefined ? owner : undefined;
  }

  /** Every trust domain that lists the node, whoever's it is. */
  listersOf(node: string): readonly TrustDomain[] {
    return [...(this.#listedBy.get(node)?.keys() ?? [])];
  }

  /** What the trust domain lists, in hex. */
  nodesOf(trustDomain: TrustDomain): readonly string[] {
    return this.#nodes.get(trustDomain) ?? [];
  }

  /** The first node that the trust domain lists and that is not its own. */
  foreignNodeOf(trustDomain: TrustDomain): string | undefined {
    return this.#nodes.get(trustDomain)?.find((node) => this.ownerOf(node) !== trustDomain);
  }
}
