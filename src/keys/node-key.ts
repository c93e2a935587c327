/**
 * The node key: this daemon's Ed25519 identity, which its trust domain's record lists. It lives in
 * `data_dir/node.key` as PKCS#8 PEM, so `openssl pkey -in node.key -text` shows it.
 */
import { type KeyObject, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import {
  type PrivateFile,
  readPrivateFile,
  writePrivateFile,
} from "../private-files/private-file.ts";

const FILE_NAME = "node.key";
/**
 * An Ed25519 key in PEM has 119 bytes; the rest is room for what a tool writes around it. Above:
 * refused, KEY_DAMAGED.
 */
const FILE_BYTES_MAX = 4 * 1024;

/** Where the own record lists the key, a new one would be refused: what is left is a new beginning. */
const BEGIN_ANEW =
  "set `data_dir` to an empty directory, export, and have partners `spire-mesh bundle pin` the new record.";
const LISTED_ADVICE = {
  KEY_DAMAGED: `Put a copy of the key back. Without one ${BEGIN_ANEW}`,
  KEY_EXPOSED: `Find out who could read or write it, and make it a file of the daemon's user with mode 600. Where somebody else may have it, ${BEGIN_ANEW}`,
} as const;

type MakeFault = (code: keyof typeof LISTED_ADVICE, message: string, cause?: unknown) => Fault;

/** Nothing that is shown of it, by console.log or as JSON, holds the private key. */
export class NodeKey {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    // JSON Web Key names them (RFC 8037, 2): x is the public key, d the private one.
    this.publicKey = bytesOf(privateKey.export({ format: "jwk" }).x);
  }

  /** The private key (RFC 8032, 5.1.5), 32 bytes: what a libp2p key is made from. */
  get seed(): Uint8Array {
    return bytesOf(this.#privateKey.export({ format: "jwk" }).d);
  }

  /** Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return Uint8Array.from(sign(null, message, this.#privateKey));
  }
}

/**
 * Opens the node key of a data directory, and makes it when there is none. The caller holds the
 * directory's lock, so nobody else makes one at the same time.
 *
 * @param isListed Whether the own record lists a node key already: a lost one is never replaced.
 * @throws {Fault} `KEY_EXPOSED` when the file is not this user's alone; `KEY_DAMAGED` when it holds no
 *   Ed25519 key; `CANNOT_CREATE`. None says anything of what stands in the file.
 */
export async function openNodeKey(dataDir: string, isListed = false): Promise<NodeKey> {
  const path = join(dataDir, FILE_NAME);
  const fault: MakeFault = (code, message, cause) =>
    new Fault(code, message, { cause, ...(isListed ? { advice: LISTED_ADVICE[code] } : {}) });
  const file = await read(path, fault);
  if (file.kind === "exposed") throw fault("KEY_EXPOSED", `${path}: ${file.problem}`);
  if (file.kind === "damaged") throw fault("KEY_DAMAGED", `${path}: ${file.problem}`);
  if (file.kind === "missing" && isListed) {
    throw fault("KEY_DAMAGED", `${path} is gone, and the own record in the store lists it`);
  }
  return new NodeKey(file.kind === "read" ? readPem(file.text, path, fault) : await create(path));
}

async function read(path: string, fault: MakeFault): Promise<PrivateFile> {
  try {
    return await readPrivateFile(path, FILE_BYTES_MAX);
  } catch (cause) {
    throw fault("KEY_DAMAGED", `${path} cannot be read`, cause);
  }
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

function readPem(pem: string, path: string, fault: MakeFault): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw fault("KEY_DAMAGED", `${path} holds no private key in PEM`, cause);
  }
  const { asymmetricKeyType } = key;
  if (asymmetricKeyType !== "ed25519") {
    throw fault("KEY_DAMAGED", `${path} holds a key of type ${asymmetricKeyType}, not ed25519`);
  }
  return key;
}

function bytesOf(base64url = ""): Uint8Array {
  return Uint8Array.from(Buffer.from(base64url, "base64url"));
}
