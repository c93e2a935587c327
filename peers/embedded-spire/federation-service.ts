/** `spire.api.server.trustdomain.v1.TrustDomain`: relationships are stored, and never acted on. */
import type { SpireApiImplementation } from "../../src/spire-api/server.ts";
import {
  Code,
  create,
  type FederationRelationship,
  FederationRelationshipSchema,
} from "../../src/spire-api/services.ts";
import { attempt, explain, item, refusal } from "./answers.ts";
import { toRow } from "./bundle-service.ts";
import type { ServerParts } from "./server-parts.ts";
import { readSpiffeId, readTrustDomainName } from "./spiffe-id.ts";

export function federationService(
  parts: ServerParts,
): NonNullable<SpireApiImplementation["trustDomain"]> {
  const { datastore, log } = parts;

  return {
    listFederationRelationships(request) {
      const page = attempt(Code.Internal, "failed to list federation relationships", () =>
        datastore.relationships(request),
      );
      return { federationRelationships: [...page.rows], nextPageToken: page.nextPageToken };
    },

    batchCreateFederationRelationship: ({ federationRelationships }) => ({
      results: federationRelationships.map((given) =>
        item(log, () => {
          const message = "failed to convert federation relationship";
          const relationship = attempt(Code.InvalidArgument, message, () =>
            readRelationship(given),
          );
          if (relationship.trustDomain === parts.trustDomain) {
            throw refusal(
              Code.InvalidArgument,
              "unable to create federation relationship for server trust domain",
            );
          }
          // An existing one is INTERNAL too, against the API's own description (read in SPIRE).
          attempt(Code.Internal, "failed to create federation relationship", () =>
            datastore.createRelationship(relationship),
          );
          return { federationRelationship: relationship };
        }),
      ),
    }),

    batchDeleteFederationRelationship: ({ trustDomains }) => ({
      results: trustDomains.map((trustDomain) => ({
        ...item(log, () => {
          const message = "failed to parse trust domain";
          const name = attempt(Code.InvalidArgument, message, () =>
            readTrustDomainName(trustDomain),
          );
          if (datastore.deleteRelationship(name)) return {};
          throw refusal(Code.NotFound, "federation relationship not found");
        }),
        trustDomain,
      })),
    }),
  };
}

function readRelationship(given: FederationRelationship): FederationRelationship {
  const { bundleEndpointUrl, bundleEndpointProfile: profile, trustDomainBundle } = given;
  const trustDomain = explain("failed to parse trust domain", () =>
    readTrustDomainName(given.trustDomain),
  );
  const url = URL.parse(bundleEndpointUrl);
  if (url?.protocol !== "https:") {
    throw new Error("bundle endpoint URL must use the https scheme");
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error("bundle endpoint URL must not contain user info");
  }
  if (profile.case === undefined) throw new Error("unsupported bundle endpoint profile type");
  if (profile.case === "httpsSpiffe") readSpiffeId(profile.value.endpointSpiffeId);
  const relationship = create(FederationRelationshipSchema, { trustDomain, bundleEndpointUrl });
  relationship.bundleEndpointProfile = profile;
  if (trustDomainBundle !== undefined) {
    relationship.trustDomainBundle = toRow(trustDomainBundle, trustDomain);
  }
  return relationship;
}
