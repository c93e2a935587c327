/** A secret in every form in which it could be written by mistake, and a search for all of them. */
import { type KeyObject, createPrivateKey } from "node:crypto";

/** Half of a 32-byte secret gives it away as well as the whole. */
const PART_BYTES = 16;

/** The private scalar or seed of a key (RFC 7518, 6.2.2 and RFC 8037, 2): what every form of it holds. */
export function secretOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}

/** The secrets of all private keys in a PEM file. */
export function secretsOfPem(pem: string): Buffer[] {
  const blocks = pem.match(/-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [secretOf(createPrivateKey(block))];
    } catch {
      return []; // Damaged on purpose.
    }
  });
}

/** Which form of a secret stands in these bytes; undefined when none does. */
export function formIn(haystack: Uint8Array, secret: Uint8Array): string | undefined {
  const raw = Buffer.from(haystack);
  const text = raw.toString("latin1");
  // PEM has line ends, in JSON and logs also as escapes; hex dumps have spaces or colons.
  const dense = text.replaceAll(/\\[nrt]|[\s:]/g, "");
  for (let start = 0; start < secret.length; start += PART_BYTES) {
    const part = Buffer.from(secret.subarray(start, start + PART_BYTES));
    if (raw.includes(part)) return "raw";
    const found = textForms(part, start).find(([, form]) => dense.includes(form));
    if (found !== undefined) return found[0];
  }
  return undefined;
}

function textForms(part: Buffer, start: number): readonly (readonly [string, string])[] {
  const hex = part.toString("hex");
  const forms: (readonly [string, string])[] = [
    ["hex", hex],
    ["upper-case hex", hex.toUpperCase()],
    ["decimal list", part.join()],
    ["JSON of bytes", Array.from(part, (byte, index) => `"${start + index}"${byte}`).join()],
  ];
  // In base64 of something longer it may begin at any of three places.
  for (const [before, cut] of [
    [0, 0],
    [1, 2],
    [2, 3],
  ] as const) {
    const shifted = Buffer.concat([Buffer.alloc(before), part]);
    for (const encoding of ["base64", "base64url"] as const) {
      const sure = Math.floor((shifted.length * 8) / 6);
      forms.push([`${encoding} at ${before}`, shifted.toString(encoding).slice(cut, sure)]);
    }
  }
  return forms;
}
