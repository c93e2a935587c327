/** The policy for SPIRE Server lets the daemon make the calls that it makes, and no other. */
import { expect, test } from "vitest";
import { SVID_TTL_S } from "../../src/core/std/limits.ts";
import * as services from "../../src/spire-api/services.ts";
import { repositoryFiles } from "./source.ts";

const [policy] = repositoryFiles(/^deploy\/spire-server\/policy\.rego$/);

/** Every method of SPIRE's API that we know, by how code calls it: `bundle.getBundle(`. */
const methods = new Map(
  [
    ["bundle", services.BundleService] as const,
    ["entry", services.EntryService] as const,
    ["health", services.HealthService] as const,
    ["localAuthority", services.LocalAuthorityService] as const,
    ["svid", services.SvidService] as const,
    ["trustDomain", services.TrustDomainService] as const,
  ].flatMap(([client, service]) =>
    service.methods.map((method) => [
      `${client}.${method.localName}(`,
      `/${service.typeName}/${method.name}`,
    ]),
  ),
);

test("the policy names exactly the methods that the daemon calls", () => {
  const code = repositoryFiles(/^src\/(?!spire-api\/).*\.ts$/)
    .map(({ text }) => text)
    .join("\n");
  const called = [...methods].flatMap(([call, name]) => (code.includes(call) ? [name] : []));
  expect(called).toContain("/spire.api.server.bundle.v1.Bundle/GetBundle");
  const named = [...(policy?.text ?? "").matchAll(/"(\/[\w.]+\.v1\.\w+\/\w+)"/g)].map(
    ([, name]) => name,
  );
  expect(new Set(named)).toEqual(new Set(called));
});

test("the policy lets the daemon mint for as long as it asks, and no longer", () => {
  expect(policy?.text).toContain(`input.req.ttl <= ${SVID_TTL_S}\n`);
});
