/** The daemon's SPIRE side: what is read becomes inputs, what the core orders is written. */
import type { Config } from "../config/config.ts";
import type { Input } from "../core/mesh/input.ts";
import type { RowOrder } from "../core/mesh/row-order.ts";
import { Fault } from "../fault.ts";
import type { SpireServer } from "../ports/spire-server.ts";
import { BundleWatcher } from "../spire/bundle-watcher.ts";
import { RowWatcher } from "../spire/row-watcher.ts";
import { RowWriter } from "../spire/row-writer.ts";

interface SpireSidePorts {
  readonly spire: SpireServer;
  readonly put: (input: Input) => void;
  /** SPIRE Server answered again after it was away. */
  readonly onBack: () => void;
  readonly onTrouble: (what: string, error: unknown) => void;
  /** The daemon must not go on beside this SPIRE Server. */
  readonly onFatal: (fault: Fault) => void;
}

export interface SpireSide {
  readonly orderRow: (order: RowOrder) => void;
  /** Resolves when rows that were read from now on, or that they cannot be read, have been put. */
  readonly readRows: () => Promise<void>;
  readonly start: () => void;
  readonly stop: () => Promise<void>;
}

export function createSpireSide(config: Config, ports: SpireSidePorts): SpireSide {
  const { spire, put, onTrouble } = ports;
  const writer = new RowWriter({}, spire, {
    onRowOutcome: (order, outcome) => put({ kind: "row-ended", order, outcome }),
    onWritesDelayed: (fault) => onTrouble("Writing a federated bundle", fault),
  });
  const rows = new RowWatcher({}, spire, {
    onRowsRead: (found, relationships) => put({ kind: "rows-read", rows: found, relationships }),
    onRowsUnread: ({ message, advice }) =>
      put({ kind: "rows-unread", reason: message, next: advice }),
  });
  const bundles = new BundleWatcher({ pollIntervalMs: config.spire.pollIntervalMs }, spire, {
    onBundleRead: (bundle) => {
      if (bundle.trustDomain === config.trustDomain) put({ kind: "local-bundle-read", bundle });
      else ports.onFatal(otherTrustDomain(config, bundle.trustDomain));
    },
    onSpireAway: ({ message, advice }) =>
      put({ kind: "spire-away", reason: message, next: advice }),
    onSpireBack: () => {
      put({ kind: "spire-back" });
      void rows.readNow();
      ports.onBack();
    },
  });
  return {
    orderRow: (order) => writer.order(order),
    readRows: async () => await rows.readNow(),
    start: () => {
      writer.start();
      bundles.start();
      rows.start();
    },
    stop: async () => {
      spire.close(); // Ends calls under way, or the watchers would wait for their deadlines.
      await Promise.all([bundles.stop(), rows.stop(), writer.stop()]);
    },
  };
}

function otherTrustDomain({ spire, trustDomain }: Config, found: string): Fault {
  const message = `the SPIRE Server at ${spire.socketPath} serves ${found}, and this daemon is configured for ${trustDomain}`;
  return new Fault("SPIRE_OTHER_TRUST_DOMAIN", message);
}
