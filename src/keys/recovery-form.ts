/**
 * A recovery key as its holder keeps it: one text that is the file and the printed form at once.
 *
 *     SPIRE-MESH RECOVERY KEY 2 OF 5
 *     whose it is, what it is for, how it is used
 *     -----BEGIN ENCRYPTED PRIVATE KEY-----     PKCS#8, as every tool finds it in a text (RFC 7468)
 *     a3f 09c 77e 1d0                           for each line of the block: 3 digits for 16 characters
 *     Check: …                                  of all that stands above it
 *
 * Two ways in. The whole text must be what was written, byte by byte: a bad copy is found before any
 * passphrase is asked. Or the block alone, typed from paper, best with the digits below it, which find
 * the place of a wrong character.
 */
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes, fromHex, toUtf8 } from "../core/std/bytes.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import { type KeyBlock, type RecoveryKey, openRecoveryKey } from "./recovery-key.ts";
import {
  damaged,
  field,
  grouped,
  otherKind,
  withUnixLineEnds,
  writeBlock,
} from "./recovery-text.ts";

/** What the text says around the block. */
export interface KeyLabel {
  readonly trustDomain: TrustDomain;
  /** 32 bytes; of the record that the key was made for. */
  readonly lineage: Uint8Array;
  /** From 1. */
  readonly number: number;
  readonly count: number;
  readonly threshold: number;
  /** SHA-256 of the public key. 32 bytes. */
  readonly keyHash: Uint8Array;
  /** The day in UTC: 2026-01-31. */
  readonly madeOn: string;
}

export interface KeyForm {
  readonly label: KeyLabel;
  readonly block: KeyBlock;
}

/** A block that was typed in has no label. */
export interface ReadKeyForm {
  readonly label: KeyLabel | undefined;
  readonly block: KeyBlock;
}

/** A form has 2 KiB. What is larger is not read: RECOVERY_FILE_DAMAGED. */
export const KEY_FORM_BYTES_MAX = 64 * 1024;
const TITLE = "SPIRE-MESH RECOVERY KEY";
/** In which a piece's number is told: four of them are a line of the block. */
const PIECE_CHARACTERS = 16;
const PIECES_A_LINE = 4;
const PIECE_DIGITS = 3;
const CHECK_BYTES = 8;
const WANTED = "a recovery key";

const LABEL = new RegExp(
  [
    `^${TITLE} (\\d) OF (\\d)\\n\\n`,
    `Trust domain: +(\\S+)\\nLineage: +([0-9a-f ]{79})\\nThreshold: +(\\d) .*\\n`,
    `Key hash: +([0-9a-f ]{79})\\nMade on: +(\\d{4}-\\d\\d-\\d\\d)\\n`,
  ].join(""),
);
const BLOCK =
  /^-----BEGIN ((?:ENCRYPTED )?PRIVATE KEY)-----\n([^-]*)^-----END \1-----(?:\n|$)([^]*)/m;

export function encodeKeyForm({ label, block }: KeyForm): string {
  const { trustDomain, lineage, number, count, threshold, keyHash, madeOn } = label;
  const one = threshold === 1 ? "any one of them does" : `any ${threshold} of them together do`;
  const text = [
    `${TITLE} ${number} OF ${count}`,
    "",
    field("Trust domain", trustDomain),
    field("Lineage", grouped(lineage)),
    field("Threshold", `${threshold} of the ${count} keys sign together`),
    field("Key hash", grouped(keyHash)),
    field("Made on", madeOn),
    "",
    `With these keys ${trustDomain} begins anew when its own are stolen or lost: ${one},`,
    "once, at every partner. They have no other use.",
    "",
    ...(block.isEncrypted
      ? [
          "The block below is the key under its passphrase. Keep the passphrase elsewhere, and this page",
          "where no other of the keys is. To try it, without a network:  openssl pkey -noout -in THIS-FILE",
        ]
      : [
          "THE BLOCK BELOW IS THE KEY ITSELF: whoever reads this page needs no passphrase. Keep it sealed,",
          "and where no other of the keys is.",
        ]),
    "To sign a request:  spire-mesh recovery sign REQUEST -key THIS-FILE -out SIGNATURE",
    "From paper: type the block, from BEGIN to END, and the digits below it into a new file. They are",
    "for each line of the block, three for every 16 characters, and find the place of a mistake.",
    "",
    writeKeyBlock(block),
    ...digitLines(base64Of(block.der)),
    "",
    "",
  ].join("\n");
  return `${text}${checkLine(text)}\n`;
}

/**
 * @param name What the operator calls the file.
 * @throws {Fault} `RECOVERY_FILE_KIND` when it holds no private key; `RECOVERY_FILE_DAMAGED` when a
 *   whole text is not what was written, or a typed block not what its digits say.
 */
export function decodeKeyForm(text: string, name: string): ReadKeyForm {
  const whole = withUnixLineEnds(text);
  const [all, blockLabel = "", body = "", after = ""] = BLOCK.exec(whole) ?? [];
  if (all === undefined) {
    const [, found] = /^-----BEGIN (.*)-----$/m.exec(whole) ?? [];
    throw whole.startsWith(TITLE)
      ? damaged(name, "its block does not go from BEGIN to END")
      : otherKind(name, WANTED, found);
  }
  const below = `${after.trim()}\n`;
  const digits = /^(?:[0-9a-f]{3}\s+)*/i.exec(below)?.[0] ?? "";
  const block = {
    isEncrypted: blockLabel.startsWith("ENCRYPTED"),
    der: readBody(name, body, digits.toLowerCase().match(/\S+/g) ?? []),
  };
  const above = whole.slice(0, whole.length - all.length);
  if (above.trim() === "" && below.trim() === digits.trim()) return { label: undefined, block };
  const label = readLabel(whole);
  if (label === undefined || encodeKeyForm({ label, block }) !== whole) {
    const reason = "its words were changed; the block and the digits below it can stand alone";
    throw damaged(name, reason);
  }
  return { label, block };
}

/**
 * The key of a form.
 *
 * @param passphrase Nothing for a block in clear.
 * @throws {Fault} `PASSPHRASE_WRONG`; `RECOVERY_FILE_DAMAGED`; `RECOVERY_FILE_KIND` when it is no
 *   Ed25519 key. None says anything of the key or the passphrase.
 */
export function openKeyForm(
  { label, block }: ReadKeyForm,
  passphrase: string,
  name: string,
): RecoveryKey {
  const key = openRecoveryKey(block, passphrase);
  if (key.ok) {
    if (label === undefined || equalBytes(key.value.keyHash, label.keyHash)) return key.value;
    throw damaged(name, "its block is another key than its words say");
  }
  if (key.reason === "other") throw otherKind(name, WANTED, undefined);
  if (!block.isEncrypted) throw damaged(name, "its block is no private key");
  const typed = label === undefined ? ", or its block was typed wrong" : "";
  throw new Fault("PASSPHRASE_WRONG", `${name} does not open with this passphrase${typed}`);
}

/** The day of a time in milliseconds, in UTC. */
export function dayOf(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, "2026-01-31".length);
}

function readLabel(text: string): KeyLabel | undefined {
  const [all, number, count, name = "", lineage = "", threshold, keyHash = "", madeOn = ""] =
    LABEL.exec(text) ?? [];
  const [lineageHex, keyHashHex] = [lineage, keyHash].map((each) => each.replaceAll(" ", ""));
  if (all === undefined || !TRUST_DOMAIN_NAME.test(name)) return undefined;
  if (lineageHex?.length !== 64 || keyHashHex?.length !== 64) return undefined;
  return {
    trustDomain: name as TrustDomain,
    lineage: fromHex(lineageHex),
    number: Number(number),
    count: Number(count),
    threshold: Number(threshold),
    keyHash: fromHex(keyHashHex),
    madeOn,
  };
}

/** Blanks and line ends do not matter, as people type them. */
function readBody(name: string, body: string, digits: readonly string[]): Uint8Array {
  const base64 = body.replaceAll(/\s/g, "");
  const pieces = piecesOf(base64);
  if (digits.length > 0) {
    const wrong = pieces.findIndex((piece, index) => digitsOf(piece) !== digits[index]);
    if (wrong !== -1) {
      const line = Math.floor(wrong / PIECES_A_LINE) + 1;
      const from = (wrong % PIECES_A_LINE) * PIECE_CHARACTERS + 1;
      const place = `line ${line} of the block, from character ${from} to ${from + PIECE_CHARACTERS - 1}`;
      throw damaged(name, `look at ${place}, or at its digits`);
    }
    if (digits.length > pieces.length) throw damaged(name, "the block ends too early");
  }
  const der = Buffer.from(base64, "base64");
  if (base64Of(der) !== base64) throw damaged(name, "its block is no base64");
  return Uint8Array.from(der);
}

function writeKeyBlock({ isEncrypted, der }: KeyBlock): string {
  return writeBlock(isEncrypted ? "ENCRYPTED PRIVATE KEY" : "PRIVATE KEY", der).trimEnd();
}

function digitLines(base64: string): readonly string[] {
  const digits = piecesOf(base64).map(digitsOf);
  const lines = Math.ceil(digits.length / PIECES_A_LINE);
  return Array.from({ length: lines }, (_, line) =>
    digits.slice(line * PIECES_A_LINE, (line + 1) * PIECES_A_LINE).join(" "),
  );
}

function piecesOf(base64: string): readonly string[] {
  return base64.match(new RegExp(`.{1,${PIECE_CHARACTERS}}`, "g")) ?? [];
}

function digitsOf(piece: string): string {
  return sha256Hex(toUtf8(piece)).slice(0, PIECE_DIGITS);
}

function checkLine(text: string): string {
  return field("Check", grouped(fromHex(sha256Hex(toUtf8(text))).subarray(0, CHECK_BYTES)));
}

function base64Of(der: Uint8Array): string {
  return Buffer.from(der).toString("base64");
}
