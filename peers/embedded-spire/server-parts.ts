/** What the services of one server share. */
import type { CaManager } from "./ca-manager.ts";
import type { Datastore } from "./datastore.ts";
import type { FaultSwitch } from "./fault-switch.ts";
import type { Log } from "./log.ts";
import type { OwnBundle } from "./own-bundle.ts";
import type { UpstreamAuthority } from "./upstream-authority.ts";

export interface ServerParts {
  readonly trustDomain: string;
  readonly svidTtlMs: number;
  readonly datastore: Datastore;
  readonly ownBundle: OwnBundle;
  readonly ca: CaManager;
  /** Of a nested server. */
  readonly upstream: UpstreamAuthority | undefined;
  readonly faults: FaultSwitch;
  readonly log: Log;
  readonly nowMs: () => number;
}
