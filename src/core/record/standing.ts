/**
 * What stands of a trust domain at one version: what its next record is judged against. One record's
 * own content, or, in a fork, what all records of that version have in common (resolver/fork.ts).
 */
import type { AuthorityFacts } from "./authority.ts";
import type { State } from "./state.ts";
import type { VerifiedRecord } from "./verify.ts";

export interface Standing {
  /** `lineage` is the record id of the genesis here, in a genesis too. `nodes` may be empty after a fork. */
  readonly state: State;
  /** Of each X.509 authority of the state. */
  readonly authorities: readonly AuthorityFacts[];
}

/** What a record says when it stands alone. */
export function standingOf({ record, authorities }: VerifiedRecord): Standing {
  return { state: { ...record.state, lineage: record.lineage }, authorities };
}
