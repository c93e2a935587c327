/** The configuration file as an operator meets it: what works, and what is said when it does not. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Config, loadConfig } from "../../src/config/config.ts";
import { readDurationMs } from "../../src/config/duration.ts";
import { Fault } from "../../src/fault.ts";
import { readingLittle } from "../private-files/bytes-read.ts";
import { IMPOSTORS, STRANGE_CONTENTS } from "../private-files/impostors.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

const PEER = `/p2p/12D3KooW${"a".repeat(44)}`;

/** What takes each with each needs half a minute and more for so many. */
const MANY = 20_000;
const LINEAR_MS = 10_000;

const numbered = (before: string, after: string): string =>
  Array.from({ length: MANY }, (_, index) => `${before}${index}${after}`).join("");

async function load(
  text: string,
  environment: Record<string, string> = {},
  expandEnv = false,
): Promise<Config> {
  const path = join(await temporaryDirectory(), "mesh.yaml");
  await writeFile(path, text);
  return await loadConfig(path, { environment, expandEnv });
}

/** The problems of a file, without its directory: `3:7 role: …`. */
async function problemsOf(
  text: string,
  environment: Record<string, string> = {},
  expandEnv = false,
): Promise<readonly string[]> {
  try {
    await load(text, environment, expandEnv);
    return [];
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "CONFIG_INVALID") throw error;
    return error.message.split("\n").map((line) => line.replace(/^.*mesh\.yaml:/, ""));
  }
}

describe("a configuration file with only trust_domain", () => {
  test("has the documented defaults", async () => {
    expect(await load("trust_domain: alpha.test\n")).toEqual({
      trustDomain: "alpha.test",
      dataDir: "/var/lib/spire-mesh",
      runtimeDir: "/run/spire-mesh",
      logLevel: "info",
      logFormat: "text",
      spire: { socketPath: "/tmp/spire-server/private/api.sock", pollIntervalMs: 250 },
      svidCache: "runtime_dir",
      listen: ["/ip4/0.0.0.0/tcp/7843"],
      announce: [],
      peers: [],
      admin: { socketPath: "/run/spire-mesh/admin.sock" },
      policy: { unmanaged: [] },
      prometheus: undefined,
      healthChecks: undefined,
    } satisfies Record<keyof Config, unknown>);
  });

  test("takes the admin socket from the environment, and from itself before that", async () => {
    const environment = { SPIRE_MESH_ADMIN_SOCKET: "/tmp/there.sock" };
    const named = await load(
      "trust_domain: a.test\nadmin: { socket_path: here.sock }",
      environment,
    );
    expect(named.admin.socketPath).toMatch(/\/here\.sock$/);
    const fromEnvironment = await load("trust_domain: a.test", environment);
    expect(fromEnvironment.admin.socketPath).toBe("/tmp/there.sock");
    const moved = await load("trust_domain: a.test\nruntime_dir: /tmp/run");
    expect(moved.admin.socketPath).toBe("/tmp/run/admin.sock");
  });
});

describe("a configuration file", () => {
  test("has its relative paths beside it, wherever the daemon was started", async () => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, "sub"));
    const path = join(directory, "sub", "mesh.yaml");
    await writeFile(
      path,
      "trust_domain: a.test\ndata_dir: data\nruntime_dir: ../run\nspire: { socket_path: ./api.sock }\n",
    );
    expect(await loadConfig(path, { environment: {} })).toMatchObject({
      dataDir: join(directory, "sub", "data"),
      runtimeDir: join(directory, "run"),
      spire: { socketPath: join(directory, "sub", "api.sock") },
    });
  });

  test.each(["-", "_", "a_b", "a.b.c"])("is taken for the trust domain %s", async (name) => {
    expect((await load(`trust_domain: "${name}"`)).trustDomain).toBe(name);
  });

  test("names trust domains of others as SPIFFE has them, with empty labels too", async () => {
    const config = await load("trust_domain: a.test\npolicy: { unmanaged: [a..b, .a, a.] }");
    expect(config.policy.unmanaged).toEqual(["a..b", ".a", "a."]);
  });

  test("turns listeners on with their defaults by naming them", async () => {
    const config = await load(
      "trust_domain: a\ntelemetry: { prometheus: {} }\nhealth_checks: {}\n",
    );
    expect(config.prometheus).toEqual({ host: "127.0.0.1", port: 7844 });
    expect(config.healthChecks).toEqual({ host: "127.0.0.1", port: 7845 });
  });

  test("says every problem at once, each with its line and column, in their order", async () => {
    const text = [
      "trust_domain: spiffe://alpha.test", // 1
      "data_dir: 5", // 2
      "spire:", // 3
      "  sokcet_path: /tmp/api.sock", // 4
      "  poll_interval: 10", // 5
      "log_level: loud", // 6
      "listen: [/ip4/0.0.0.0/udp/7843, /ip4/0.0.0.0/tcp/7843]", // 7
      "role: consumer", // 8
      "log_level: info", // 9
      "health_checks: { bind_address: 127.0.0.1, bind_port: 70000 }", // 10
    ].join("\n");
    expect((await problemsOf(text)).map((line) => line.replace(/^(\S+ \S+).*/, "$1"))).toEqual([
      "1:15 trust_domain:",
      "2:11 data_dir:",
      "4:3 spire.sokcet_path:",
      "5:18 spire.poll_interval:",
      "7:10 listen.0:",
      "8:7 role:",
      "9:1 this",
      "10:54 health_checks.bind_port:",
    ]);
  });

  test.each<[string, string]>([
    ["", "1:1 trust_domain: is missing: give it a value"],
    ["# nothing\n", "1:1 trust_domain: is missing"],
    ["trust_domain:\n", "1:14 trust_domain: is missing"],
    ["- a\n- b\n", "1:1 the file: is not made of `key: value` lines"],
    ['server {\n  bind_port = "8081"\n}\n', "1:1 the file: is not made of `key: value` lines"],
    ["trust_domain: a.test\nspire:\n", "2:7 spire: is missing"],
    ["trust_domain: .a", "1:15 trust_domain: has an empty label"],
    ["trust_domain: a..b", "1:15 trust_domain: has an empty label"],
    ["trust_domain: ..", "1:15 trust_domain: has an empty label"],
    ["trust_domain: a.", "1:15 trust_domain: has an empty label"],
    [
      "trust_domain: a.test\nannounce: [/dns4/mésh.example.org/tcp/7843]",
      "2:12 announce.0: write /dns4/NAME/tcp/PORT",
    ],
    [
      "trust_domain: a.test\npeers: [/dns4/mésh.example.org/tcp/7843/p2p/12D3KooW]",
      "2:9 peers.0: write /dns4/NAME/tcp/PORT/p2p/PEER-ID",
    ],
    ["trust_domain: A.test", "1:15 trust_domain: write it in lower case"],
    ["trust_domain: ${TD}", "1:15 trust_domain: variables are expanded with -expandEnv"],
    ["trust_domain: spiffe://A.test", "1:15 trust_domain: write the name alone"],
    ["trust_domain: a\nlisten: /ip4/0.0.0.0/tcp/1", "2:9 listen: write a list, [VALUE, VALUE]"],
    ["trust_domain: a\npeers: {a: b}", "2:8 peers: write a list"],
    ["trust_domain: a\nspire: /tmp/api.sock", "2:8 spire: write `key: value` lines below it"],
    [
      "trust_domain: a\nspire: { socket_path: unix:///tmp/api.sock }",
      "2:23 spire.socket_path: write the path alone",
    ],
    ["trust_domain: a\ndata_dir: unix:/x", "2:11 data_dir: write the path alone"],
    ["trust_domain: a.test\n__proto__: 1", "2:1 __proto__: unknown key"],
    ["trust_domain: a.test\nspire: { constructor: 1 }", "2:10 spire.constructor: unknown key"],
    ["trust_domain: a.test\ntrust_domain: b.test", "2:1 this key stands here twice"],
    ["trust_domain: [a.test", "1:22 "],
    ["trust_domain: a.test\n---\ntrust_domain: b.test", "2:1 "],
    ["trust_domain: &a a.test\ndata_dir: *a", "2:11 aliases are not read"],
    ["trust_domain: !secret a.test", "1:15 Unresolved tag"],
    ["trust_domain: a.test\ndata_dir: ''", "2:11 data_dir: "],
    ["trust_domain: a.test\nlog_level: INFO", "2:12 log_level: Invalid option"],
    [
      "trust_domain: a.test\nspire: { poll_interval: 10ms }",
      "2:25 spire.poll_interval: write 50ms to 1m",
    ],
    [
      "trust_domain: a.test\nspire: { poll_interval: 1h }",
      "2:25 spire.poll_interval: write 50ms to 1m",
    ],
    [
      "trust_domain: a.test\nspire: { poll_interval: soon }",
      "2:25 spire.poll_interval: write a duration",
    ],
    [
      "trust_domain: a.test\npolicy: { unmanaged: [B.test] }",
      "2:23 policy.unmanaged.0: write it in lower case",
    ],
    [
      "trust_domain: a.test\ntelemetry: { prometheus: { port: '1' } }",
      "2:34 telemetry.prometheus.port: ",
    ],
    [
      "trust_domain: a.test\ntelemetry: { prometheus: { host: 'a b' } }",
      "2:34 telemetry.prometheus.host: ",
    ],
  ])("`%s` is refused with `%s`", async (text, problem) => {
    const problems = await problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test.each([
    ["spire: { socket_path: SOCKET }", "spire.socket_path: is longer than the 107 bytes"],
    ["admin: { socket_path: SOCKET }", "admin.socket_path: is longer than the 103 bytes"],
    ["runtime_dir: SOCKET", "runtime_dir: leaves no room for admin.sock"],
  ])("`%s` may not be longer than a Unix socket's path", async (line, problem) => {
    const text = (path: string) => `trust_domain: a.test\n${line.replace("SOCKET", path)}`;
    expect((await problemsOf(text(`/${"ä".repeat(54)}`)))[0]).toContain(problem);
    expect(await problemsOf(text(`/${"a".repeat(90)}`))).toEqual([]);
  });

  test.each<[string, string]>([
    ["unknown keys", numbered("k", ": 1\n")],
    ["keys that stand twice", "a: 1\n".repeat(MANY)],
    ["aliases", `a: &a 1\nb: [${"*a,".repeat(MANY)}]`],
    ["bad values", `trust_domain: a\npolicy: { unmanaged: [${"A,".repeat(10_000)}] }`],
    ["rules", `trust_domain: a\npolicy: { firewall: {${numbered("k", ": 1, ")}} }`],
  ])("with many %s shows fifty problems, and takes no longer than its size", async (_, text) => {
    const startMs = performance.now();
    const problems = await problemsOf(text);
    expect(performance.now() - startMs).toBeLessThan(LINEAR_MS);
    expect(problems).toHaveLength(51);
    expect(problems.at(-1)).toMatch(/^ and \d+ more$/);
  });

  test("may list as many as the schema lets it, and no byte above 512 KiB", async () => {
    const name = "partner".padEnd(40, "x");
    const lines = ["trust_domain: a.test", "policy:", "  unmanaged:"];
    for (let index = 0; index < 10_000; index += 1)
      lines.push(`    - ${index}${name}`.slice(0, 46));
    lines.push("peers:", ...Array.from({ length: 256 }, () => `- /dns4/b.test/tcp/7843${PEER}`));
    const text = `${lines.join("\n")}\n`.padEnd(512 * 1024, "#");
    expect((await load(text)).policy.unmanaged).toHaveLength(10_000);
    expect(await problemsOf(`${text}#`)).toEqual([expect.stringContaining("is larger than")]);
  });

  test("that is missing is CONFIG_INVALID and not read as empty", async () => {
    const path = join(await temporaryDirectory(), "missing.yaml");
    await expect(loadConfig(path)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

async function good(): Promise<string> {
  const path = join(await temporaryDirectory(), "mesh.yaml");
  await writeFile(path, "trust_domain: alpha.test\n");
  return path;
}

describe("in the place of a configuration file", () => {
  // A ConfigMap's files are links, and a configuration is no secret.
  const taken = new Set([
    "a symbolic link to the good file",
    "a file with a second name",
    "another user's file",
  ]);

  test.each([...IMPOSTORS, ...STRANGE_CONTENTS].filter(({ is }) => !taken.has(is)))(
    "$is is CONFIG_INVALID, and little of it is read",
    async ({ make }) => {
      const path = await good();
      await make(path);
      // Whoever waited for a pipe's writer would wait for ever.
      const read = await readingLittle(async () => await Promise.allSettled([loadConfig(path)]));
      expect(read).toMatchObject([{ reason: { code: "CONFIG_INVALID" } }]);
    },
  );

  test("a link is followed", async () => {
    const path = await good();
    await symlink(path, `${path}.link`);
    expect((await loadConfig(`${path}.link`)).trustDomain).toBe("alpha.test");
  });
});

describe("a value whose feature is not built", () => {
  test.each([
    ["role: consumer", "role: NOT_BUILT"],
    ["spire: { write: shadow }", "spire.write: NOT_BUILT"],
    ["policy: { transitive: auto }", "policy.transitive: NOT_BUILT"],
    ["policy: { cycles: refuse }", "policy.cycles: NOT_BUILT"],
    ["policy: { epoch_change: hold }", "policy.epoch_change: NOT_BUILT"],
    ["policy: { honour_revocations_from: [b.test] }", "policy.honour_revocations_from: NOT_BUILT"],
    ["policy: { admin_domains: [b.test] }", "policy.admin_domains: NOT_BUILT"],
    ["policy: { firewall: { weak_key: hold } }", "policy.firewall.weak_key: NOT_BUILT"],
  ])("`%s` is refused by name", async (line, problem) => {
    const [found, ...more] = await problemsOf(`trust_domain: a.test\n${line}`);
    expect(found).toContain(problem);
    expect(more).toEqual([]);
  });

  test.each([
    "role: publisher",
    "spire: { write: apply }",
    "policy: { transitive: propose, cycles: report, epoch_change: accept }",
    "policy: { transitive: 'off' }",
    "policy: { honour_revocations_from: [], admin_domains: [], firewall: {}, unmanaged: [] }",
    "svid_cache: memory",
    "svid_cache: disk",
  ])("`%s` is built", async (line) => {
    expect(await problemsOf(`trust_domain: a.test\n${line}`)).toEqual([]);
  });
});

describe("addresses", () => {
  test.each<[string, string, boolean]>([
    ["listen", "/ip4/127.0.0.1/tcp/0", true],
    ["listen", "/ip6/::/tcp/7843", true],
    ["listen", "/ip4/256.0.0.1/tcp/7843", false],
    ["listen", "/ip4/127.0.0.1/tcp/65536", false],
    ["listen", "/dns4/a.test/tcp/7843", false],
    ["listen", `/ip4/127.0.0.1/tcp/7843${PEER}`, false],
    ["listen", "127.0.0.1:7843", false],
    ["announce", "/dns4/mesh.a.test/tcp/7843", true],
    ["announce", "/dns4/mesh.a.test/tcp/7843/ws", false],
    ["peers", `/dns4/mesh.b.test/tcp/7843${PEER}`, true],
    ["peers", `/ip6/::1/tcp/7843${PEER}`, true],
    ["peers", "/dns4/mesh.b.test/tcp/7843", false],
    ["peers", `/dnsaddr/b.test${PEER}`, false],
  ])("in %s, %s is taken: %s", async (key, address, taken) => {
    const problems = await problemsOf(`trust_domain: a.test\n${key}: ["${address}"]`);
    expect(problems).toHaveLength(taken ? 0 : 1);
  });
});

describe("with -expandEnv", () => {
  const text = [
    "trust_domain: $NAME",
    'data_dir: "${DIR}/data" # $UNSET',
    "health_checks:",
    "  bind_port: ${PORT}",
  ].join("\n");
  const environment = { NAME: "a.test", DIR: "/srv", PORT: "0" };

  test("variables in values are replaced", async () => {
    expect(await load(text, environment, true)).toMatchObject({
      trustDomain: "a.test",
      dataDir: "/srv/data",
      healthChecks: { port: 0 },
    });
  });

  test("a variable that is not set is a problem where it stands", async () => {
    const problems = await problemsOf(text, { NAME: "a.test", PORT: "0" }, true);
    expect(problems).toEqual(["2:11 the variable DIR is not set"]);
  });

  test("a variable brings no keys or lines of its own", async () => {
    const inKey = await problemsOf("trust_domain: a\n$KEY: json", { KEY: "log_format" }, true);
    expect(inKey).toEqual(["2:1 $KEY: unknown key"]);
    const problems = await problemsOf("trust_domain: $NAME", { NAME: "a.test\nrole: x" }, true);
    expect(problems).toHaveLength(1);
  });

  test("is off unless asked for", async () => {
    expect((await problemsOf(text, environment)).length).toBeGreaterThan(0);
  });
});

describe("durations", () => {
  test("are read as Go reads them", () => {
    const parts = fc.record({ h: fc.nat(99), m: fc.nat(99), s: fc.nat(99), ms: fc.nat(999) });
    fc.assert(
      fc.property(parts, ({ h, m, s, ms }) => {
        expect(readDurationMs(`${h}h${m}m${s}s${ms}ms`)).toBe(((h * 60 + m) * 60 + s) * 1_000 + ms);
      }),
    );
  });

  test.each<[string, number | undefined]>([
    ["250ms", 250],
    ["1.5s", 1_500],
    ["10m", 600_000],
    ["1h30m", 5_400_000],
    ["", undefined],
    ["10", undefined],
    ["-1s", undefined],
    ["1s1h", undefined],
    ["1 s", undefined],
    ["1d", undefined],
  ])("%s is %s ms", (text, ms) => {
    expect(readDurationMs(text)).toBe(ms);
  });
});
