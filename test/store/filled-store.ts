/** A store with something in it, what is told of it, and how its files are damaged. */
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import type { StoredRecord } from "../../src/ports/record-store.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";

export const ALPHA = "alpha.test" as TrustDomain;
/** Without a pin: the own trust domain. */
export const OWN = "own.test" as TrustDomain;
export const ZERO = { epoch: 0, rev: 0, sequence: 0n };

/**
 * Five batches of bytes that do not compress, so that LevelDB keeps them as they are, over many
 * blocks of its log: a damaged block costs one batch in the middle and leaves those behind it.
 */
export async function fill(dataDir: string, from = 1n): Promise<void> {
  const store = await openRecordStore(dataDir);
  const envelope = crypto.getRandomValues(new Uint8Array(20_000));
  for (let sequence = from; sequence < from + 4n; sequence += 1n) {
    const domain = domainNamed(ALPHA, stored(sequence, { envelope }));
    await store.accept(domain, pinNamed(ALPHA), sequence === 1n);
    if (sequence % 4n === 2n) {
      const own = domainNamed(OWN, stored(sequence, { envelope }));
      await store.accept(own, undefined, sequence === 2n);
    }
  }
  await store.close();
}

/** What a store tells at a start, each record by its sequence and hash; or the fault instead. */
export interface Told {
  readonly pins: readonly string[];
  readonly held: readonly string[];
  readonly steps: readonly string[];
  readonly missing: readonly string[];
  readonly quarantined: boolean;
  readonly marksLost: boolean;
}

export async function openedWith(dataDir: string): Promise<Told | Error> {
  try {
    const store = await openRecordStore(dataDir);
    try {
      const { pins, domains, missing, quarantined, marksLost } = await store.load();
      const steps = await store.stepsAbove(ALPHA, ZERO, 64);
      return {
        pins: pins.map(({ trustDomain }) => trustDomain),
        held: domains.map(({ trustDomain, held }) => `${trustDomain} ${short(held)}`),
        steps: steps.map(short),
        missing: missing.map(({ trustDomain, sequence }) => `${trustDomain} ${sequence}`),
        quarantined: quarantined !== undefined,
        marksLost,
      };
    } finally {
      await store.close();
    }
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

function short({ sequence, envelope }: StoredRecord): string {
  return `${sequence} ${sha256Hex(envelope)}`;
}

/** @param share How far into the file, 0 to 1. */
export async function flipBit(path: string, share: number, bit: number): Promise<void> {
  const bytes = await readFile(path);
  const offset = Math.floor(share * bytes.length);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset);
  await writeFile(path, bytes);
}

/** The store's files that hold something; LevelDB's lock and its own diary do not count. */
export async function storeFiles(dataDir: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const name of (await readdir(join(dataDir, "store"))).sort()) {
    const isData = !/^LO(?:CK|G|G\.old)$/.test(name);
    if (isData && (await stat(join(dataDir, "store", name))).size > 0) {
      files.push(join("store", name));
    }
  }
  return files;
}
