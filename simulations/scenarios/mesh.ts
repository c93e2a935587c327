/** Trust domains that all approve one another, each with SPIRE and an operator, under the laws. */
import { Member, type Replica } from "../actors/member.ts";
import { operate } from "../actors/operator.ts";
import { Invariants } from "../checkers/invariants.ts";
import { type CoreStep, World } from "../world/world.ts";

export class Mesh {
  readonly world: World;
  readonly members: readonly Member[];
  readonly laws: Invariants;

  /**
   * @param sizes How many replicas each trust domain has.
   * @param step Another than the core's, to see that the laws notice.
   */
  constructor(seed: number, sizes: readonly number[], step?: CoreStep) {
    const world = new World(seed, step);
    const members = sizes.map((size, index) => new Member(`td${index}.example`, world, size));
    this.world = world;
    this.members = members;
    this.laws = new Invariants(members);
    world.laws = this.laws;
    for (const member of members) {
      const partners = members.filter((each) => each !== member);
      for (const { trustDomain } of partners) member.approved.add(trustDomain);
      operate(member, partners, world.timeline);
    }
    for (const replica of this.replicas) replica.boot();
  }

  /** Those that are there, of all members. */
  get replicas(): readonly Replica[] {
    return this.members.flatMap(({ staying }) => staying);
  }
}
