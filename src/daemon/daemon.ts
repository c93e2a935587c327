/**
 * The daemon: builds the rooms, wires them around the core, starts and stops them in order.
 *
 *     start: data directory and store → keys → core → admin socket → SPIRE → peers
 *     stop:  all rooms at once; the store closes last
 *
 * The only place that knows all rooms, and where the clock is read.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { AdminServer } from "../admin/admin-server.ts";
import type { MeshEvent as WatchedEvent } from "../admin/operations.ts";
import { checkNobodyListens } from "../admin/socket-path.ts";
import type { Config } from "../config/config.ts";
import { resolveRuntimeDirectory } from "../config/runtime-directory.ts";
import type { MeshEvent } from "../core/mesh/effect.ts";
import { newMeshState } from "../core/mesh/mesh-state.ts";
import { fromHex } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import { openNodeKey } from "../keys/node-key.ts";
import { openPublisher } from "../keys/publisher.ts";
import { createPeerNetwork } from "../p2p/libp2p-network.ts";
import { nodeOfPeerId, peerIdOfNode, readPeerId } from "../p2p/node-identity.ts";
import type { RecordStore, StoredContents } from "../ports/record-store.ts";
import { MeshLoop } from "../runtime/mesh-loop.ts";
import { loadStored, thinWith } from "../runtime/stored-slot.ts";
import { connectSpireServer } from "../spire/spire-server.ts";
import { openRecordStore } from "../store/level-record-store.ts";
import { type Logger, createLogger } from "../telemetry/log.ts";
import { x509Proofs } from "../x509/proofs.ts";
import { logEvent, watchEvent } from "./event-log.ts";
import { createKnocker } from "./knocking.ts";
import { createMonitoring } from "./monitoring.ts";
import { createOperations } from "./operations.ts";
import { createPeerEvents } from "./peer-events.ts";
import { createSpireSide } from "./spire-side.ts";
import { createSyncSource } from "./sync-source.ts";

/** How often the keyring looks whether an X509-SVID is past half its life. */
const MINT_CHECK_MS = 10_000;
/** Under the 5 s in which the daemon is to be gone after SIGTERM. What hangs then is cut off. */
const STOP_DEADLINE_MS = 4_500;
/** How soon a file that is closed at last lets the daemon end. */
const FILES_CHECK_MS = 20;
/** What is left of them for a log that is read slowly. Lines that are not read by then are lost. */
const LOG_FLUSH_DEADLINE_MS = 300;

/** Rows whose trust domain name is invalid are logged once each, up to this many. Above: left out. */
const UNREADABLE_NAMES_MAX = 100;

/**
 * Runs until SIGTERM or SIGINT. Resolves with the exit code; throws a `Fault` that ended it, or logs it
 * where the log is JSON.
 *
 * @param load Reads the configuration, and again at SIGHUP: that takes its `peers`, the rest needs a
 * restart.
 */
export async function runDaemon(load: () => Promise<Config>): Promise<number> {
  const config = await load();
  const log = createLogger({ level: config.logLevel, format: config.logFormat });
  try {
    await runUntilAsked(config, load, log);
    return 0;
  } catch (error) {
    if (!(error instanceof Fault) || config.logFormat !== "json") throw error;
    // Whoever reads this log reads JSON alone, and the last line most of all.
    const { code, advice: next, details, message } = error;
    log.error({ ...details, code, next }, message);
    return error.exitCode;
  } finally {
    await log.flush(LOG_FLUSH_DEADLINE_MS);
  }
}

async function runUntilAsked(
  config: Config,
  reload: () => Promise<Config>,
  log: Logger,
): Promise<void> {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve());
  const opening = Daemon.open(config, log);
  const readPeers = async (daemon: Daemon): Promise<void> => {
    try {
      const { peers } = await reload();
      daemon.configurePeers(peers);
      log.info({ peers: peers.length }, "Peers read again");
    } catch (error) {
      log.error({ error }, "The configuration stays as it was");
    }
  };
  // Asked while it starts, they are read when it has; a start that fails has its own last words.
  process.on("SIGHUP", () => void opening.then(readPeers).catch(() => undefined));
  // SPIRE's signal for a rotated log file; this log goes to stderr, so there is nothing to open.
  process.on("SIGUSR2", () => log.info({}, "The log goes to stderr"));
  const daemon = await opening;
  let isStopped = false;
  try {
    await daemon.start();
    await Promise.race([asked, daemon.failed]);
    log.info({}, "Stopping");
  } finally {
    isStopped = await stopInTime(daemon);
    if (!isStopped) endUnstopped(log);
  }
  if (isStopped) log.info({}, "Stopped");
}

/** False when something hangs at the deadline. */
async function stopInTime(daemon: Daemon): Promise<boolean> {
  const stopped = daemon.stop().then(filesClosed);
  const late = sleep(STOP_DEADLINE_MS, false, { ref: false });
  return await Promise.race([stopped.then(() => true), late]);
}

/** Resolves when nothing reads or writes a file any more, such as an X509-SVID that is being kept. */
async function filesClosed(): Promise<void> {
  while (process.getActiveResourcesInfo().includes("FSReqPromise")) await sleep(FILES_CHECK_MS);
}

/**
 * At its exit Node waits for each thread that waits for a disk, for as long as that hangs (measured).
 * A kill does not. Whatever was acknowledged is on disk already.
 */
function endUnstopped(log: Logger): void {
  log.warn({}, "Not stopped in time, as when a disk hangs: killed, nothing acknowledged is lost");
  process.once("exit", () => process.kill(process.pid, "SIGKILL"));
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
    const store = await openRecordStore(config.dataDir, { thin: thinWith(x509Proofs) });
    try {
      return new Daemon(await buildParts(config, log, store));
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async start(): Promise<void> {
    const { admin, monitoring, loop, spireSide, network, knock, onEvent, log, config, mintAhead } =
      this.#parts;
    await admin.start();
    await monitoring.start();
    const { orderRow } = spireSide;
    loop.start({ network, orderRow, knock, onEvent });
    spireSide.start();
    await network.start();
    this.#mintTimer = setInterval(mintAhead, MINT_CHECK_MS);
    const addresses = network.addresses().join(",");
    log.info({ trust_domain_id: config.trustDomain, addresses }, "Daemon started");
  }

  /** Addresses of the configuration, in place of those before. */
  configurePeers(addresses: readonly string[]): void {
    this.#parts.configuredPeers.addresses = addresses;
    this.#parts.network.configurePeers(addresses);
  }

  async stop(): Promise<void> {
    const { admin, monitoring, loop, spireSide, network, store, stopping } = this.#parts;
    stopping.begun = true;
    clearInterval(this.#mintTimer);
    const rooms = [network, spireSide, loop, admin, monitoring];
    await Promise.all(rooms.map(async (room) => await room.stop()));
    await store.close();
  }
}

type Parts = Awaited<ReturnType<typeof buildParts>>;

/** Builds every room; nothing moves before `start`. */
async function buildParts(config: Config, log: Logger, store: RecordStore) {
  const nowMs = Date.now;
  const { trustDomain } = config;
  const stopping = { begun: false };
  const isStopping = (): boolean => stopping.begun;
  const { promise: fatal, reject: onFatal } = Promise.withResolvers<never>();
  const onTrouble = (what: string, error: unknown): void => {
    if (!stopping.begun) log.warn({ error }, `${what} failed`);
  };

  const load = async (): Promise<StoredContents> => {
    const contents = await store.load();
    if (contents.marksLost) log.warn({}, "The marks were lost and are made anew from the store");
    return contents;
  };
  const stored = await loadStored({ load }, trustDomain, x509Proofs);
  const nodeKey = await openNodeKey(config.dataDir, stored.own !== undefined);
  const self = {
    trustDomain,
    nodePublicKey: nodeKey.publicKey,
    role: "publisher" as const,
    unmanaged: new Set(config.policy.unmanaged),
  };
  const state = newMeshState(self, stored, nowMs());
  const runtime = await resolveRuntimeDirectory(config);
  for (const notice of runtime.notices) log.warn({}, notice);
  await checkNobodyListens(runtime.adminSocketPath); // Before the keyring tidies runtime_dir.
  const unreadable = new Set<string>();
  const spire = connectSpireServer({
    socketPath: config.spire.socketPath,
    onUnreadableName: (name) => {
      if (unreadable.size >= UNREADABLE_NAMES_MAX || unreadable.has(name)) return;
      unreadable.add(name);
      log.warn({ name }, "A federated bundle has no readable trust domain and is left alone");
    },
  });
  const { svidCache: policy, dataDir } = config;
  const keyring = await openPublisher(
    { trustDomain, nodeKey, svidCache: { policy, runtimeDir: runtime.path, dataDir } },
    { mint: spire.mintX509Svid.bind(spire), warn: (message) => log.warn({}, message) },
  );
  const mintNow = (): void => {
    keyring.mintAhead(nowMs()).catch((error: unknown) => onTrouble("Minting an X509-SVID", error));
  };
  /** Not while SPIRE is away, which is told once: `onBack` mints then. */
  const mintAhead = (): void => {
    if (state.spireAway === undefined) mintNow();
  };

  const loop = new MeshLoop({ state, proofs: x509Proofs, store, keyring, onTrouble, nowMs });
  const spireSide = createSpireSide(config, {
    spire,
    put: (input) => void loop.put(input),
    onBack: mintNow,
    onTrouble,
    onFatal,
  });
  const p2pLog = log.child("p2p");
  const network = await createPeerNetwork(
    {
      nodeKeySeed: () => nodeKey.seed,
      listen: config.listen,
      announce: config.announce,
      peers: config.peers,
      log: (level, message, fields) => p2pLog[level](fields ?? {}, message),
    },
    createPeerEvents(loop, nodeOf),
    createSyncSource(state, store),
  );
  const monitoring = createMonitoring(config, {
    state,
    network,
    isStopping,
    log: log.child("telemetry"),
    nowMs,
  });
  const listeners = new Set<(event: WatchedEvent) => void>();
  const onEvent = (event: MeshEvent): void => {
    logEvent(log, event, peerIdOf);
    monitoring.onEvent(event);
    const watched = watchEvent(event, peerIdOf, nowMs());
    for (const listener of listeners) listener(watched);
  };
  const operations = createOperations({
    state,
    loop,
    network,
    store,
    spire,
    readRows: spireSide.readRows,
    proofs: x509Proofs,
    nodeOf,
    isStopping,
    privateDirectories: [dataDir, runtime.path],
    log,
    nowMs,
    watch: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  });
  const admin = new AdminServer(
    { socketPath: runtime.adminSocketPath },
    { operations, onDefect: (error) => log.error({ error }, "Operation failed") },
  );
  const rooms = { admin, monitoring, loop, spireSide, network, store };
  const configuredPeers = { addresses: config.peers };
  const knock = createKnocker({ state, network, peers: () => configuredPeers.addresses });
  return { ...rooms, knock, configuredPeers, config, log, mintAhead, onEvent, fatal, stopping };
}

function peerIdOf(node: string): string {
  return peerIdOfNode(fromHex(node)).toString();
}

function nodeOf(peerId: string): Uint8Array | undefined {
  const id = readPeerId(peerId);
  return id && nodeOfPeerId(id);
}
