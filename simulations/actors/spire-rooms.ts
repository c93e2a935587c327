/** The daemon's rooms beside SPIRE as they are, between its loop and a made-up server. */
import { BundleWatcher } from "../../src/spire/bundle-watcher.ts";
import { RowWatcher } from "../../src/spire/row-watcher.ts";
import { RowWriter } from "../../src/spire/row-writer.ts";
import type { Daemon, SpireSide } from "../world/daemon.ts";
import type { Timeline } from "../world/timeline.ts";
import type { Spire } from "./spire.ts";

/** Slower than a daemon polls, which saves three events in four. */
const POLL_MS = 1_000;
const MINT_CHECK_MS = 10_000;

export function connectSpire(
  spire: Spire,
  { loop, keyring, isAlive }: Daemon,
  pace: Timeline,
): SpireSide {
  const server = spire.connect(isAlive);
  const mintAhead = () => void keyring.mintAhead(pace.nowMs()).catch(() => undefined);
  const rows = new RowWatcher({ pace }, server, {
    onRowsRead: (rows) => loop.put({ kind: "rows-read", rows, relationships: [] }),
    onRowsUnread: ({ message: reason }) => loop.put({ kind: "rows-unread", reason }),
  });
  const writer = new RowWriter({ pace }, server, {
    onRowOutcome: (order, outcome) => loop.put({ kind: "row-ended", order, outcome }),
    onWritesDelayed: () => undefined,
  });
  const bundles = new BundleWatcher({ pollIntervalMs: POLL_MS, pace }, server, {
    onBundleRead: (bundle) => loop.put({ kind: "local-bundle-read", bundle }),
    onSpireAway: ({ message: reason }) => loop.put({ kind: "spire-away", reason }),
    onSpireBack: () => {
      loop.put({ kind: "spire-back" });
      void rows.readNow();
      mintAhead();
    },
  });
  const endMinting = pace.every(MINT_CHECK_MS, mintAhead);
  const rooms = [writer, rows, bundles];
  for (const room of rooms) room.start();
  return {
    mint: server.mint,
    orderRow: (order) => writer.order(order),
    stop: () => {
      endMinting();
      for (const room of rooms) void room.stop();
    },
  };
}
