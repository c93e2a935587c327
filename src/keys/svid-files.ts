/**
 * Publisher SVIDs on a file system, so that they outlive a restart of the daemon beside a SPIRE
 * Server whose keys do not outlive its own. One PEM file each: the private key, then the chain,
 * as `openssl` reads them. On a disk the key would lie beside the node key and one snapshot would
 * hold both factors: hence tmpfs, unless the operator chose `disk`.
 *
 * Losing a file costs an SVID that SPIRE can mint again, so nothing that goes wrong here stops the
 * daemon: it is told, and what is left is used.
 */
import { type KeyObject, X509Certificate, createPrivateKey } from "node:crypto";
import { lstat, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { type Result, no } from "../core/std/result.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";
import { UNFINISHED, readPrivateFile, writePrivateFile } from "../private-files/private-file.ts";
import { type PublisherSvid, readPublisherSvid } from "./publisher-svid.ts";

/** Where SVIDs are kept beyond memory (docs/protocol.md 1). */
export type SvidCachePolicy = "memory" | "runtime_dir" | "disk";

export interface SvidPlaces {
  readonly policy: SvidCachePolicy;
  readonly runtimeDir: string;
  readonly dataDir: string;
}

/** Tells an operator, who may act on it. */
export type Warn = (message: string) => void;

const DIRECTORY = "svids";
/** statfs(2), TMPFS_MAGIC. */
const TMPFS = 0x01_02_19_94;
/** Of the SHA-256 of the trust domain's name, and of the leaf: enough to tell each from all others. */
const HASH_DIGITS = 32;
const HASH = `[0-9a-f]{${HASH_DIGITS}}`;
/** The last backslash is for the dot that UNFINISHED begins with. */
const FILE_NAME = new RegExp(`^${HASH}-${HASH}\\.pem(?:\\${UNFINISHED})?$`);
/** A key and the longest chain in PEM take 45 KiB. What is larger is not read, and said. */
const FILE_BYTES_MAX = 64 * 1024;
/** 16 SVIDs are kept, so more files than this are not ours, and not read. */
const FILES_MAX = 64;
const PEM_BLOCK = /-----BEGIN (?<label>[A-Z ]+)-----[A-Za-z0-9+/=\s]+-----END \k<label>-----/g;

/**
 * Opens the place that the policy names; undefined when SVIDs stay in memory. What another policy
 * left in the other place is removed whatever it holds, as nothing else ever would. `dataDir` is one
 * daemon's; `runtimeDir` may be shared, and what the daemon of another trust domain keeps there stays.
 *
 * Two daemons of one trust domain must not share it. The daemon looks first whether one listens on
 * its admin socket, which by default lies there; so this removes what another running daemon keeps
 * only where their `admin.socket_path` differ, or they start in the same moment. That one goes on
 * with what it holds in memory; its next start mints again.
 */
export async function openSvidFiles(
  { policy, runtimeDir, dataDir }: SvidPlaces,
  trustDomain: TrustDomain,
  warn: Warn,
): Promise<SvidFiles | undefined> {
  const parent = { memory: undefined, runtime_dir: runtimeDir, disk: dataDir }[policy];
  for (const other of [runtimeDir, dataDir].filter((each) => each !== parent)) {
    const files = new SvidFiles(join(other, DIRECTORY), trustDomain, warn);
    await files.clear(other === dataDir ? "every trust domain" : "own trust domain");
  }
  if (parent === undefined) return undefined;
  try {
    if (policy === "runtime_dir" && (await statfs(runtimeDir)).type !== TMPFS) {
      warn(`X509-SVIDs stay in memory: runtime_dir ${runtimeDir} is not on tmpfs`);
      return undefined;
    }
    const directory = join(parent, DIRECTORY);
    await preparePrivateDirectory(directory, policy === "disk" ? "data_dir" : "runtime_dir");
    return new SvidFiles(directory, trustDomain, warn);
  } catch (error) {
    warn(`X509-SVIDs stay in memory: ${messageOf(error)}`);
    return undefined;
  }
}

export class SvidFiles {
  readonly #directory: string;
  readonly #trustDomain: TrustDomain;
  /** With it the names of the trust domain's files begin. */
  readonly #prefix: string;
  readonly #warn: Warn;

  constructor(directory: string, trustDomain: TrustDomain, warn: Warn) {
    this.#directory = directory;
    this.#trustDomain = trustDomain;
    this.#prefix = `${shortHash(Buffer.from(trustDomain))}-`;
    this.#warn = warn;
  }

  /** Every SVID that a file of the trust domain holds whole; others are told and left as they are. */
  async load(): Promise<readonly PublisherSvid[]> {
    const svids: PublisherSvid[] = [];
    const names = (await this.#names()).filter((name) => name.startsWith(this.#prefix));
    const { unfinished = [], whole = [] } = Object.groupBy(names, (name) =>
      name.endsWith(UNFINISHED) ? "unfinished" : "whole",
    );
    for (const name of unfinished) await this.#remove(name); // A crash left it.
    for (const name of whole.slice(0, FILES_MAX)) {
      const read = await this.#read(join(this.#directory, name));
      if (read.ok) svids.push(read.value);
      else this.#warn(`kept X509-SVID ${name} is not used: ${read.reason}`);
    }
    return svids;
  }

  /**
   * Removes every file that has a name of ours, unread: a damaged one may still hold a private key.
   * Only where there is a directory and no link; a link in it goes, not what it points to.
   */
  async clear(whose: "own trust domain" | "every trust domain"): Promise<void> {
    const found = await lstat(this.#directory).catch(() => undefined);
    if (found?.isDirectory() !== true) return;
    const isDue = (name: string) => whose === "every trust domain" || name.startsWith(this.#prefix);
    for (const name of (await this.#names()).filter(isDue)) await this.#remove(name);
  }

  async keep(svid: PublisherSvid): Promise<void> {
    const key = svid.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const chain = svid.chain.map((der) => new X509Certificate(der).toString());
    const path = join(this.#directory, this.#nameOf(svid));
    await this.#attempt("be written", writePrivateFile(path, [key, ...chain].join("")));
  }

  async forget(svid: PublisherSvid): Promise<void> {
    await this.#remove(this.#nameOf(svid));
  }

  #nameOf({ facts: [leaf] }: PublisherSvid): string {
    return `${this.#prefix}${shortHash(leaf.der)}.pem`;
  }

  async #names(): Promise<readonly string[]> {
    const names = await this.#attempt("be listed", readdir(this.#directory));
    return (names ?? []).filter((name) => FILE_NAME.test(name));
  }

  async #remove(name: string): Promise<void> {
    await this.#attempt("be removed", rm(join(this.#directory, name), { force: true }));
  }

  async #read(path: string): Promise<Result<PublisherSvid, string>> {
    const file = await this.#attempt("be read", readPrivateFile(path, FILE_BYTES_MAX));
    if (file === undefined || file.kind === "missing") return no("it is gone");
    if (file.kind !== "read") return no(file.problem);
    const [key = "", ...chain] = file.text.match(PEM_BLOCK) ?? [];
    let privateKey: KeyObject;
    try {
      privateKey = createPrivateKey(key);
    } catch {
      return no("it does not begin with a private key");
    }
    if (chain.length === 0) return no("no certificate follows its private key");
    return readPublisherSvid(chain.map(derOfPem), privateKey, this.#trustDomain);
  }

  async #attempt<Value>(what: string, work: Promise<Value>): Promise<Value | undefined> {
    try {
      return await work;
    } catch (error) {
      this.#warn(`kept X509-SVIDs cannot ${what}: ${messageOf(error)}`);
      return undefined;
    }
  }
}

function shortHash(bytes: Uint8Array): string {
  return sha256Hex(bytes).slice(0, HASH_DIGITS);
}

function derOfPem(pem: string): Uint8Array {
  return Uint8Array.from(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----/g, ""), "base64"));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
