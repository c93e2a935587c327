/**
 * The configuration file, key by key: what may stand there, what stands there by default. Names and
 * defaults are a contract with operators (peers/example.yaml shows all of them).
 *
 * A value whose feature this version does not have is refused by name. It is never ignored: who
 * writes `role: consumer` must not get a publisher.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import { PINNED_DOMAINS_MAX } from "../core/std/limits.ts";
import { readDurationMs } from "./duration.ts";

/** `sun_path` of unix(7), less the byte that ends it. Node cuts off what is longer. */
const SOCKET_PATH_BYTES_MAX = 107;
/** The admin socket is born as `….new` beside its place (admin/socket-path.ts). Above: CONFIG_INVALID. */
export const ADMIN_SOCKET_PATH_BYTES_MAX = SOCKET_PATH_BYTES_MAX - ".new".length;
/** Below, SPIRE Server would be asked all the time; above, a rotation is noticed too late to matter. */
const POLL_INTERVAL_MS = { min: 50, max: 60_000, words: "50ms to 1m" } as const;
/**
 * Configured peers are where a daemon begins; it hears of others from them. Above: CONFIG_INVALID,
 * refused.
 */
const PEERS_MAX = 256;
/** Addresses of one host. Above: CONFIG_INVALID, refused. */
const ADDRESSES_MAX = 16;
/** TCP has 16 bits for it. Above: CONFIG_INVALID, refused. */
const PORT_MAX = 65_535;

const trustDomain = z
  .string()
  .regex(TRUST_DOMAIN_NAME, { error: ({ input }) => trustDomainProblem(String(input)) })
  .transform((name) => name as TrustDomain);

/**
 * SPIRE Server ends at its start with such a name of its own ("x509: cannot parse URI", measured). The
 * names of others are as SPIFFE has them.
 */
const ownTrustDomain = trustDomain.refine(
  (name) => !name.split(".").includes(""),
  "has an empty label (a dot at an end, or two in a row), with which SPIRE Server does not start",
);

const trustDomains = z.array(trustDomain).max(PINNED_DOMAINS_MAX).default([]);

/** A duration as in Go, as milliseconds. */
function durationMs(bounds: {
  readonly min: number;
  readonly max: number;
  readonly words: string;
}) {
  const wanted = "write a duration such as 250ms or 1m30s";
  return z
    .string(wanted)
    .transform((text) => readDurationMs(text))
    .refine((ms) => ms !== undefined, { error: wanted, abort: true })
    .transform((ms) => ms ?? 0)
    .refine((ms) => ms >= bounds.min && ms <= bounds.max, `write ${bounds.words}`);
}

/** The rules of private-files/private-directory.ts, as an editor shows them to who writes the file. */
const DATA_DIR =
  "Node key and records. Made 0700. It must belong to the daemon's user, and nobody else may write " +
  "in it or replace it: every directory above belongs to root or to that user, and is not " +
  "group- or world-writable unless sticky. Others may read its name and list it (systemd's " +
  "StateDirectory is 0755): every file in it is 0600. In Kubernetes set fsGroup and name a new " +
  "directory inside the volume, such as /var/lib/spire-mesh/data: what fsGroup makes of it (2770, " +
  "files 0660) is taken for the pod's own.";
const RUNTIME_DIR =
  "admin.sock and cached X509-SVIDs, under the same rules as data_dir, best on tmpfs: systemd's " +
  "RuntimeDirectory, or in Kubernetes a new directory inside an emptyDir of medium Memory in a pod " +
  "with fsGroup. Where it cannot be used, the socket goes to data_dir/run, SVIDs stay in memory, " +
  "and the log says why.";

const port = z.int().min(0).max(PORT_MAX);
const host = z.string().regex(/^[0-9A-Za-z.:_-]{1,253}$/, "write an IP address or a host name");

/** The form alone, in ASCII as an export file has it: the p2p room resolves names and reads peer ids. */
const MULTIADDR =
  /^\/(ip4|ip6|dns|dns4|dns6)\/([!-.0-~]{1,253})\/tcp\/(\d{1,5})(\/p2p\/[0-9A-Za-z]{1,100})?$/;

/** @param form The network and whether a peer id follows, as far as this place narrows them. */
function multiaddr(form: RegExp, problem: string) {
  return z.string().refine((text) => {
    const [, network = "", address = "", tcpPort, peer = ""] = MULTIADDR.exec(text) ?? [];
    if (tcpPort === undefined || Number(tcpPort) > PORT_MAX) return false;
    if (network === "ip4" && !z.ipv4().safeParse(address).success) return false;
    if (network === "ip6" && !z.ipv6().safeParse(address).success) return false;
    return form.test(network + peer);
  }, problem);
}

const listenAddress = multiaddr(/^ip[46]$/, "write /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT");
const announcedAddress = multiaddr(
  /./,
  "write /dns4/NAME/tcp/PORT or /ip4/ADDRESS/tcp/PORT, other letters than ASCII as xn--…",
);
const peerAddress = multiaddr(
  /p2p/,
  "write /dns4/NAME/tcp/PORT/p2p/PEER-ID: without the peer id anybody could answer there",
);

/** A choice of which only some values work in this version. */
function choice<const Values extends readonly [string, ...string[]]>(
  values: Values,
  notBuilt: readonly Values[number][],
) {
  return z.enum(values).refine((value) => !notBuilt.includes(value), {
    error: ({ input }) => `NOT_BUILT: ${String(input)} is not in this version`,
  });
}

const notBuiltList = z
  .array(trustDomain)
  .max(0, "NOT_BUILT: only the empty list is in this version")
  .default([]);

/** @param directory Absolute; relative paths in the file start here. */
export function configSchema(directory: string) {
  const path = z
    .string()
    .min(1)
    .refine((text) => !text.startsWith("unix:"), "write the path alone, without `unix:`")
    .transform((text) => resolve(directory, text));
  const socketPath = (bytesMax: number) =>
    path.refine(
      (text) => Buffer.byteLength(text) <= bytesMax,
      `is longer than the ${bytesMax} bytes that this socket's path may have`,
    );
  return z.strictObject({
    trust_domain: ownTrustDomain,
    data_dir: path.prefault("/var/lib/spire-mesh").describe(DATA_DIR),
    runtime_dir: path
      .refine(
        (text) => Buffer.byteLength(join(text, "admin.sock")) <= ADMIN_SOCKET_PATH_BYTES_MAX,
        `leaves no room for admin.sock: its path has at most ${ADMIN_SOCKET_PATH_BYTES_MAX} bytes`,
      )
      .prefault("/run/spire-mesh")
      .describe(RUNTIME_DIR),
    log_level: z.enum(["debug", "info", "warn", "error"]).default("info"),
    log_format: z.enum(["text", "json"]).default("text"),
    spire: z
      .strictObject({
        socket_path: socketPath(SOCKET_PATH_BYTES_MAX).prefault(
          "/tmp/spire-server/private/api.sock",
        ),
        poll_interval: durationMs(POLL_INTERVAL_MS).prefault("250ms"),
        write: choice(["apply", "shadow"], ["shadow"]).default("apply"),
      })
      .prefault({}),
    role: choice(["publisher", "consumer"], ["consumer"]).default("publisher"),
    svid_cache: z.enum(["memory", "runtime_dir", "disk"]).default("runtime_dir"),
    listen: z.array(listenAddress).max(ADDRESSES_MAX).default(["/ip4/0.0.0.0/tcp/7843"]),
    announce: z.array(announcedAddress).max(ADDRESSES_MAX).default([]),
    peers: z.array(peerAddress).max(PEERS_MAX).default([]),
    admin: z
      .strictObject({ socket_path: socketPath(ADMIN_SOCKET_PATH_BYTES_MAX).optional() })
      .prefault({}),
    policy: z
      .strictObject({
        // Nothing introduces anybody yet, so `off` and `propose` are both what happens.
        transitive: choice(["off", "propose", "auto"], ["auto"]).default("propose"),
        cycles: choice(["report", "refuse"], ["refuse"]).default("report"),
        unmanaged: trustDomains,
        epoch_change: choice(["accept", "hold"], ["hold"]).default("accept"),
        honour_revocations_from: notBuiltList,
        admin_domains: notBuiltList,
        firewall: z.strictObject({}, { error: firewallProblem }).prefault({}),
      })
      .prefault({}),
    telemetry: z
      .strictObject({
        prometheus: z
          .strictObject({ host: host.default("127.0.0.1"), port: port.default(7844) })
          .optional(),
      })
      .prefault({}),
    health_checks: z
      .strictObject({ bind_address: host.default("127.0.0.1"), bind_port: port.default(7845) })
      .optional(),
  });
}

/** The file as JSON Schema, for editors. What it cannot say (lengths in bytes, addresses) is left out. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema("/"), { io: "input" });
}

export type ConfigFile = z.output<ReturnType<typeof configSchema>>;

function trustDomainProblem(text: string): string {
  if (text.includes("$")) return "variables are expanded with -expandEnv alone";
  const lower = text.toLowerCase();
  if (/^[a-z0-9._-]+$/.test(lower) && lower !== text) return "write it in lower case";
  return "write the name alone, such as example.org";
}

function firewallProblem({ code }: { readonly code: string }): string | undefined {
  return code === "unrecognized_keys" ? "NOT_BUILT: no rule is in this version" : undefined;
}
