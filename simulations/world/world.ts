/**
 * A small world: N trust domains, each with SPIRE, a daemon and a disk, between them a network, all
 * in virtual time from one seed. After every event the laws are checked.
 */
import type { Effect } from "../../src/core/mesh/effect.ts";
import type { Input } from "../../src/core/mesh/input.ts";
import { loadStored } from "../../src/runtime/stored-slot.ts";
import { Laws } from "../checkers/invariants.ts";
import { Crash, Daemon, Site } from "./daemon.ts";
import { Network } from "./network.ts";
import { operate } from "./operator.ts";
import { TableProofs } from "./table-proofs.ts";
import { Timeline } from "./timeline.ts";

export class World {
  readonly timeline: Timeline;
  readonly proofs = new TableProofs();
  readonly sites: readonly Site[];
  readonly network: Network;
  readonly laws: Laws;
  /** One line for each step of a core. */
  readonly log: string[] = [];
  #broken: unknown;

  constructor(seed: number, size: number) {
    this.timeline = new Timeline(seed);
    this.sites = Array.from({ length: size }, (_, index) => new Site(index, this));
    this.network = new Network(this.sites, this.timeline);
    this.laws = new Laws(this.sites);
    for (const site of this.sites) {
      const partners = this.sites.filter((each) => each !== site);
      for (const { trustDomain } of partners) site.approved.add(trustDomain);
      operate(site, partners, this.timeline);
      void this.boot(site);
    }
  }

  /** Starts a daemon on what its disk holds. */
  async boot(site: Site): Promise<void> {
    const stored = await loadStored(site.disk, site.trustDomain, this.proofs);
    if (site.daemon !== undefined) return;
    site.daemon = new Daemon(site, stored, this);
    site.daemon.start();
  }

  /** Lets time pass. Throws when a law is broken. */
  async pass(durationMs: number): Promise<void> {
    await this.timeline.pass(durationMs, () => {
      this.laws.everywhere();
      if (this.#broken !== undefined) throw this.#broken;
    });
  }

  /** A core made a step from what was held before. */
  onStep(site: Site, input: Input, effects: readonly Effect[], before: unknown): void {
    const told = effects.map((effect) =>
      effect.kind === "answer" && effect.answer.kind === "refused"
        ? effect.answer.refusal.code
        : effect.kind,
    );
    const what = `${site.trustDomain} ${input.kind}`;
    this.log.push(`${this.timeline.nowMs()} ${what}: ${told.join(" ")}`);
    this.laws.stepped(site, input, effects, before);
  }

  /** A daemon died, or broke one of its own rules. */
  onEnd(site: Site, error: unknown): void {
    if (!(error instanceof Crash)) this.#broken ??= error;
    site.daemon?.stop();
    site.daemon = undefined;
    this.network.leave(site);
  }
}
