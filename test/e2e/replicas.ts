/**
 * SPIRE Servers of one trust domain on one datastore: real ones on a PostgreSQL that is started for
 * them, and embedded ones on a file. Each has a directory of its own, in which a daemon may be started
 * beside it.
 *
 *     const replicas = await Replicas.start(EMBEDDED_REPLICAS);
 *     await replicas.sites[0].startDaemon();
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Site, type SiteOptions, findSpire } from "../../peers/site.ts";
import { findPostgres, startPostgres } from "./postgres.ts";

/** As a site writes them. */
const DATASTORE_LINES = /database_type = .*\n *connection_string = .*/;

interface Datastore {
  readonly connectionString: string;
  stop(): Promise<void>;
}

/** What the servers are, and what they share. */
export interface ReplicaKind {
  readonly name: string;
  /** Path of a real `spire-server`; undefined is the embedded one. */
  readonly spireServer: string | undefined;
  /** @param directory Where it may keep something; removed by its caller, after `stop`. */
  openDatastore(directory: string): Promise<Datastore>;
}

export const EMBEDDED_REPLICAS: ReplicaKind = {
  name: "the embedded SPIRE Server",
  spireServer: undefined,
  openDatastore: async (directory) => ({
    connectionString: join(directory, "shared.sqlite3"),
    stop: async () => undefined,
  }),
};

/** Real servers on PostgreSQL; or in one line why they cannot run here. */
export function findRealReplicas(): ReplicaKind | string {
  const spireServer = findSpire("spire-server");
  if (spireServer === undefined) return "no spire-server on PATH or in SPIRE_BIN";
  const postgres = findPostgres();
  if (typeof postgres === "string") return postgres;
  return {
    name: "a real SPIRE Server on PostgreSQL",
    spireServer,
    openDatastore: async () => await startPostgres(postgres),
  };
}

export type ReplicaOptions = Partial<Omit<SiteOptions, "directory" | "spireServer">>;

export class Replicas {
  /** Whose SPIRE Servers run, and no daemon until a test starts it. */
  readonly sites: Site[] = [];
  readonly #directory: string;
  readonly #datastore: Datastore;
  readonly #spireServer: string | undefined;
  readonly #options: ReplicaOptions;

  private constructor(
    { spireServer }: ReplicaKind,
    directory: string,
    datastore: Datastore,
    options: ReplicaOptions,
  ) {
    this.#spireServer = spireServer;
    this.#directory = directory;
    this.#datastore = datastore;
    this.#options = options;
  }

  /** Two servers of `alpha.test`, unless the options name another. */
  static async start(kind: ReplicaKind, options: ReplicaOptions = {}): Promise<Replicas> {
    const directory = await mkdtemp(join(tmpdir(), "replicas-"));
    const replicas = new Replicas(kind, directory, await kind.openDatastore(directory), options);
    try {
      // One after the other: of two at once on an empty database one ends, as both make its tables
      // (4 of 4, measured).
      await replicas.add();
      await replicas.add();
      return replicas;
    } catch (error) {
      await replicas.stop();
      throw error;
    }
  }

  get trustDomain(): string {
    return this.#options.trustDomain ?? "alpha.test";
  }

  /** API sockets of the servers. */
  get sockets(): readonly string[] {
    return this.sites.map(({ spireSocket }) => spireSocket);
  }

  /** Starts one more server on the datastore; resolves once it serves. */
  async add(): Promise<Site> {
    const site = await Site.make({
      ...this.#options,
      trustDomain: this.trustDomain,
      directory: join(this.#directory, String(this.sites.length + 1)),
      spireServer: this.#spireServer,
    });
    const alone = await readFile(site.spireConfig, "utf8");
    const { connectionString } = this.#datastore;
    const shared = `database_type = "postgres"\n            connection_string = "${connectionString}"`;
    await writeFile(site.spireConfig, alone.replace(DATASTORE_LINES, shared));
    this.sites.push(site);
    await site.startSpire();
    return site;
  }

  /** Ends daemons, servers and the datastore, and removes what they left. */
  async stop(): Promise<void> {
    await Promise.all(this.sites.map(async (site) => await site.stop()));
    await this.#datastore.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
