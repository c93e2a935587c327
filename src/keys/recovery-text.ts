/**
 * Texts that a person reads and a program takes: requests, signatures and commitments of recovery.
 *
 *     SPIRE-MESH RECOVERY REQUEST
 *
 *     what it says, in words
 *
 *     -----BEGIN SPIRE-MESH RECOVERY REQUEST-----
 *     the same as deterministic CBOR, in base64
 *     -----END SPIRE-MESH RECOVERY REQUEST-----
 *
 * Law: the words are made from the content, and a file whose words are others is refused. So nobody
 * reads one thing and signs another, and a byte that changed on the way is found wherever it stands.
 */
import type { Result } from "../core/std/result.ts";
import { toHex } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";

export type RecoveryTextKind = "request" | "signature" | "commitment";

/**
 * The largest payload takes 132 KiB in armor, and its words 20 KiB; the rest is room. Above: refused,
 * RECOVERY_FILE_DAMAGED.
 */
export const RECOVERY_TEXT_BYTES_MAX = 256 * 1024;
const LINE_CHARACTERS = 64;
const BLOCK = /^-----BEGIN ([A-Z -]+)-----\n([A-Za-z0-9+/=\n]*?)\n?-----END \1-----$/m;
const LABELS: Readonly<Record<string, string>> = {
  [labelOf("request")]: "a recovery request",
  [labelOf("signature")]: "a recovery signature",
  [labelOf("commitment")]: "a recovery commitment",
  "PRIVATE KEY": "a private key",
  "ENCRYPTED PRIVATE KEY": "an encrypted private key",
};

/** The whole file. `words` is what it says, without a line end. */
export function writeRecoveryText(
  kind: RecoveryTextKind,
  words: string,
  content: Uint8Array,
): string {
  const label = labelOf(kind);
  return `${label}\n\n${words}\n\n${writeBlock(label, content)}`;
}

/**
 * Reads a file that `write` made.
 *
 * @param name What the operator calls the file.
 * @param read Reads the content; the reason continues a sentence.
 * @throws {Fault} `RECOVERY_FILE_KIND` when it is none of this kind; `RECOVERY_FILE_DAMAGED` when it
 *   is not, byte by byte, what `write` makes of its content. What `read` throws passes through.
 */
export function readRecoveryText<Value>(
  kind: RecoveryTextKind,
  name: string,
  text: string,
  read: (content: Uint8Array) => Result<Value, string>,
  write: (value: Value) => string,
): Value {
  const whole = withUnixLineEnds(text);
  const block = readBlock(whole);
  if (block?.label !== labelOf(kind)) throw otherKind(name, `a recovery ${kind}`, block?.label);
  const value = read(Uint8Array.from(Buffer.from(block.base64, "base64")));
  if (!value.ok) throw damaged(name, value.reason);
  if (write(value.value) !== whole) throw damaged(name, "its words are not those of its content");
  return value.value;
}

/** RFC 7468: a block that any tool finds in a text. */
export function writeBlock(label: string, content: Uint8Array): string {
  const base64 = Buffer.from(content).toString("base64");
  const lines = base64.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, "g")) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function readBlock(text: string): { readonly label: string; readonly base64: string } | undefined {
  const [, label, base64] = BLOCK.exec(text) ?? [];
  return label === undefined || base64 === undefined ? undefined : { label, base64 };
}

/** A file that went through another system's editor is still the same text. */
export function withUnixLineEnds(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

/** @param label Of the block that was found instead, if any. */
export function otherKind(name: string, wanted: string, label: string | undefined): Fault {
  const found = LABELS[label ?? ""] ?? "something else";
  return new Fault("RECOVERY_FILE_KIND", `${name} is ${found}, not ${wanted}`);
}

export function damaged(name: string, reason: string): Fault {
  return new Fault("RECOVERY_FILE_DAMAGED", `${name} is not what was written: ${reason}`);
}

/** An id or hash as people compare it: sixteen groups of four. */
export function grouped(bytes: Uint8Array): string {
  return (toHex(bytes).match(/.{4}/g) ?? []).join(" ");
}

/** `Name:` and what it is, in two columns. */
export function field(name: string, value: string): string {
  return `${`${name}:`.padEnd(15)}${value}`;
}

function labelOf(kind: RecoveryTextKind): string {
  return `SPIRE-MESH RECOVERY ${kind.toUpperCase()}`;
}
