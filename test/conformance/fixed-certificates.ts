/**
 * Certificates in SPIRE's shape that are the same each time: authorities, servers below them and
 * X509-SVIDs, each with any part replaced.
 */
import { type CertificateParts, extensions } from "../arbitraries/certificate.ts";
import { bitString, integer, name, sequence, time, tlv } from "../arbitraries/der.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { toUtf8 } from "../../src/core/std/bytes.ts";
import { type CertificateKey, type SvidKey, p256Key } from "./fixed-keys.ts";

/** When everything is received unless told: 2026-09-21 14:13:20 UTC. */
export const NOW_S = 1_790_000_000;
const DAY_S = 86_400;
export const TRUST_DOMAIN = "alpha.test";

export interface CertificateOptions {
  readonly notBeforeS?: number;
  readonly notAfterS?: number;
  readonly key?: CertificateKey;
  readonly subject?: Uint8Array;
  /** By default the one of the trust domain, or of the publisher. */
  readonly uriSans?: readonly string[];
  readonly pathLength?: number;
  /** Extensions besides those of SPIRE. */
  readonly more?: readonly Uint8Array[];
  readonly parts?: Partial<CertificateParts>;
}

export interface Authority {
  readonly der: Uint8Array;
  readonly key: CertificateKey;
  readonly subject: Uint8Array;
  readonly keyId: Uint8Array;
}

/** An X509-SVID: the chain that is sent, and its key. */
export interface Svid {
  readonly chain: readonly Uint8Array[];
  readonly key: SvidKey;
}

/** A self-signed authority, or with `parent` a server below one. Its name makes its key. */
export function authority(
  label: string,
  options: CertificateOptions = {},
  parent?: Authority,
): Authority {
  const { key = p256Key(label), uriSans = [`spiffe://${TRUST_DOMAIN}`] } = options;
  const subject =
    options.subject ??
    name([
      ["2.5.4.6", "US"],
      ["2.5.4.10", "SPIFFE"],
      ["2.5.4.5", label],
    ]);
  const keyId = keyIdOf(key);
  const der = certificate(
    label,
    {
      issuer: parent?.subject ?? subject,
      validity: validity(options, NOW_S - 30 * DAY_S, NOW_S + 30 * DAY_S),
      subject,
      spki: key.spki,
      extensions: [
        extensions.keyUsage(5, 6),
        extensions.basicConstraints(true, options.pathLength),
        extensions.subjectKeyId(keyId),
        ...(parent === undefined ? [] : [extensions.authorityKeyId(parent.keyId)]),
        ...(uriSans.length === 0 ? [] : [extensions.uriSans(...uriSans)]),
        ...(options.more ?? []),
      ],
      ...options.parts,
    },
    parent?.key ?? key,
  );
  return { der, key, subject, keyId };
}

/** The publisher's X509-SVID under an authority, or under the last of the servers that are sent. */
export function svid(
  label: string,
  anchor: Authority,
  options: CertificateOptions & {
    readonly sent?: readonly Authority[];
    readonly svidKey?: SvidKey;
  } = {},
): Svid {
  const { sent = [], svidKey = p256Key(label) } = options;
  const { key = svidKey, uriSans = [`spiffe://${TRUST_DOMAIN}/spire-mesh/publisher`] } = options;
  const issuer = sent[0] ?? anchor;
  const der = certificate(
    label,
    {
      issuer: issuer.subject,
      validity: validity(options, NOW_S - 1_800, NOW_S + 1_800),
      subject:
        options.subject ??
        name([
          ["2.5.4.6", "US"],
          ["2.5.4.10", "SPIRE"],
        ]),
      spki: key.spki,
      extensions: [
        extensions.keyUsage(0, 2, 4),
        extensions.serverAndClientAuth(),
        extensions.basicConstraints(false),
        extensions.subjectKeyId(keyIdOf(key)),
        extensions.authorityKeyId(issuer.keyId),
        extensions.uriSans(...uriSans),
        ...(options.more ?? []),
      ],
      ...options.parts,
    },
    issuer.key,
  );
  return { chain: [der, ...sent.map((each) => each.der)], key: svidKey };
}

function certificate(
  label: string,
  parts: Pick<CertificateParts, "issuer" | "validity" | "subject" | "spki" | "extensions"> &
    Partial<CertificateParts>,
  issuer: CertificateKey,
): Uint8Array {
  const none = new Uint8Array();
  const tbs = sequence(
    parts.version ?? tlv(0xa0, integer(2)),
    parts.serialNumber ?? integer(sha256(toUtf8(label)).subarray(0, 8)),
    parts.innerAlgorithm ?? issuer.algorithm,
    parts.issuer,
    parts.validity,
    parts.subject,
    parts.spki,
    parts.uniqueIds ?? none,
    parts.extensions.length === 0 ? none : tlv(0xa3, sequence(...parts.extensions)),
    parts.tbsTail ?? none,
  );
  const signature = parts.signature ?? bitString(issuer.sign(tbs));
  return Uint8Array.from(sequence(tbs, parts.outerAlgorithm ?? issuer.algorithm, signature));
}

function validity(
  { notBeforeS, notAfterS }: CertificateOptions,
  fromS: number,
  untilS: number,
): Uint8Array {
  return sequence(time(notBeforeS ?? fromS), time(notAfterS ?? untilS));
}

function keyIdOf({ spki }: CertificateKey): Uint8Array {
  return sha256(spki).subarray(0, 20);
}
