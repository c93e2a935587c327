/**
 * The files that an operator or the daemon itself wrote and something else may have touched:
 * configuration, node key, kept X509-SVIDs, the marks beside the store and FORMAT before them. Each is read from a real file.
 */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { loadConfig } from "../../../src/config/config.ts";
import { type TrustDomain, publisherId } from "../../../src/core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes, toUtf8 } from "../../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../../src/core/std/cbor.ts";
import { sha256, sha256Hex } from "../../../src/core/std/sha256.ts";
import { Fault, type FaultCode } from "../../../src/fault.ts";
import { NodeKey, openNodeKey } from "../../../src/keys/node-key.ts";
import { readPublisherSvid, signAsSvid } from "../../../src/keys/publisher-svid.ts";
import { SvidFiles } from "../../../src/keys/svid-files.ts";
import { MARKER_NAME, readMarker } from "../../../src/store/format-marker.ts";
import { MARKS_NAME, readMarks } from "../../../src/store/marks-file.ts";
import { MARKS_FORMAT, encodeMark, encodeMarks } from "../../../src/store/marks.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { makePublisher, nodeKeyFromSeed } from "../../arbitraries/record.ts";
import type { Random } from "../random.ts";
import { type Maker, type Outcome, type Target, type TargetSource, hold } from "../target.ts";

const PRIVATE = { mode: 0o600 };

const makeDirectory = (): string => mkdtempSync(join(tmpdir(), "spire-mesh-fuzz-"));

interface FileTarget extends Pick<Target, "valid" | "makers"> {
  readonly directory: string;
  /** The file that is written before each judging. */
  readonly path: string;
  readonly judge: () => Promise<Outcome>;
}

function fileTarget(name: string, inputs: number, make: () => Promise<FileTarget>): TargetSource {
  return {
    name,
    inputs,
    open: async () => {
      const { directory, path, judge, ...inputs } = await make();
      return {
        ...inputs,
        setting: {},
        judge: async (input) => {
          writeFileSync(path, input, PRIVATE);
          return await judge();
        },
        stop: async () => await rm(directory, { recursive: true }),
      };
    },
  };
}

/** The code of the fault that this is; whatever else was thrown is a crash. */
function faultCode(error: unknown, ...codes: readonly FaultCode[]): Outcome {
  if (error instanceof Fault && codes.includes(error.code)) return error.code;
  throw error;
}

const utf8 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const text = (name: string, expected: Outcome, ...texts: readonly string[]): Maker => ({
  name,
  expected: [expected],
  make: (random) => utf8(random.pick(texts)),
});

const repeated = <Item>(count: number, item: Item): Item[] =>
  Array.from({ length: count }, () => item);

type Path = readonly (string | number)[];
type Yaml = Record<string, unknown>;

function withValue(value: unknown, [first, ...rest]: Path, to: unknown): unknown {
  if (first === undefined) return to;
  const base = typeof value === "object" && value !== null ? value : {};
  return { ...base, [first]: withValue((base as Yaml)[first], rest, to) };
}

/** A value at a place of the configuration, and whether it may stand there. */
const BAD_VALUES: readonly (readonly [Path, ...unknown[]])[] = [
  [
    ["trust_domain"],
    "",
    "A.test",
    "a/b",
    "spiffe://a.test",
    "a".repeat(256),
    7,
    null,
    [],
    "a\u202e",
    "a\n",
    "..",
    ".a",
    "a.",
    "a..b",
  ],
  [["data_dir"], "", 7, null, {}],
  [["runtime_dir"], "", `/${"x".repeat(200)}`, []],
  [["log_level"], "trace", "INFO", 1, null],
  [["log_format"], "xml", true],
  [["spire", "socket_path"], "", `/${"x".repeat(108)}`, 5],
  [
    ["spire", "poll_interval"],
    "",
    "49ms",
    "61s",
    "1d",
    "-1s",
    250,
    "1e3ms",
    "999999h999999m",
    "0s",
    " 1s",
  ],
  [["spire", "write"], "shadow", "none", 1],
  [["spire", "sokcet_path"], "/x"],
  [["spire"], 1, "x", []],
  [["role"], "consumer", "PUBLISHER", 0],
  [["svid_cache"], "ram", 1],
  [
    ["listen"],
    "x",
    ["/ip4/1.2.3.4/tcp/65536"],
    ["/ip4/999.1.1.1/tcp/1"],
    ["/dns4/a/tcp/1"],
    ["/ip4/1.2.3.4/udp/1"],
    [""],
    [7],
    repeated(17, "/ip4/1.2.3.4/tcp/1"),
  ],
  [["announce"], ["/dns4//tcp/1"], ["/dns4/a b/tcp/1"], ["x"], {}],
  [
    ["peers"],
    ["/dns4/a/tcp/1"],
    ["/dns4/a/tcp/1/p2p/"],
    ["/dns4/a/tcp/1/p2p/é"],
    "x",
    repeated(257, "/dns4/a/tcp/1/p2p/12D3KooW"),
  ],
  [["admin", "socket_path"], "", `/${"x".repeat(108)}`, 1],
  [["admin", "port"], 1],
  [["policy", "transitive"], "auto", "on"],
  [["policy", "cycles"], "refuse"],
  [["policy", "unmanaged"], ["A"], [1], "a.test", [""]],
  [["policy", "epoch_change"], "hold"],
  [["policy", "honour_revocations_from"], ["a.test"]],
  [["policy", "admin_domains"], ["a.test"]],
  [["policy", "firewall"], { x: 1 }, 1],
  [
    ["telemetry", "prometheus"],
    { port: 65_536 },
    { port: -1 },
    { port: 1.5 },
    { port: "1" },
    { host: "" },
    { host: "a b" },
    1,
  ],
  [["health_checks"], { bind_port: 65_536 }, { bind_address: "a/b" }, { port: 1 }],
  [["__proto__x"], 1],
  [["constructor"], 1],
];

/** A value that stands nowhere in a configuration. */
const odd = (random: Random): unknown =>
  random.pick<() => unknown>([
    () => null,
    () => random.below(2 ** 32),
    () => -1,
    () => 1e308,
    () => true,
    () => "",
    () => "x".repeat(random.pick([1, 5_000])),
    () => [],
    () => [[[]]],
    () => ({}),
    () => ({ a: 1 }),
    () => Buffer.from(random.bytes(20)).toString("latin1"),
  ])();

const written = (value: unknown, random: Random): Uint8Array =>
  utf8(random.oneIn(2) ? JSON.stringify(value) : stringify(value));

const configTarget = fileTarget("config", 4_000, async () => {
  const directory = makeDirectory();
  const path = join(directory, "spire-mesh.yaml");
  const example = readFileSync(new URL("../../../peers/example.yaml", import.meta.url), "utf8");
  const right = parse(example) as Yaml;
  return {
    directory,
    path,
    valid: [utf8(example), utf8("trust_domain: alpha.test\n"), utf8(JSON.stringify(right))],
    makers: [
      { name: "right", expected: ["taken"], make: (random) => written(right, random) },
      text(
        "the least",
        "taken",
        "trust_domain: alpha.test",
        '{"trust_domain": "a"}',
        "trust_domain: -._\n",
      ),
      ...BAD_VALUES.map(([at, ...values]): Maker => ({
        name: `with a bad ${at.join(".")}`,
        expected: ["CONFIG_INVALID"],
        make: (random) =>
          written(withValue(right, at, random.pick(values.map((each) => [each]))[0]), random),
      })),
      ...Array.from({ length: 6 }, (): Maker => ({
        name: "with an odd value somewhere",
        expected: ["taken", "CONFIG_INVALID"],
        make: (random) => {
          const [at] = random.pick(BAD_VALUES);
          return written(withValue(right, at.slice(0, random.between(1, 2)), odd(random)), random);
        },
      })),
      text(
        "with what YAML has and we do not",
        "CONFIG_INVALID",
        "trust_domain: &a alpha.test\ndata_dir: *a\n",
        "trust_domain: alpha.test\n<<: {log_level: info}\n",
        "trust_domain: alpha.test\ntrust_domain: alpha.test\n",
        "trust_domain: !!binary YQ==\n",
        "trust_domain: alpha.test\n---\ntrust_domain: bravo.test\n",
        "? [a, b]\n: 1\ntrust_domain: alpha.test\n",
        "%YAML 9.9\n---\ntrust_domain: alpha.test\n...\nmore",
        "trust_domain: [",
        "trust_domain: {a: ",
        '"trust_domain": "\\x"',
        "\ttrust_domain: a",
        "- trust_domain",
        "",
        "null",
        "7",
      ),
      {
        name: "that explodes",
        expected: ["CONFIG_INVALID"],
        make: (random) => {
          const levels = random.between(4, 9);
          const lines = ["a0: &a0 [x, x]"];
          for (let level = 1; level < levels; level += 1) {
            const before = `*a${level - 1}`;
            lines.push(`a${level}: &a${level} [${repeated(9, before).join(", ")}]`);
          }
          return utf8(lines.join("\n"));
        },
      },
      {
        name: "that nests",
        expected: ["CONFIG_INVALID"],
        make: (random) => {
          const depth = random.pick([10, 100, NESTING_MAX]);
          const [open, close] = random.pick([
            ["[", "]"],
            ["{a: ", "}"],
            ["- ", ""],
          ] as const);
          return utf8(`${open.repeat(depth)}${close.repeat(depth)}`);
        },
      },
      {
        name: "that is large",
        expected: ["CONFIG_INVALID"],
        make: (random) => {
          const line = random.pick(["a: b\n", "- x\n", "#\n", "x", "\n", " ", "'", "&"]);
          return utf8(line.repeat(random.pick([100, 1_000])));
        },
      },
    ],
    judge: async () => {
      try {
        const { trustDomain, dataDir, spire, listen, prometheus } = await loadConfig(path, {
          environment: {},
        });
        hold(/^[a-z0-9._-]{1,255}$/.test(trustDomain), "the trust domain is a name");
        hold(dataDir.startsWith("/"), "paths are absolute");
        hold(
          spire.pollIntervalMs >= 50 && spire.pollIntervalMs <= 60_000,
          "the interval has bounds",
        );
        hold(listen.length <= 16, "listen has a bound");
        hold(prometheus === undefined || prometheus.port <= 65_535, "a port is a port");
        return "taken";
      } catch (error) {
        const code = faultCode(error, "CONFIG_INVALID");
        const lines = (error as Fault).message.split("\n");
        hold(lines.length <= 51, "a limited number of problems is shown");
        hold(
          lines.every((line) => line.startsWith(path)),
          "each problem names the file",
        );
        return code;
      }
    },
  };
});

/** Lists in lists, as deep as the YAML library takes them in 100 ms. */
const NESTING_MAX = 300;

const pem = (key: { export(options: { type: "pkcs8"; format: "pem" }): string | Buffer }): string =>
  key.export({ type: "pkcs8", format: "pem" }).toString();

const wrap = (bytes: Uint8Array): string =>
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(bytes).toString("base64")}\n-----END PRIVATE KEY-----\n`;

const nodeKeyTarget = fileTarget("node-key", 2_000, async () => {
  const directory = makeDirectory();
  const path = join(directory, "node.key");
  const right = pem(generateKeyPairSync("ed25519").privateKey);
  const encrypted = generateKeyPairSync("ed25519")
    .privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
    .toString();
  const publicPem = createPublicKey(right).export({ type: "spki", format: "pem" }).toString();
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1_024 }).privateKey;
  const certificate = makeAuthority({ trustDomain: "alpha.test" }).der.toString("base64");
  const der = Buffer.from(right.replaceAll(/-----[A-Z ]+-----/g, ""), "base64");
  return {
    directory,
    path,
    valid: [utf8(right)],
    makers: [
      text("right", "taken", right, right.replaceAll("\n", "\r\n"), `# a comment\n${right}`),
      text(
        "of another kind",
        "KEY_DAMAGED",
        pem(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
        pem(generateKeyPairSync("x25519").privateKey),
        pem(generateKeyPairSync("ed448").privateKey),
        pem(rsa),
        rsa.export({ type: "pkcs1", format: "pem" }).toString(),
      ),
      text("that needs a passphrase", "KEY_DAMAGED", encrypted),
      text(
        "that is none",
        "KEY_DAMAGED",
        publicPem,
        `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----\n`,
        "\n",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        wrap(new Uint8Array(48)),
        right.replaceAll("PRIVATE", "PUBLIC"),
        right.slice(0, -30),
      ),
      text("that is too long", "KEY_DAMAGED", right + "\n".repeat(4 * 1_024), "x".repeat(70_000)),
      {
        name: "with a byte of its DER changed",
        expected: ["taken", "KEY_DAMAGED"],
        make: (random) => {
          const copy = Uint8Array.from(der);
          const at = random.below(copy.length);
          copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
          return utf8(wrap(copy));
        },
      },
      {
        name: "with any seed",
        expected: ["taken"],
        make: (random) => utf8(pem(nodeKeyFromSeed(random.bytes(32)).privateKey)),
      },
    ],
    judge: async () => {
      let key: NodeKey;
      try {
        key = await openNodeKey(directory);
      } catch (error) {
        return faultCode(error, "KEY_DAMAGED");
      }
      const message = toUtf8("a message");
      hold(
        x509Proofs.verifiesNode(key.publicKey, message, key.sign(message)),
        "it signs for its public key",
      );
      const again = new NodeKey(nodeKeyFromSeed(key.seed).privateKey);
      hold(equalBytes(again.publicKey, key.publicKey), "its seed gives the same key");
      return "taken";
    },
  };
});

const certificatePem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`;

const svidFileTarget = fileTarget("svid-file", 2_000, async () => {
  const directory = makeDirectory();
  const trustDomain = "alpha.test" as TrustDomain;
  const hash = sha256Hex(utf8(trustDomain)).slice(0, 32);
  const path = join(directory, `${hash}-${"ab".repeat(16)}.pem`);
  const { ca, mint } = makePublisher(trustDomain);
  const middle = ca.issueIntermediate();
  const svid = mint(ca);
  const lower = mint(middle, { sent: [middle], anchor: ca });
  const file = ({ privateKey, chain }: typeof svid): string =>
    [pem(privateKey), ...chain.map((each) => certificatePem(each))].join("");
  const foreign = mint(ca, { spiffeId: "spiffe://bravo.test/spire-mesh/publisher" });
  const workload = mint(ca, { spiffeId: "spiffe://alpha.test/web" });
  const [leaf = new Uint8Array()] = svid.chain;
  const [lowLeaf = new Uint8Array()] = lower.chain;
  const files = new SvidFiles(directory, trustDomain, () => undefined);
  return {
    directory,
    path,
    valid: [utf8(file(svid)), utf8(file(lower))],
    makers: [
      text("right", "taken", file(svid), file(lower), `a word\n${file(svid)}`),
      text("with another's key", "refused", file({ ...svid, privateKey: lower.privateKey })),
      text(
        "with a key of another kind",
        "refused",
        file({ ...svid, privateKey: generateKeyPairSync("ed25519").privateKey }),
      ),
      text("of somebody else", "refused", file(foreign), file(workload)),
      text("without a chain", "refused", pem(svid.privateKey)),
      text(
        "without its key",
        "refused",
        certificatePem(leaf),
        certificatePem(leaf) + pem(svid.privateKey),
      ),
      text(
        "with its chain in disorder",
        "refused",
        file({ ...lower, chain: lower.chain.toReversed() }),
        file({ ...lower, chain: [lowLeaf, lowLeaf] }),
        file({ ...lower, chain: [lowLeaf, ca.der] }),
      ),
      text("with too long a chain", "refused", file({ ...svid, chain: repeated(5, leaf) })),
      text(
        "with another certificate's end",
        "refused",
        file(svid).replace("-----END CERTIFICATE", "-----END PRIVATE KEY"),
      ),
      text(
        "with a damaged certificate",
        "refused",
        file({ ...svid, chain: [leaf.subarray(0, -1)] }),
        file({ ...svid, chain: [new Uint8Array(3)] }),
      ),
      text(
        "with text that a pattern would search long",
        "refused",
        "-----BEGIN A-----".repeat(3_000),
        `-----BEGIN ${"A ".repeat(20_000)}`,
        `-----BEGIN A-----${"A".repeat(60_000)}`,
        `-----BEGIN A-----${" ".repeat(60_000)}-----END B-----`,
      ),
    ],
    judge: async () => {
      const [loaded, ...more] = await files.load();
      hold(more.length === 0, "one file holds one SVID at most");
      if (loaded === undefined) return "refused";
      const read = readPublisherSvid(loaded.chain, loaded.privateKey, trustDomain);
      hold(read.ok, "what was loaded reads");
      const [{ uriSans, key }] = loaded.facts;
      hold(uriSans[0] === publisherId(trustDomain), "it is the publisher's");
      const message = toUtf8("a message");
      hold(
        x509Proofs.verifiesSvid(key, message, signAsSvid(loaded, message)),
        "its private key signs for its chain",
      );
      return "taken";
    },
  };
});

const sealed = (body: string): string => `${body}sha256 ${sha256Hex(toUtf8(body))}\n`;

const markerTarget = fileTarget("marker", 2_000, async () => {
  const directory = makeDirectory();
  const path = join(directory, MARKER_NAME);
  const body = (store: string, writes: string | bigint, format: string | number = 1): string =>
    sealed(`format ${format}\nstore ${store}\nwrites ${writes}\n`);
  const right = body("ab".repeat(16), 7n);
  writeFileSync(path, right, { mode: 0o600 });
  const id = "0f".repeat(16);
  return {
    directory,
    path,
    valid: [utf8(right)],
    makers: [
      {
        name: "right",
        expected: ["taken"],
        make: (random) =>
          utf8(body(Buffer.from(random.bytes(16)).toString("hex"), BigInt(random.below(2 ** 32)))),
      },
      text(
        "of another format",
        "STORE_DAMAGED",
        body(id, 1n, 2),
        body(id, 1n, 999_999_999),
        body(id, 1n, 0),
      ),
      text(
        "without a format",
        "STORE_DAMAGED",
        sealed("\n"),
        sealed(""),
        body(id, 1n, "x"),
        body(id, 1n, "9999999999"),
      ),
      text(
        "with another hash",
        "STORE_DAMAGED",
        right.replace("writes 7", "writes 8"),
        `${right}\n`,
        right.trimEnd(),
      ),
      text(
        "that is no text of ours",
        "STORE_DAMAGED",
        "\n",
        "sha256",
        "\u0000".repeat(100),
        "x".repeat(100_000),
      ),
    ],
    judge: async () => {
      try {
        const marker = await readMarker(directory);
        hold(marker !== undefined, "a file is a marker or damaged");
        hold(marker.storeId.length === 16 && marker.writes >= 0n, "it says what it shall");
        return "taken";
      } catch (error) {
        return faultCode(error, "STORE_DAMAGED");
      }
    },
  };
});

const withHash = (value: CborValue): Uint8Array => {
  const bytes = encodeCbor(value);
  return concatBytes(bytes, sha256(bytes));
};

const marksTarget = fileTarget("marks", 2_000, async () => {
  const directory = makeDirectory();
  const storeId = new Uint8Array(16).fill(7);
  const entries = ["alpha.test", "bravo.test", "own.test"].map((name) => {
    const trustDomain = name as TrustDomain;
    const recordId = "ab".repeat(32);
    const held = { epoch: 0, rev: 1, sequence: 2n, recordId, envelope: Uint8Array.of(1, 2) };
    const frame = new Uint8Array(9);
    const nodes = [new Uint8Array(32)];
    const domain = { trustDomain, lineage: recordId, nodes, held, sibling: undefined, frame };
    const pin = {
      trustDomain,
      approvedRecordId: recordId,
      approvedAtMs: 7,
      addressHints: ["/ip4"],
    };
    const pinned = name === "own.test" ? undefined : { ...pin, awaitedRecordId: undefined };
    return encodeMark(domain, [], pinned);
  });
  const [entry = new Uint8Array()] = entries;
  const right = withHash([MARKS_FORMAT, storeId, 7, 9, entries]);
  const wrong = (name: string, ...values: readonly CborValue[]): Maker => ({
    name,
    expected: ["damaged"],
    make: (random) => withHash(random.pick(values)),
  });
  return {
    directory,
    path: join(directory, MARKS_NAME),
    valid: [right],
    makers: [
      {
        name: "right",
        expected: ["taken"],
        make: (random) =>
          withHash([
            MARKS_FORMAT,
            random.bytes(16),
            random.below(2 ** 32),
            random.below(2 ** 32),
            entries.slice(random.below(entries.length)),
          ]),
      },
      {
        name: "of another format",
        expected: ["STORE_DAMAGED"],
        make: (random) => withHash([2 + random.below(9), storeId, 7, 9, entries]),
      },
      {
        name: "with another hash",
        expected: ["damaged"],
        make: (random) => concatBytes(right.subarray(0, -32), random.bytes(32)),
      },
      wrong("with one trust domain twice", [MARKS_FORMAT, storeId, 7, 9, [entry, entry]]),
      wrong(
        "with an entry that is none",
        [MARKS_FORMAT, storeId, 7, 9, [entry.subarray(1)]],
        [MARKS_FORMAT, storeId, 7, 9, [encodeCbor(["alpha.test"])]],
        [MARKS_FORMAT, storeId, 7, 9, [7]],
      ),
      wrong(
        "of another shape",
        [MARKS_FORMAT],
        [MARKS_FORMAT, storeId.subarray(1), 7, 9, entries],
        [MARKS_FORMAT, storeId, 7, 9, entries, []],
        [],
      ),
    ],
    judge: async () => {
      try {
        const found = await readMarks(directory);
        if (found.kind !== "good") return found.kind;
        const file = readFileSync(join(directory, MARKS_NAME));
        hold(equalBytes(encodeMarks(found.marks), file), "what is read is what was written");
        return "taken";
      } catch (error) {
        return faultCode(error, "STORE_DAMAGED");
      }
    },
  };
});

export const fileTargets: readonly TargetSource[] = [
  configTarget,
  nodeKeyTarget,
  svidFileTarget,
  markerTarget,
  marksTarget,
];
