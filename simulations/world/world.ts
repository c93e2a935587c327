/**
 * A small world: N cores, the network between them, all in virtual time from one seed. What stands
 * beside a core is brought in from outside, and so are the laws, which are asked after every event.
 */
import type { Effect } from "../../src/core/mesh/effect.ts";
import type { Input } from "../../src/core/mesh/input.ts";
import { step as coreStep } from "../../src/core/mesh/step.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { SvidCache } from "../../src/keys/svid-cache.ts";
import { loadStored } from "../../src/runtime/stored-slot.ts";
import { Crash, Daemon, type Site } from "./daemon.ts";
import { Disk } from "./disk.ts";
import { Network } from "./network.ts";
import { TableProofs } from "./table-proofs.ts";
import { Timeline } from "./timeline.ts";

export type CoreStep = typeof coreStep;

/** Both throw when one is broken. */
export interface Laws {
  /** Before a step of a core. Returns what is asked of the step's effects. */
  onStep(site: Site, input: Input): (effects: readonly Effect[]) => void;
  onEvent(): void;
}

export class World {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly proofs = new TableProofs();
  readonly sites: Site[] = [];
  /** One line for each step of a core. */
  readonly log: string[] = [];
  laws: Laws | undefined;
  readonly #step: CoreStep;
  #broken: unknown;

  /** @param step Another than the core's, to see that the laws notice. */
  constructor(seed: number, step: CoreStep = coreStep) {
    this.timeline = new Timeline(seed);
    this.network = new Network(this.sites, this.timeline);
    this.#step = step;
  }

  /** Adds a daemon of a trust domain, which is not started yet. */
  add(name: string, connect: Site["connect"], disk = new Disk(), label = name): Site {
    const trustDomain = name as TrustDomain;
    const node = this.proofs.newKey("ed25519");
    const nodeHex = toHex(node.publicKey);
    const nowMs = (): number => this.timeline.nowMs() - site.behindMs;
    const site: Site = {
      trustDomain,
      label,
      node,
      nodeHex,
      disk,
      svids: new SvidCache(undefined, this.timeline.nowMs),
      connect,
      nowMs,
      behindMs: 0,
      daemon: undefined,
    };
    this.sites.push(site);
    return site;
  }

  /** Starts a daemon on what its disk holds, unless it runs. */
  async boot(site: Site): Promise<void> {
    const stored = await loadStored(site.disk, site.trustDomain, this.proofs);
    site.daemon ??= new Daemon(site, stored, this);
  }

  /** Lets time pass. Throws when a law is broken. */
  async pass(durationMs: number): Promise<void> {
    await this.timeline.pass(durationMs, () => {
      if (this.#broken !== undefined) throw this.#broken;
      this.laws?.onEvent();
    });
  }

  /** A step of a core, under the laws. */
  step(site: Site, ...given: Parameters<CoreStep>): readonly Effect[] {
    const [, input] = given;
    const check = this.laws?.onStep(site, input);
    const effects = this.#step(...given);
    this.log.push(
      `${this.timeline.nowMs()} ${site.label} ${input.kind}: ${effects.map(inWords).join(" ")}`,
    );
    check?.(effects);
    return effects;
  }

  kill(site: Site): void {
    if (site.daemon !== undefined) this.onEnd(site, new Crash());
  }

  /** A daemon died, or broke one of its own rules. */
  onEnd(site: Site, error: unknown): void {
    if (!(error instanceof Crash)) this.#broken ??= error;
    site.daemon?.stop();
    site.daemon = undefined;
    this.network.leave(site);
  }
}

function inWords(effect: Effect): string {
  if (effect.kind === "tell") {
    const { event } = effect;
    return "finding" in event ? `${event.kind} ${event.finding.code}` : event.kind;
  }
  if (effect.kind === "store-domain") {
    const { state, idHex } = effect.domain.slot.held.record;
    const { epoch, rev, sequence } = state.version;
    return `${effect.kind} ${state.trustDomain}@${epoch}.${rev}.${sequence} ${idHex.slice(0, 8)}`;
  }
  if (effect.kind !== "answer") return effect.kind;
  if (effect.answer.kind === "failed") return `failed (${effect.answer.message})`;
  return effect.answer.kind === "refused" ? effect.answer.refusal.code : effect.answer.kind;
}
