/** `federation create|list|delete`. */
import {
  Code,
  create,
  type FederationRelationship,
  FederationRelationshipSchema,
  type MessageInitShape,
  TrustDomainService,
} from "../../../src/spire-api/services.ts";
import { type Options, readOptions } from "../arguments.ts";
import { readSpiffeId } from "../spiffe-id.ts";
import { CLIENT_OPTIONS, onlyResult, withApi } from "./client.ts";
import { CommandError, isJson, print, printJson } from "./output.ts";

const { method } = TrustDomainService;
const LABEL_WIDTH = 26;
const CREATE_OPTIONS = {
  ...CLIENT_OPTIONS,
  trustDomain: "text",
  bundleEndpointURL: "text",
  bundleEndpointProfile: "text",
  endpointSpiffeID: "text",
} as const;

export async function federationCreate(args: readonly string[]): Promise<void> {
  const options = readOptions(args, CREATE_OPTIONS);
  const { trustDomain, bundleEndpointURL: bundleEndpointUrl } = options;
  if (trustDomain === undefined) throw new CommandError("trust domain is required");
  if (bundleEndpointUrl === undefined) throw new CommandError("bundle endpoint URL is required");
  const relationship = create(FederationRelationshipSchema, {
    trustDomain,
    bundleEndpointUrl,
    bundleEndpointProfile: readProfile(options),
  });
  await withApi(options, async (api) => {
    const request = { federationRelationships: [relationship] };
    const response = await api.trustDomain.batchCreateFederationRelationship(request);
    if (isJson(options.output)) {
      printJson(method.batchCreateFederationRelationship.output, response);
      return;
    }
    const status = response.results[0]?.status ?? { code: Code.Unknown, message: "no result" };
    if (status.code !== 0) {
      const problem = `(code: ${Code[status.code]}, msg: ${JSON.stringify(status.message)})`;
      const shown = formatRelationship(relationship);
      print(`\nFailed to create the following federation relationship ${problem}:\n${shown}`);
      throw new CommandError("failed to create one or more federation relationships");
    }
    print(`\n${formatRelationship(relationship)}`);
  });
}

export async function federationList(args: readonly string[]): Promise<void> {
  const options = readOptions(args, CLIENT_OPTIONS);
  await withApi(options, async (api) => {
    const list = await api.trustDomain.listFederationRelationships({});
    if (isJson(options.output)) {
      printJson(method.listFederationRelationships.output, list);
      return;
    }
    const { length } = list.federationRelationships;
    print(`Found ${length} federation ${length === 1 ? "relationship" : "relationships"}\n`);
    for (const each of list.federationRelationships) print(`\n${formatRelationship(each)}`);
  });
}

export async function federationDelete(args: readonly string[]): Promise<void> {
  const options = readOptions(args, { ...CLIENT_OPTIONS, id: "text" });
  const { id } = options;
  if (id === undefined) throw new CommandError("id is required");
  await withApi(options, async (api) => {
    const request = { trustDomains: [id] };
    const response = await api.trustDomain.batchDeleteFederationRelationship(request);
    if (isJson(options.output)) {
      printJson(method.batchDeleteFederationRelationship.output, response);
      return;
    }
    onlyResult(response.results, `failed to delete federation relationship "${id}"`);
    print("federation relationship deleted.\n");
  });
}

function readProfile(
  options: Options<typeof CREATE_OPTIONS>,
): MessageInitShape<typeof FederationRelationshipSchema>["bundleEndpointProfile"] & object {
  const { bundleEndpointProfile: profile, endpointSpiffeID: endpointSpiffeId } = options;
  if (profile === "https_web") return { case: "httpsWeb", value: {} };
  if (profile !== "https_spiffe") {
    throw new CommandError(`unknown bundle endpoint profile type: "${profile ?? ""}"`);
  }
  if (endpointSpiffeId === undefined) {
    throw new CommandError(
      "endpoint SPIFFE ID is required if 'https_spiffe' endpoint profile is set",
    );
  }
  readSpiffeId(endpointSpiffeId);
  return { case: "httpsSpiffe", value: { endpointSpiffeId } };
}

function formatRelationship(relationship: FederationRelationship): string {
  const { trustDomain, bundleEndpointUrl, bundleEndpointProfile: profile } = relationship;
  const lines = [
    ["Trust domain", trustDomain],
    ["Bundle endpoint URL", bundleEndpointUrl],
    ["Bundle endpoint profile", profile.case === "httpsSpiffe" ? "https_spiffe" : "https_web"],
    ...(profile.case === "httpsSpiffe"
      ? [["Endpoint SPIFFE ID", profile.value.endpointSpiffeId]]
      : []),
  ];
  return lines
    .map(([label = "", value = ""]) => `${label.padEnd(LABEL_WIDTH)}: ${value}\n`)
    .join("");
}
