/**
 * The node key: this daemon's Ed25519 identity, which its trust domain's record lists. It lives in
 * `data_dir/node.key` as PKCS#8 PEM, so `openssl pkey -in node.key -text` shows it.
 */
import { type KeyObject, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";

const FILE_NAME = "node.key";

export interface NodeKey {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The private key (RFC 8032, 5.1.5), 32 bytes: what a libp2p key is made from. */
  readonly seed: Uint8Array;
  /** Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/**
 * Opens the node key of a data directory, and makes it when there is none. The caller holds the
 * directory's lock, so nobody else makes one at the same time.
 *
 * @throws {Fault} `KEY_EXPOSED` when the file is a link, belongs to another user or has another mode
 *   than 0600; `KEY_DAMAGED` when it holds no Ed25519 key; `CANNOT_CREATE`.
 */
export async function openNodeKey(dataDir: string): Promise<NodeKey> {
  const path = join(dataDir, FILE_NAME);
  const file = await readPrivateFile(path);
  if (file.kind === "exposed") throw new Fault("KEY_EXPOSED", `${path}: ${file.problem}`);
  return nodeKeyOf(file.kind === "read" ? readPem(file.text, path) : await create(path));
}

async function create(path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync("ed25519");
  try {
    await writePrivateFile(path, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  } catch (cause) {
    throw new Fault("CANNOT_CREATE", `${path} cannot be written`, { cause });
  }
  return privateKey;
}

function readPem(pem: string, path: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new Fault("KEY_DAMAGED", `${path} holds no private key in PEM`, { cause });
  }
  const { asymmetricKeyType } = key;
  if (asymmetricKeyType !== "ed25519") {
    throw new Fault("KEY_DAMAGED", `${path} holds a key of type ${asymmetricKeyType}, not ed25519`);
  }
  return key;
}

function nodeKeyOf(privateKey: KeyObject): NodeKey {
  // JSON Web Key names them (RFC 8037, 2): x is the public key, d the private one.
  const { x = "", d = "" } = privateKey.export({ format: "jwk" });
  return {
    publicKey: Uint8Array.from(Buffer.from(x, "base64url")),
    seed: Uint8Array.from(Buffer.from(d, "base64url")),
    sign: (message) => Uint8Array.from(sign(null, message, privateKey)),
  };
}
