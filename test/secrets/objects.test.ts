/** Objects that hold a secret do not show it, whoever prints them. */
import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { type TrustDomain, publisherId } from "../../src/core/spiffe/trust-domain.ts";
import { openNodeKey } from "../../src/keys/node-key.ts";
import { openPublisher } from "../../src/keys/publisher.ts";
import { readPublisherSvid } from "../../src/keys/publisher-svid.ts";
import { createPeerNetwork } from "../../src/p2p/libp2p-network.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { requestSvid } from "../../src/x509/csr.ts";
import { BookPeer } from "../compliance/peer-network.ts";
import { RotatingSpire } from "../keys/rotating-spire.ts";
import { OPTIONS } from "../p2p/libp2p-peers.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { formIn, secretOf, secretsOfPem } from "./forms.ts";

const ALPHA = "alpha.test" as TrustDomain;
const NOW_S = 1_790_000_000;

/** Everything that prints an object. */
function printed(value: unknown): Buffer {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ level: "debug", format: "json", destination });
  log.info({ value, list: [value], error: new Error(inspect(value)) }, String(value));
  const options = { depth: 12, showHidden: true, getters: false, compact: false } as const;
  return Buffer.from([...lines, inspect(value, options), JSON.stringify(value)].join("\n"));
}

describe("what is printed of it does not show the secret:", () => {
  test("the node key", async () => {
    const directory = await temporaryDirectory();
    const key = await openNodeKey(directory);
    const [seed] = secretsOfPem(await readFile(join(directory, "node.key"), "utf8"));
    expect(seed).toEqual(Buffer.from(key.seed));
    for (const held of [key, { nodeKey: key }, [key]]) {
      expect(formIn(printed(held), key.seed)).toBeUndefined();
    }
    expect(() => structuredClone(key)).not.toThrow(); // Sent to a worker, it goes without its key.
    expect(formIn(printed(structuredClone(key)), key.seed)).toBeUndefined();
  });

  test("a publisher SVID", async () => {
    const spire = new RotatingSpire(ALPHA, () => NOW_S);
    const { csr, privateKey } = requestSvid(publisherId(ALPHA));
    const read = readPublisherSvid(await spire.mint(csr, 3_600), privateKey, ALPHA);
    expect(read.ok).toBe(true);
    expect(formIn(printed(read), secretOf(privateKey))).toBeUndefined();
  });

  test("the keyring, and all that was passed to it", async () => {
    const dataDir = await temporaryDirectory();
    const nodeKey = await openNodeKey(dataDir);
    const spire = new RotatingSpire(ALPHA, () => NOW_S);
    const svidCache = { policy: "disk", runtimeDir: dataDir, dataDir } as const;
    const options = { trustDomain: ALPHA, nodeKey, svidCache };
    const ports = { mint: spire.mint, warn: () => undefined };
    const keyring = await openPublisher(options, ports);
    await keyring.mintAhead(NOW_S * 1_000);
    for (const held of [options, keyring]) {
      expect(formIn(printed(held), nodeKey.seed)).toBeUndefined();
    }
  });

  test("the peer network, and its options", async () => {
    const { seed } = await openNodeKey(await temporaryDirectory());
    const options = { ...OPTIONS, nodeKeySeed: () => seed };
    const peer = new BookPeer([ALPHA]);
    const network = await createPeerNetwork(options, peer, peer.book);
    for (const held of [options, { options }, network]) {
      expect(formIn(printed(held), seed)).toBeUndefined();
    }
    await network.stop();
  });
});

describe("a key file that is refused", () => {
  const edDsa = generateKeyPairSync("ed25519").privateKey;
  const good = edDsa.export({ type: "pkcs8", format: "pem" }).toString();
  const cipher = { cipher: "aes-256-cbc", passphrase: "x" };
  const encrypted = edDsa.export({ type: "pkcs8", format: "pem", ...cipher }).toString();
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const body = good.split("\n")[1] ?? "";

  test.each<[string, string]>([
    ["is cut off", good.slice(0, 80)],
    ["has another label", good.replaceAll("PRIVATE KEY", "PRIVATE PEY")],
    ["has no label", body],
    ["has a line too many", good.replace("\n", "\nAAAA")],
    ["is of another kind", ec.export({ type: "pkcs8", format: "pem" }).toString()],
    ["is a JSON Web Key", JSON.stringify(edDsa.export({ format: "jwk" }))],
    ["is encrypted", encrypted],
    ["is too long", good.repeat(100)],
    ["is the seed alone", secretOf(edDsa).toString("hex")],
  ])("since it %s is not quoted", async (_, content) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "node.key"), content, { mode: 0o600 });
    const fault: unknown = await openNodeKey(directory).catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: "KEY_DAMAGED" });
    for (const secret of [secretOf(edDsa), secretOf(ec)]) {
      expect(formIn(printed(fault), secret)).toBeUndefined();
    }
    expect(printed(fault).toString()).not.toContain(content.slice(30, 60));
  });
});
