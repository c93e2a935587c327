/**
 * x509-limbo's cases through the gate and the linear path rules, without the identity rule: no case
 * here is about an X509-SVID. Where our answer is another one, the case stands below with its reason.
 */
import { describe, expect, test } from "vitest";
import {
  type ChainFacts,
  findIssuer,
  judgeConstraints,
  judgeLinks,
} from "../../src/core/record/chain.ts";
import type { CertificateFacts } from "../../src/core/record/proofs.ts";
import { equalBytes } from "../../src/core/std/bytes.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { type LimboCase, certificatesOf, derOf, limboCases } from "./limbo.ts";

type Answer = LimboCase["expected_result"];

/** Cases that limbo refuses and we take: each looked at, and why it can do no harm here. */
const TAKEN: Readonly<Record<string, readonly string[]>> = {
  "host names: the identity rule asks for the one SPIFFE ID, and a DNS name is never judged": [
    "rfc5280::san::ip-in-dns",
    "webpki::cn::ipv4-hex-mismatch",
    "webpki::cn::ipv4-leading-zeros-mismatch",
    "webpki::cn::ipv6-non-rfc5952-mismatch",
    "webpki::cn::ipv6-uncompressed-mismatch",
    "webpki::cn::ipv6-uppercase-mismatch",
    "webpki::cn::not-in-san",
    "webpki::san::mismatch-apex-subdomain-san",
    "webpki::san::mismatch-domain-san",
    "webpki::san::mismatch-subdomain-apex-san",
    "webpki::san::mismatch-subdomain-san",
    "webpki::san::public-suffix-wildcard-san",
    "webpki::san::wildcard-match-across-labels-san",
  ],
  "CRLs: SPIFFE has none; SVIDs live for an hour and authorities are tainted": [
    "crl::crlnumber-critical",
    "crl::crlnumber-missing",
    "crl::issuer-missing-crlsign",
    "crl::revoked-certificate-with-crl",
  ],
  "key identifiers help to find an issuer: they must agree where both are, and none proves anything":
    [
      "rfc5280::aki::cross-signed-root-missing-aki",
      "rfc5280::aki::intermediate-missing-aki",
      "rfc5280::ski::intermediate-missing-ski",
      "rfc5280::ski::root-missing-ski",
      "webpki::aki::root-with-aki-all-fields",
      "webpki::aki::root-with-aki-missing-keyidentifier",
    ],
  "leaf: the identity rule refuses a CA and keyCertSign": [
    "rfc5280::ca-as-leaf-wrong-san",
    "rfc5280::leaf-ku-keycertsign",
  ],
  "basicConstraints of old corporate roots are not critical; they are judged all the same, as in Go":
    ["rfc5280::root-non-critical-basic-constraints"],
  "extended key usage: SPIFFE asks for none of a signature that is not made in TLS": [
    "webpki::eku::ee-critical-eku",
    "webpki::eku::ee-without-eku",
  ],
  "how many certificates a path may have is the verifier's to say: here an envelope carries four": [
    "pathlen::max-chain-depth-1-exhausted",
  ],
  "web PKI asks for RSA keys of a multiple of 8 bits": [
    "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
  ],
};

/** Cases that limbo takes and we refuse. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "name constraints on other names than URIs are refused when they are critical": [
    "rfc5280::nc::excluded-different-constraint-type",
    "rfc5280::nc::nc-permits-email-domain",
    "rfc5280::nc::nc-permits-email-literal-double-asterisk",
    "rfc5280::nc::nc-permits-email-literal-mid-asterisk",
    "rfc5280::nc::permitted-different-constraint-type",
    "rfc5280::nc::permitted-dns-match",
    "rfc5280::nc::permitted-ipv6-match",
    "webpki::nc::nc-permits-dns-san-pattern",
  ],
  "name constraints on otherName are not on the list": ["rfc5280::nc::nc-forbids-othername-noop"],
  "several paths: a chain is linear and each certificate of it must hold": [
    "cve::cve-2024-0567",
    "pathological::multiple-chains-expired-intermediate",
    "rfc5280::nc::nc-forbids-same-chain-ica",
    "rfc5280::root-and-intermediate-swapped",
  ],
};

const NO_KEY_ID = new Uint8Array();
/** Cases without a time of their own are valid from 1970 to 2969. */
const ANY_TIME = "2026-01-01T00:00:00Z";
const cases = limboCases();
const differs = new Map<string, Answer>([
  ...Object.values(TAKEN)
    .flat()
    .map((id) => [id, "SUCCESS"] as const),
  ...Object.values(REFUSED)
    .flat()
    .map((id) => [id, "FAILURE"] as const),
]);

describe.skipIf(cases.length === 0)("x509-limbo (vectors beside the checkout)", () => {
  test.each(cases.map((each) => [each.id, each] as const))("%s", (id, each) => {
    const { answer, why } = judge(each);
    const expected = differs.get(id) ?? each.expected_result;
    expect(answer, why).toBe(expected);
  });

  test("each difference that is named is one", () => {
    const expectations = new Map(cases.map((each) => [each.id, each.expected_result]));
    for (const [id, ours] of differs) {
      expect(expectations.get(id), id).toBe(ours === "SUCCESS" ? "FAILURE" : "SUCCESS");
    }
  });
});

function judge(each: LimboCase): { readonly answer: Answer; readonly why: string } {
  const problem = pathProblem(each);
  return { answer: problem === undefined ? "SUCCESS" : "FAILURE", why: problem ?? "taken" };
}

function pathProblem(each: LimboCase): string | undefined {
  const facts = new Map<string, CertificateFacts>();
  for (const pem of certificatesOf(each)) {
    const read = x509Proofs.readCertificate(derOf(pem));
    if ("malformed" in read) return read.malformed;
    facts.set(pem, read);
  }
  const intermediates = each.untrusted_intermediates.map((pem) => get(facts, pem));
  const chain = inOrder(get(facts, each.peer_certificate), intermediates);
  const anchors = each.trusted_certs.map((pem) => get(facts, pem));
  const atS = Date.parse(each.validation_time ?? ANY_TIME) / 1000;
  const links = judgeLinks(chain, atS, x509Proofs);
  if (!links.ok) return links.reason.detail;
  const found = findIssuer(chain, anchors, atS, "NEW_AUTHORITY_MISSING", x509Proofs);
  if (!found.ok) return found.reason.detail;
  // No case has a URI among its names.
  const constraints = judgeConstraints([...chain.slice(1), found.value.anchor], []);
  return constraints.ok ? undefined : constraints.reason.detail;
}

/** Intermediates have no order in limbo: by names and key ids, what fits nowhere at the end. */
function inOrder(leaf: CertificateFacts, intermediates: readonly CertificateFacts[]): ChainFacts {
  const chain: [CertificateFacts, ...CertificateFacts[]] = [leaf];
  const rest = new Set(intermediates);
  for (let last = leaf; rest.size > 0;) {
    const next = [...rest].find(
      ({ subject, subjectKeyId }) =>
        equalBytes(subject, last.issuer) &&
        equalBytes(subjectKeyId ?? NO_KEY_ID, last.authorityKeyId ?? subjectKeyId ?? NO_KEY_ID),
    );
    if (next === undefined) break;
    rest.delete(next);
    chain.push(next);
    last = next;
  }
  return [...chain, ...rest];
}

function get(facts: ReadonlyMap<string, CertificateFacts>, pem: string): CertificateFacts {
  const found = facts.get(pem);
  if (found === undefined) throw new Error("not read");
  return found;
}
