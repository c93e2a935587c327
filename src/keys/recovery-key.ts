/**
 * A recovery key: Ed25519, made once, kept encrypted by people for years, used once. Encrypted it is
 * PKCS#8 under PBES2 with scrypt and AES-256-CBC (RFC 8018, RFC 7914), which `openssl pkey` opens
 * (docs/decisions/0012-recovery-keys.md).
 *
 * node:crypto decrypts that, but encrypts with 2,048 rounds of PBKDF2 and lets nobody ask for more
 * (measured): so the few bytes around the ciphertext are written here.
 */
import {
  type KeyObject,
  createCipheriv,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  scrypt,
  sign,
} from "node:crypto";
import { promisify } from "node:util";
import { fromHex, u64be } from "../core/std/bytes.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { sha256 } from "../core/std/sha256.ts";
import { TAG, writeDer, writeUnsigned } from "../x509/der.ts";

/** scrypt's parameters (RFC 7914, 2), with 128 · N · r bytes of memory. */
export interface Stretching {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/**
 * 0.7 s of one core and 16 MiB for each guess (measured). OpenSSL opens no file that takes more than
 * 32 MiB (measured: "memory limit exceeded" at N = 2^15), so the work is in p: as many rounds in all
 * as age has with its 2^18, and three times what OWASP's list of 2023 asks for at this N.
 */
export const STRETCHING: Stretching = { N: 2 ** 14, r: 8, p: 16 };

/**
 * What NIST SP 800-63B-4, 3.1.1.2, asks of a password that stands alone. A shorter one is refused:
 * PASSPHRASE_UNFIT.
 */
const PASSPHRASE_LENGTH_MIN = 15;
/** node:crypto and OpenSSL's tools take 1,024 bytes. A longer one is refused: PASSPHRASE_UNFIT. */
const PASSPHRASE_LENGTH_MAX = 256;
/** Only these are the same bytes from every keyboard and system. */
const PASSPHRASE_CHARACTERS = /^[\x20-\x7e]*$/;

const SALT_BYTES = 16;
const KEY_BYTES = 32;
const IV_BYTES = 16;
const CIPHER = "aes-256-cbc";

/** 1.2.840.113549.1.5.13, 1.3.6.1.4.1.11591.4.11 and 2.16.840.1.101.3.4.1.42. */
const PBES2 = writeDer(TAG.oid, fromHex("2a864886f70d01050d"));
const SCRYPT = writeDer(TAG.oid, fromHex("2b06010401da47040b"));
const AES_256_CBC = writeDer(TAG.oid, fromHex("60864801650304012a"));

/** A private key in PKCS#8, as it stands in a file. */
export interface KeyBlock {
  readonly isEncrypted: boolean;
  readonly der: Uint8Array;
}

/** Nothing that is shown of it, by console.log or as JSON, holds the private key. */
export class RecoveryKey {
  /** Ed25519, 32 bytes. Secret as well until the key has signed: partners know its hash alone. */
  readonly publicKey: Uint8Array;
  /** What its trust domain commits to. 32 bytes. */
  readonly keyHash: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    const { x = "" } = privateKey.export({ format: "jwk" });
    this.publicKey = Uint8Array.from(Buffer.from(x, "base64url"));
    this.keyHash = sha256(this.publicKey);
  }

  static generate(): RecoveryKey {
    return new RecoveryKey(generateKeyPairSync("ed25519").privateKey);
  }

  /** Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return Uint8Array.from(sign(null, message, this.#privateKey));
  }

  /** The private key itself, for a form that its holder asked for. */
  inClear(): KeyBlock {
    return { isEncrypted: false, der: this.#pkcs8() };
  }

  /** Under a passphrase that `passphraseProblem` finds nothing wrong with. */
  async encrypted(passphrase: string, stretching = STRETCHING): Promise<KeyBlock> {
    const [salt, iv] = [randomBytes(SALT_BYTES), randomBytes(IV_BYTES)];
    const key = await stretch(passphrase, salt, stretching);
    const cipher = createCipheriv(CIPHER, key, iv);
    const ciphertext = Buffer.concat([cipher.update(this.#pkcs8()), cipher.final()]);
    const { N, r, p } = stretching;
    const kdf = sequence(SCRYPT, sequence(octets(salt), integer(N), integer(r), integer(p)));
    const scheme = sequence(PBES2, sequence(kdf, sequence(AES_256_CBC, octets(iv))));
    return { isEncrypted: true, der: sequence(scheme, octets(ciphertext)) };
  }

  #pkcs8(): Buffer {
    return this.#privateKey.export({ type: "pkcs8", format: "der" });
  }
}

/**
 * The key of a block.
 *
 * @param passphrase Nothing for a block in clear.
 * @returns `closed`: it does not open, and whether the passphrase or the block is wrong cannot be
 *   known. `other`: it opens, and what is in it is no Ed25519 key.
 */
export function openRecoveryKey(
  { der, isEncrypted }: KeyBlock,
  passphrase: string,
): Result<RecoveryKey, "closed" | "other"> {
  let key: KeyObject;
  try {
    const [type, format] = ["pkcs8", "der"] as const;
    const bytes = Buffer.from(der);
    key = createPrivateKey({ key: bytes, format, type, ...(isEncrypted ? { passphrase } : {}) });
  } catch {
    return no("closed");
  }
  return key.asymmetricKeyType === "ed25519" ? ok(new RecoveryKey(key)) : no("other");
}

/** Why a new passphrase is not taken, in words; undefined when it is. */
export function passphraseProblem(passphrase: string): string | undefined {
  if (!PASSPHRASE_CHARACTERS.test(passphrase)) {
    return "it has a character that is not plain ASCII, which another keyboard may not type the same";
  }
  if (passphrase.trim() !== passphrase) return "it begins or ends with a space";
  const { length } = passphrase;
  if (length < PASSPHRASE_LENGTH_MIN) {
    return `it has ${length} characters, and ${PASSPHRASE_LENGTH_MIN} are the least: five words, say`;
  }
  return length > PASSPHRASE_LENGTH_MAX
    ? `it has ${length} characters, and ${PASSPHRASE_LENGTH_MAX} are the most`
    : undefined;
}

async function stretch(
  passphrase: string,
  salt: Uint8Array,
  { N, r, p }: Stretching,
): Promise<Buffer> {
  return await promisify<string, Uint8Array, number, object, Buffer>(scrypt)(
    passphrase,
    salt,
    KEY_BYTES,
    { N, r, p },
  );
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return writeDer(TAG.sequence, ...parts);
}

function octets(bytes: Uint8Array): Uint8Array {
  return writeDer(TAG.octetString, bytes);
}

function integer(value: number): Uint8Array {
  return writeUnsigned(u64be(BigInt(value)));
}
