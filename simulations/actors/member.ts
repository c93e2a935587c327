/** A trust domain with all that stands beside its daemon: SPIRE Server, a disk, an operator's will. */
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { Daemon, Site } from "../world/daemon.ts";
import type { World } from "../world/world.ts";
import { FullDisk } from "./full-disk.ts";
import { Spire } from "./spire.ts";
import { connectSpire } from "./spire-rooms.ts";

export class Member {
  readonly site: Site;
  readonly spire: Spire;
  readonly disk = new FullDisk();
  /** Partners that the operator wants, and those that were forgotten. */
  readonly approved = new Set<TrustDomain>();
  readonly forgotten = new Set<TrustDomain>();

  constructor(name: string, world: World) {
    const { timeline, proofs } = world;
    const spire = new Spire(name as TrustDomain, timeline, proofs);
    this.spire = spire;
    this.site = world.add(name, (daemon) => connectSpire(spire, daemon, timeline), this.disk);
  }

  get trustDomain(): TrustDomain {
    return this.site.trustDomain;
  }

  get daemon(): Daemon | undefined {
    return this.site.daemon;
  }
}
