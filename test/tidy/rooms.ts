/**
 * The rooms of the house, bottom up: what each holds, which rooms it may import, which npm packages
 * it owns and which `node:` modules it may use. Data only; rooms.test.ts holds the tree to it, and
 * docs/architecture.md shows it.
 *
 * A room may import only rooms that stand above it in this list, so imports go in one direction. What
 * is allowed is in use: a permission that nobody needs any more goes.
 */

export interface Room {
  /** Folder or file below src/, or `peers…`, `simulations`. The longest name that fits a path is its room. */
  readonly name: string;
  readonly holds: string;
  readonly imports: readonly string[];
  /** npm packages. Each has one owner; {@link SHARED_PACKAGES} lists the exceptions. */
  readonly packages: readonly string[];
  /**
   * `node:` modules with all below them (`node:fs` has `node:fs/promises`); `node:crypto#hash` means
   * that name alone. Rooms outside the core also have {@link NODE_EVERYWHERE}; the core has only what
   * is pure.
   */
  readonly node: readonly string[];
}

const SPIFFE = ["core/std", "core/spiffe"];
const RECORD = [...SPIFFE, "core/record"];

/** What reaches nothing outside the process and decides nothing. */
export const NODE_EVERYWHERE: readonly string[] = [
  "node:assert",
  "node:events",
  "node:path",
  "node:stream",
  "node:timers",
  "node:url",
  "node:util",
];

export const ROOMS: readonly Room[] = [
  {
    name: "core/std",
    holds: "results, bytes, limits, SHA-256, strict CBOR",
    imports: [],
    packages: ["cborg"],
    node: ["node:crypto#hash"],
  },
  {
    name: "core/spiffe",
    holds: "trust domain, trust bundle",
    imports: ["core/std"],
    packages: [],
    node: [],
  },
  {
    name: "core/record",
    holds: "state records, envelopes, preimages, verification, refusals",
    imports: SPIFFE,
    packages: [],
    node: ["node:assert"],
  },
  {
    name: "core/resolver",
    holds: "one slot for each trust domain: version order, forks, what is gone",
    imports: RECORD,
    packages: [],
    node: [],
  },
  {
    name: "core/policy",
    holds: "what SPIRE's row of a trust domain shall be",
    imports: [...SPIFFE, "core/resolver"],
    packages: [],
    node: [],
  },
  {
    name: "core/mesh",
    holds: "the one state machine: step(state, input, nowMs)",
    imports: [...RECORD, "core/resolver", "core/policy"],
    packages: [],
    node: ["node:assert"],
  },
  {
    name: "fault",
    holds: "failures of our own side, with code, advice and exit code",
    imports: [],
    packages: [],
    node: [],
  },
  {
    name: "printable",
    holds: "text from elsewhere, safe to be read in a terminal or a log",
    imports: [],
    packages: [],
    node: [],
  },
  {
    name: "private-files",
    holds: "files and directories of this user alone: how they are made, opened and checked",
    imports: ["fault"],
    packages: [],
    node: ["node:fs"],
  },
  {
    name: "ports",
    holds: "the interfaces to SPIRE Server, peers, store and keys",
    imports: ["core/spiffe", "core/record", "core/mesh"],
    packages: [],
    node: [],
  },
  {
    name: "spire-api",
    holds: "SPIRE Server's API: own .proto files, generated code, a Unix socket",
    imports: [],
    packages: ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-node"],
    node: ["node:http2", "node:net"],
  },
  {
    name: "x509",
    holds: "strict DER gate, certificate and key facts, CSRs, bundle documents",
    imports: RECORD,
    packages: [],
    node: ["node:crypto", "node:net#isIP"],
  },
  {
    name: "spire",
    holds: "SPIRE Server: watch its bundle, write rows, read them back, mint SVIDs",
    imports: ["core/std", "core/spiffe", "core/mesh", "ports", "fault", "spire-api"],
    packages: [],
    node: ["node:fs#lstat"],
  },
  {
    name: "p2p",
    holds: "the libp2p node: gossip, sync, dialing, admission",
    imports: [...RECORD, "core/mesh", "ports", "fault"],
    packages: [
      "@libp2p/crypto",
      "@libp2p/gossipsub",
      "@libp2p/identify",
      "@libp2p/interface",
      "@libp2p/noise",
      "@libp2p/peer-id",
      "@libp2p/ping",
      "@libp2p/tcp",
      "@libp2p/utils",
      "@libp2p/yamux",
      "@multiformats/multiaddr",
      "libp2p",
    ],
    node: [],
  },
  {
    name: "store",
    holds: "records, pins and marks on disk",
    imports: [...RECORD, "core/mesh", "ports", "fault", "private-files"],
    packages: ["level"],
    node: ["node:fs", "node:net"],
  },
  {
    name: "keys",
    holds: "node key, publisher SVIDs, signing, recovery keys",
    imports: [...RECORD, "ports", "fault", "private-files", "x509"],
    packages: [],
    node: ["node:crypto", "node:fs"],
  },
  {
    name: "config",
    holds: "the configuration file: schema, defaults, problems with file:line:column",
    imports: [...SPIFFE, "fault", "private-files"],
    packages: ["yaml"],
    node: ["node:fs"],
  },
  {
    name: "telemetry",
    holds: "log, metrics, health checks",
    imports: [...RECORD, "core/mesh", "fault", "printable"],
    packages: ["pino", "prom-client"],
    node: ["node:fs", "node:http", "node:net"],
  },
  {
    name: "runtime",
    holds: "input queue, effect runner, timers",
    imports: [...RECORD, "core/resolver", "core/mesh", "ports", "fault"],
    packages: [],
    node: [],
  },
  {
    name: "admin-contract",
    holds: "schemas and client of the admin API: all that a command loads",
    imports: ["fault"],
    packages: ["zod"],
    node: ["node:http", "node:fs"],
  },
  {
    name: "admin",
    holds: "the admin API on a Unix socket",
    imports: ["core/spiffe", "fault", "printable", "private-files", "telemetry", "admin-contract"],
    packages: ["fastify", "fastify-type-provider-zod"],
    node: ["node:fs", "node:http", "node:net"],
  },
  {
    name: "daemon",
    holds: "builds and wires the rooms, starts and stops them: the only place that knows all",
    imports: [
      ...RECORD,
      "core/resolver",
      "core/policy",
      "core/mesh",
      "ports",
      "fault",
      "spire",
      "p2p",
      "x509",
      "store",
      "keys",
      "config",
      "telemetry",
      "runtime",
      "admin-contract",
      "admin",
    ],
    packages: [],
    node: ["node:process"],
  },
  {
    name: "cli/run",
    holds: "the command `run`, alone in loading the daemon",
    imports: ["config", "daemon"],
    packages: [],
    node: ["node:process"],
  },
  {
    name: "cli",
    holds: "the commands, over the admin client",
    imports: [
      "core/record",
      "fault",
      "printable",
      "private-files",
      "keys",
      "config",
      "admin-contract",
      "cli/run",
    ],
    packages: ["commander"],
    node: ["node:fs", "node:readline"],
  },
  {
    name: "main",
    holds: "argv to the commands",
    imports: ["fault", "cli"],
    packages: [],
    node: ["node:process"],
  },
  {
    name: "peers/embedded-spire",
    holds: "a stand-in for SPIRE Server's API socket, a process of its own",
    imports: ["spire-api"],
    packages: ["@peculiar/x509", "reflect-metadata", "write-file-atomic"],
    node: ["node:crypto", "node:fs", "node:process", "node:sqlite"],
  },
  {
    name: "peers",
    holds: "a mesh on one machine as the demo and the end-to-end tests start it",
    imports: ["spire-api", "admin-contract"],
    packages: [],
    node: ["node:child_process", "node:fs", "node:net", "node:process"],
  },
  {
    name: "peers/demo",
    holds: "a mesh on one machine: starts the processes and shows them",
    imports: ["admin-contract", "peers"],
    packages: ["log-update"],
    node: ["node:fs", "node:process"],
  },
  {
    name: "simulations/world",
    holds: "cores in virtual time from a seed, with a lossy network and proofs by table",
    imports: [...RECORD, "core/mesh", "ports", "keys", "runtime", "daemon"],
    packages: ["pure-rand", "tinyqueue"],
    node: ["node:crypto#createSecretKey", "node:crypto#KeyObject"],
  },
  {
    name: "simulations/actors",
    holds:
      "what a world is brought: SPIRE Server and its ills, a disk that is full, an operator, a rogue",
    imports: [
      ...RECORD,
      "core/resolver",
      "core/mesh",
      "ports",
      "fault",
      "spire",
      "keys",
      "simulations/world",
    ],
    packages: [],
    node: [],
  },
  {
    name: "simulations/checkers",
    holds: "the laws that hold after every event, and those once all is well",
    imports: [
      ...RECORD,
      "core/resolver",
      "core/mesh",
      "ports",
      "simulations/world",
      "simulations/actors",
    ],
    packages: [],
    node: [],
  },
  {
    name: "simulations",
    holds: "scenarios: everybody beside everybody, under faults; run.ts prints one seed",
    imports: ["simulations/world", "simulations/actors", "simulations/checkers"],
    packages: [],
    node: ["node:process"],
  },
];

/** Packages that a second room may import, and why. Their owner is the room that lists them. */
export const SHARED_PACKAGES: Readonly<
  Record<string, { readonly rooms: readonly string[]; readonly why: string }>
> = {
  zod: {
    rooms: ["config", "admin"],
    why: "one schema language for the configuration file and the admin API",
  },
  "@bufbuild/protobuf": {
    rooms: ["peers/embedded-spire"],
    why: "the stand-in keeps messages of SPIRE's API in its datastore and prints them",
  },
};
