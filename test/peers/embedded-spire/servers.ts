/**
 * The servers that a suite runs against: the embedded one, and a real one where `spire-server` is on
 * PATH or in the directory SPIRE_BIN. What both have to do is written once.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe } from "vitest";
import { findSpire } from "../../../peers/site.ts";
import { type SpireApi, spireApi } from "../../../src/spire-api/client.ts";
import {
  type SpireOptions,
  type SpireProcess,
  startEmbeddedSpire,
  startRealSpire,
} from "./process.ts";

export interface ServerKind {
  readonly name: string;
  readonly start: (options: SpireOptions) => Promise<SpireProcess>;
}

const EMBEDDED: ServerKind = { name: "the embedded server", start: startEmbeddedSpire };
const REAL = realServer();
export const SERVERS: readonly ServerKind[] = REAL === undefined ? [EMBEDDED] : [EMBEDDED, REAL];

/** One running server and its API, for all tests of a suite. */
export interface ServerInUse {
  readonly server: SpireProcess;
  readonly api: SpireApi;
}

/** Runs the suite against a fresh server of each kind, trust domain `alpha.test`. */
export function describeServers(title: string, suite: (use: ServerInUse) => void): void {
  describe.each(SERVERS)(`${title} of $name`, ({ start }) => {
    let directory = "";
    let server: SpireProcess | undefined;
    let api: SpireApi | undefined;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "spire-"));
      server = await start({ trustDomain: "alpha.test", directory });
      api = spireApi({ socketPath: server.socketPath });
    });

    afterAll(async () => {
      api?.close();
      await server?.stop();
      await rm(directory, { recursive: true, force: true });
    });

    suite({
      get server() {
        assert(server !== undefined, "the suite's server runs");
        return server;
      },
      get api() {
        assert(api !== undefined, "the suite's server runs");
        return api;
      },
    });
  });
}

/** A directory that is removed after the work. */
export async function withDirectory<Value>(
  work: (directory: string) => Promise<Value>,
): Promise<Value> {
  const directory = await mkdtemp(join(tmpdir(), "spire-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function realServer(): ServerKind | undefined {
  const program = findSpire("spire-server");
  if (program === undefined) {
    process.stderr.write("No spire-server on PATH or in SPIRE_BIN: the embedded one runs alone.\n");
    return undefined;
  }
  return {
    name: "a real server",
    start: async (options) => await startRealSpire(program, options),
  };
}
