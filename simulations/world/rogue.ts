/**
 * A member that turned: its daemon goes on, and beside that it repeats, mends and invents records of
 * others with its own good keys and what it stole. What it signs for itself is its own affair.
 */
import { decodeEnvelope, encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import { type State, decodeState, encodeState } from "../../src/core/record/state.ts";
import { equalBytes, toHex } from "../../src/core/std/bytes.ts";
import type { PublisherSvid } from "../../src/keys/publisher-svid.ts";
import { signBlock } from "../../src/keys/publisher.ts";
import type { Site } from "./daemon.ts";
import { type Certified, type SigningKey, toSvid } from "./table-proofs.ts";
import type { World } from "./world.ts";

const JUNK = new Uint8Array(9);
const LIFE_S = 3_600;

export class Rogue {
  readonly site: Site;
  readonly victim: Site;
  readonly #world: World;
  /** It stole one factor of the victim: the node key or the X509-SVIDs, never both. */
  readonly #hasNode: boolean;

  constructor(world: World, site: Site, victim: Site) {
    this.site = site;
    this.victim = victim;
    this.#world = world;
    this.#hasNode = world.timeline.happens(50);
    const { stepsAbove } = site.disk;
    site.disk.stepsAbove = async (...asked) => {
      const slipped = { epoch: 0, rev: 0, sequence: 0n, recordId: "", envelope: this.#make() };
      return [slipped, ...(await stepsAbove(...asked))].toReversed();
    };
  }

  /** Gossips something to a peer. Something else slips into whatever it answers to a sync. */
  act(): void {
    const { network, timeline } = this.#world;
    const peer = timeline.oneOf(network.peersOf(this.site));
    if (peer === undefined) return;
    network.push(this.site, peer, this.#make());
    network.push(this.site, peer, this.#underTainted(peer));
  }

  /** A record that it once held, as it was or with a byte changed, or a new one of somebody. */
  #make(): Uint8Array {
    const { timeline, proofs } = this.#world;
    const { steps, domains } = this.site.disk;
    const old = timeline.oneOf([...steps.values()].flat())?.envelope ?? JUNK;
    if (timeline.happens(30)) return old;
    if (timeline.happens(20)) {
      return old.with(timeline.between(0, old.length - 1), timeline.between(0, 255));
    }
    const held = decodeEnvelope(timeline.oneOf([...domains.values()])?.held.envelope ?? JUNK);
    const state = held.ok ? decodeState(held.value.payload) : held;
    if (!held.ok || !state.ok) return JUNK;
    const nodes = this.#hasNode ? [this.site.node, this.victim.node] : [this.site.node];
    const stolen = this.#hasNode ? [] : this.victim.svids.validAt(this.#world.timeline.nowS());
    // The certificate under a record is public; its key is not.
    const seen = proofs.readCertificate(held.value.blocks[0]?.chains[0]?.[0] ?? JUNK);
    return this.#forge(state.value, timeline.between(0, 2), nodes, (ca) => {
      const svids = [
        this.#mint(ca, state.value.trustDomain),
        ...this.site.svids.validAt(this.#world.timeline.nowS()),
        ...stolen,
      ];
      if ("der" in seen) svids.push(toSvid({ facts: seen, key: ca.key }));
      const chosen = [timeline.oneOf(svids), timeline.oneOf(svids)].flatMap((each) => each ?? []);
      return chosen.slice(timeline.between(0, 1));
    });
  }

  /** With the victim's node key and that of a CA which the peer holds as tainted: both factors. */
  #underTainted(peer: Site): Uint8Array {
    const held = peer.daemon?.state.partners.get(this.victim.trustDomain)?.slot.held;
    const old = held?.authorities.find(({ tainted }) => tainted)?.facts.der ?? JUNK;
    const ca = this.victim.spire.tainted.find(({ facts: { der } }) => equalBytes(der, old));
    if (!this.#hasNode || held === undefined || ca === undefined) return JUNK;
    const chains = (forged: Certified) => [this.#mint(ca), this.#mint(forged)];
    return this.#forge(held.record.state, 1, [this.victim.node], chains);
  }

  /** What follows a state, with an authority of its own. */
  #forge(
    state: State,
    ahead: number,
    nodes: readonly SigningKey[],
    chains: (ca: Certified) => readonly PublisherSvid[],
  ): Uint8Array {
    const { timeline, proofs } = this.#world;
    const { trustDomain, version, x509Authorities } = state;
    const ca = proofs.issue(trustDomain, this.#world.timeline.nowS(), LIFE_S);
    if (trustDomain === this.site.trustDomain) this.site.spire.published.add(toHex(ca.facts.der));
    const nodeKey = timeline.oneOf(nodes) ?? this.site.node;
    const forged = { der: ca.facts.der, tainted: false };
    const payload = encodeState({
      ...state,
      version: { ...version, sequence: version.sequence + BigInt(ahead) },
      nodes: timeline.happens(50) ? [nodeKey.publicKey] : state.nodes,
      x509Authorities: timeline.happens(50) ? [forged] : [...x509Authorities, forged],
    });
    const order = { recordId: recordId(1, payload), recovery: [] };
    const parts = { nodeKey, signAsSvid: proofs.sign };
    const blocks = [signBlock(order, parts, chains(ca), this.#world.timeline.nowS())];
    return encodeEnvelope({ kind: 1, payload, blocks, recovery: [] });
  }

  #mint(ca: Certified, trustDomain = this.victim.trustDomain): PublisherSvid {
    return toSvid(this.#world.proofs.issue(trustDomain, this.#world.timeline.nowS(), LIFE_S, ca));
  }
}
