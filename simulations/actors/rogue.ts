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
import type { Site } from "../world/daemon.ts";
import { type Certified, type SigningKey, toSvid } from "../world/table-proofs.ts";
import type { World } from "../world/world.ts";
import type { Member } from "./member.ts";

const JUNK = new Uint8Array(9);
const LIFE_S = 3_600;

export class Rogue {
  readonly self: Member;
  readonly victim: Member;
  readonly #world: World;
  /** It stole one factor of the victim: the node key or the X509-SVIDs, never both. */
  readonly #hasNode: boolean;

  constructor(world: World, self: Member, victim: Member) {
    this.self = self;
    this.victim = victim;
    this.#world = world;
    this.#hasNode = world.timeline.happens(50);
    const { disk } = self.first;
    const stepsAbove = disk.stepsAbove.bind(disk);
    disk.stepsAbove = async (...asked) => {
      const slipped = { epoch: 0, rev: 0, sequence: 0n, recordId: "", envelope: this.#make() };
      return [slipped, ...(await stepsAbove(...asked))].toReversed();
    };
  }

  /** Gossips something to a peer. Something else slips into whatever it answers to a sync. */
  act(): void {
    const { network, timeline } = this.#world;
    const { site } = this.self.first;
    const peer = timeline.oneOf(network.peersOf(site));
    if (peer === undefined) return;
    network.push(site, peer, this.#make());
    network.push(site, peer, this.#underTainted(peer));
  }

  /** A record that it once held, as it was or with a byte changed, or a new one of somebody. */
  #make(): Uint8Array {
    const { timeline, proofs } = this.#world;
    const { site, disk } = this.self.first;
    const { steps, domains } = disk;
    const old = timeline.oneOf([...steps.values()].flat())?.envelope ?? JUNK;
    if (timeline.happens(30)) return old;
    if (timeline.happens(20)) {
      return old.with(timeline.between(0, old.length - 1), timeline.between(0, 255));
    }
    const held = decodeEnvelope(timeline.oneOf([...domains.values()])?.held.envelope ?? JUNK);
    const state = held.ok ? decodeState(held.value.payload) : held;
    if (!held.ok || !state.ok) return JUNK;
    const nodes = this.#hasNode ? [site.node, this.victim.first.site.node] : [site.node];
    const stolen = this.#hasNode ? [] : this.victim.first.site.svids.validAt(timeline.nowS());
    // The certificate under a record is public; its key is not.
    const seen = proofs.readCertificate(held.value.blocks[0]?.chains[0]?.[0] ?? JUNK);
    return this.#forge(state.value, timeline.between(0, 2), nodes, (ca) => {
      const svids = [
        this.#mint(ca, state.value.trustDomain),
        ...site.svids.validAt(timeline.nowS()),
        ...stolen,
      ];
      if ("der" in seen) svids.push(toSvid({ facts: seen, key: ca.key }));
      const chosen = [timeline.oneOf(svids), timeline.oneOf(svids)].flatMap((each) => each ?? []);
      return chosen.slice(timeline.between(0, 1));
    });
  }

  /** With the victim's node key and that of a CA which the peer holds as tainted: both factors. */
  #underTainted({ daemon }: Site): Uint8Array {
    const held = daemon?.state.partners.get(this.victim.trustDomain)?.slot?.held;
    const old = held?.authorities.find(({ tainted }) => tainted)?.facts.der ?? JUNK;
    const ca = this.victim.datastore.tainted.find(({ facts: { der } }) => equalBytes(der, old));
    if (!this.#hasNode || held === undefined || ca === undefined) return JUNK;
    const chains = (forged: Certified) => [this.#mint(ca), this.#mint(forged)];
    return this.#forge(held.record.state, 1, [this.victim.first.site.node], chains);
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
    const ca = proofs.issue(trustDomain, timeline.nowS(), LIFE_S);
    if (trustDomain === this.self.trustDomain)
      this.self.datastore.published.add(toHex(ca.facts.der));
    const nodeKey = timeline.oneOf(nodes) ?? this.self.first.site.node;
    const forged = { der: ca.facts.der, tainted: false };
    const payload = encodeState({
      ...state,
      version: { ...version, sequence: version.sequence + BigInt(ahead) },
      nodes: timeline.happens(50) ? [nodeKey.publicKey] : state.nodes,
      x509Authorities: timeline.happens(50) ? [forged] : [...x509Authorities, forged],
    });
    const order = { recordId: recordId(1, payload), recovery: [] };
    const parts = { nodeKey, signAsSvid: proofs.sign };
    const blocks = [signBlock(order, parts, chains(ca), timeline.nowS())];
    return encodeEnvelope({ kind: 1, payload, blocks, recovery: [] });
  }

  #mint(ca: Certified, trustDomain = this.victim.trustDomain): PublisherSvid {
    const { timeline, proofs } = this.#world;
    return toSvid(proofs.issue(trustDomain, timeline.nowS(), LIFE_S, ca));
  }
}
