/**
 * The daemon: builds the rooms, wires them around the core, starts and stops them in order.
 *
 *     start: data directory and store → keys → core → admin socket → SPIRE → peers
 *     stop:  peers and SPIRE first, so that nothing new comes in; the store closes last
 *
 * The only place that knows all rooms, and where the clock is read.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { AdminServer } from "../admin/admin-server.ts";
import type { MeshEvent as WatchedEvent } from "../admin/operations.ts";
import type { Config } from "../config/config.ts";
import type { MeshEvent } from "../core/mesh/effect.ts";
import { type MeshState, newMeshState } from "../core/mesh/mesh-state.ts";
import { fromHex } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import { openNodeKey } from "../keys/node-key.ts";
import { openPublisher } from "../keys/publisher.ts";
import { createPeerNetwork } from "../p2p/libp2p-network.ts";
import { nodeOfPeerId, peerIdOfNode, readPeerId } from "../p2p/node-identity.ts";
import type { RecordStore } from "../ports/record-store.ts";
import { MeshLoop } from "../runtime/mesh-loop.ts";
import { loadStored } from "../runtime/stored-slot.ts";
import { BundleWatcher } from "../spire/bundle-watcher.ts";
import { RowWatcher } from "../spire/row-watcher.ts";
import { RowWriter } from "../spire/row-writer.ts";
import { connectSpireServer } from "../spire/spire-server.ts";
import { openRecordStore } from "../store/level-record-store.ts";
import { type Logger, createLogger } from "../telemetry/log.ts";
import { x509Proofs } from "../x509/proofs.ts";
import { logEvent, watchEvent } from "./event-log.ts";
import { createOperations } from "./operations.ts";
import { createPeerEvents } from "./peer-events.ts";
import { createSyncSource } from "./sync-source.ts";

/** How often the keyring looks whether an X509-SVID is past half its life. */
const MINT_CHECK_MS = 10_000;
/** docs/operations: stopped within 5 s of SIGTERM. What hangs then is cut off. */
const STOP_DEADLINE_MS = 4_500;

/** Runs until SIGTERM or SIGINT. Resolves with the exit code; throws a `Fault` that ended it. */
export async function runDaemon(config: Config): Promise<number> {
  const log = createLogger({ level: config.logLevel, format: config.logFormat });
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  const daemon = await Daemon.open(config, log);
  try {
    await daemon.start();
    await Promise.race([asked, daemon.failed]);
    log.info({}, "Stopping");
  } finally {
    await Promise.race([daemon.stop(), sleep(STOP_DEADLINE_MS, undefined, { ref: false })]);
  }
  log.info({}, "Stopped");
  return 0;
}

/** Everything that lives as long as the process. */
class Daemon {
  /** Rejects when the daemon cannot go on. Never resolves. */
  readonly failed: Promise<never>;
  readonly #parts: Parts;
  #mintTimer: NodeJS.Timeout | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.failed = Promise.race([parts.loop.failed, parts.fatal]);
    this.failed.catch(() => undefined);
  }

  static async open(config: Config, log: Logger): Promise<Daemon> {
    const store = await openRecordStore(config.dataDir);
    try {
      return new Daemon(await buildParts(config, log, store));
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async start(): Promise<void> {
    const { admin, loop, bundles, rows, writer, network, log, config } = this.#parts;
    await admin.start();
    loop.start();
    writer.start();
    bundles.start();
    rows.start();
    await network.start();
    this.#mintTimer = setInterval(() => this.#parts.mintAhead(), MINT_CHECK_MS);
    log.info(
      { trust_domain_id: config.trustDomain, addresses: network.addresses().join(",") },
      "Daemon started",
    );
  }

  async stop(): Promise<void> {
    const { admin, loop, bundles, rows, writer, network, spire, store, stopping } = this.#parts;
    stopping.begun = true;
    clearInterval(this.#mintTimer);
    spire.close(); // Ends calls under way, or the watchers would wait for their deadlines.
    await Promise.all([
      network.stop(),
      bundles.stop(),
      rows.stop(),
      writer.stop(),
      loop.stop(),
      admin.stop(),
    ]);
    await store.close();
  }
}

type Parts = Awaited<ReturnType<typeof buildParts>>;

async function buildParts(config: Config, log: Logger, store: RecordStore) {
  const nowMs = Date.now;
  const proofs = x509Proofs;
  const { trustDomain } = config;
  const stopping = { begun: false };
  const { promise: fatal, reject: fail } = Promise.withResolvers<never>();
  const nodeKey = await openNodeKey(config.dataDir);
  const spire = connectSpireServer({ socketPath: config.spire.socketPath });
  const svidCache = { policy: config.svidCache, runtimeDir: config.runtimeDir, dataDir: config.dataDir };
  const keyring = await openPublisher(
    { trustDomain, nodeKey, svidCache },
    { mint: spire.mintX509Svid.bind(spire), warn: (message) => log.warn({}, message) },
    nowMs(),
  );
  const stored = await loadStored(store, trustDomain, proofs);
  const unmanaged = new Set(config.policy.unmanaged);
  const self = { trustDomain, nodePublicKey: nodeKey.publicKey, unmanaged };
  const state: MeshState = newMeshState(self, stored, nowMs());

  const listeners = new Set<(event: WatchedEvent) => void>();
  const onEvent = (event: MeshEvent): void => {
    logEvent(log, event, peerIdOf);
    const watched = watchEvent(event, peerIdOf, nowMs());
    for (const listener of listeners) listener(watched);
  };
  const onTrouble = (what: string, error: unknown): void => {
    if (!stopping.begun) log.warn({ error: String(error) }, `${what} failed`);
  };

  const writer = new RowWriter({}, spire, {
    onRowOutcome: (order, outcome) => loop.put({ kind: "row-ended", order, outcome }),
    onWritesDelayed: (fault) => onTrouble("Writing a federated bundle", fault),
  });
  const loop = new MeshLoop({
    state,
    proofs,
    store,
    keyring,
    network: () => network,
    orderRow: (order) => writer.order(order),
    onEvent,
    onTrouble,
    nowMs,
  });
  const network = await createPeerNetwork(
    {
      nodeKeySeed: nodeKey.seed,
      listen: config.listen,
      announce: config.announce,
      peers: config.peers,
      log: (level, message, fields) => log[level](fields ?? {}, message),
    },
    createPeerEvents(loop, nodeOf),
    createSyncSource(state, store),
  );
  const mintAhead = (): void => {
    keyring.mintAhead(nowMs()).catch((error: unknown) => onTrouble("Minting an X509-SVID", error));
  };
  const rows = new RowWatcher({}, spire, {
    onRowsRead: (found, relationships) =>
      loop.put({
        kind: "rows-read",
        rows: found,
        relationships: relationships.map((each) => each.trustDomain),
      }),
    onRowsUnread: (fault) => onTrouble("Listing federated bundles", fault),
  });
  const bundles = new BundleWatcher({ pollIntervalMs: config.spire.pollIntervalMs }, spire, {
    onBundleRead: (bundle) => {
      if (bundle.trustDomain === trustDomain) loop.put({ kind: "local-bundle-read", bundle });
      else fail(otherTrustDomain(config, bundle.trustDomain));
    },
    onSpireAway: (fault) => loop.put({ kind: "spire-away", reason: fault.message }),
    onSpireBack: () => {
      loop.put({ kind: "spire-back" });
      rows.readNow();
      mintAhead();
    },
  });
  const operations = createOperations({
    state,
    loop,
    network,
    spire,
    proofs,
    nodeOf,
    isStopping: () => stopping.begun,
    watch: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    nowMs,
  });
  const admin = new AdminServer(
    { socketPath: config.admin.socketPath },
    { operations, onDefect: (error) => log.error({ error: String(error) }, "Operation failed") },
  );
  return {
    ...{ config, log, store, spire, state, loop, network, writer, rows, bundles, admin },
    ...{ mintAhead, fatal, stopping },
  };
}

function otherTrustDomain(config: Config, found: string): Fault {
  return new Fault(
    "SPIRE_OTHER_TRUST_DOMAIN",
    `the SPIRE Server at ${config.spire.socketPath} serves ${found}, and this daemon is configured for ${config.trustDomain}`,
  );
}

function peerIdOf(node: string): string {
  return peerIdOfNode(fromHex(node)).toString();
}

function nodeOf(peerId: string): Uint8Array | undefined {
  const id = readPeerId(peerId);
  return id && nodeOfPeerId(id);
}
