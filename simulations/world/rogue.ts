/**
 * A member that turned: its daemon goes on, and beside that it repeats, mends and invents records of
 * others with its own good keys and one stolen factor. What it signs for itself is its own affair.
 */
import { type Envelope, decodeEnvelope, encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import { type State, decodeState, encodeState } from "../../src/core/record/state.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import type { Daemon, Site } from "./daemon.ts";
import { signBlock } from "./signer.ts";
import type { Certified, SigningKey } from "./table-proofs.ts";
import type { World } from "./world.ts";

const JUNK = new Uint8Array(9);

export class Rogue {
  readonly site: Site;
  readonly victim: Site;
  readonly #world: World;
  /** Node keys and X509-SVIDs that it can sign with. */
  readonly #nodes: readonly SigningKey[];
  readonly #svids: readonly Site["svids"][];
  readonly #lying = new WeakSet<Daemon>();

  /** It stole one factor of the victim: the node key or the X509-SVIDs, never both. */
  constructor(world: World, site: Site, victim: Site) {
    this.site = site;
    this.victim = victim;
    this.#world = world;
    const hasNode = world.timeline.happens(50);
    this.#nodes = hasNode ? [site.node, victim.node] : [site.node];
    this.#svids = hasNode ? [site.svids] : [site.svids, victim.svids];
  }

  /** Gossips something to a peer, and slips something into what it answers to a sync. */
  act(): void {
    const { network, timeline } = this.#world;
    const peer = timeline.oneOf(network.peersOf(this.site));
    if (peer !== undefined) network.push(this.site, peer, this.#make());
    const { daemon } = this.site;
    if (daemon === undefined || this.#lying.has(daemon)) return;
    this.#lying.add(daemon);
    const records = daemon.source.records.bind(daemon.source);
    daemon.source.records = async (wants) => [this.#make(), ...(await records(wants))].toReversed();
  }

  /** A record that it once held, as it was or with a byte changed, or a new one of somebody. */
  #make(): Uint8Array {
    const { timeline } = this.#world;
    const { steps, domains } = this.site.disk;
    const old = timeline.oneOf([...steps.values()].flat())?.envelope ?? JUNK;
    if (timeline.happens(30)) return old;
    if (timeline.happens(20)) {
      return old.with(timeline.between(0, old.length - 1), timeline.between(0, 255));
    }
    const held = decodeEnvelope(timeline.oneOf([...domains.values()])?.held.envelope ?? JUNK);
    const state = held.ok ? decodeState(held.value.payload) : held;
    return held.ok && state.ok ? this.#forge(held.value, state.value) : JUNK;
  }

  /** What follows a state, with an authority of its own. */
  #forge(held: Envelope, state: State): Uint8Array {
    const { timeline, proofs } = this.#world;
    const { trustDomain, version, nodes, x509Authorities } = state;
    const nowS = Math.floor(timeline.nowMs() / 1_000);
    const ca = proofs.issue(trustDomain, nowS, 3_600);
    if (trustDomain === this.site.trustDomain) this.site.spire.published.add(toHex(ca.facts.der));
    const node = timeline.oneOf(this.#nodes) ?? this.site.node;
    const forged = { der: ca.facts.der, tainted: false };
    const payload = encodeState({
      ...state,
      version: { ...version, sequence: version.sequence + BigInt(timeline.between(0, 2)) },
      nodes: timeline.happens(50) ? [node.publicKey] : nodes,
      x509Authorities: timeline.happens(50) ? [forged] : [...x509Authorities, forged],
    });
    const svids: Certified[] = [proofs.issue(trustDomain, nowS, 3_600, ca)];
    for (const each of this.#svids) svids.push(...each.values());
    // The victim's certificate is public; its key is not.
    const seen = proofs.readCertificate(held.blocks[0]?.chains[0]?.[0] ?? JUNK);
    if ("der" in seen) svids.push({ facts: seen, key: ca.key });
    const chosen = [timeline.oneOf(svids), timeline.oneOf(svids)].flatMap((each) => each ?? []);
    const order = { recordId: recordId(1, payload), recovery: [] };
    const block = signBlock(order, node, chosen.slice(timeline.between(0, 1)), nowS);
    return encodeEnvelope({ ...held, payload, blocks: [block] });
  }
}
