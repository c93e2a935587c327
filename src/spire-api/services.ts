/**
 * SPIRE Server's API as our own .proto files state it: service definitions for both ends, and the
 * messages that they carry. The rooms above import these names from here, never from `generated/`.
 *
 * Requests are plain objects or made with `create`; a received message is never spread into a
 * request, as that fails at run time (measured).
 */
export { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
export { Code, ConnectError } from "@connectrpc/connect";

export {
  BatchDeleteFederatedBundleRequest_Mode as DeleteMode,
  Bundle as BundleService,
} from "./generated/bundle_pb.js";
export { Entry as EntryService } from "./generated/entry_pb.js";
export {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "./generated/health_pb.js";
export {
  type AuthorityState,
  AuthorityStateSchema,
  LocalAuthority as LocalAuthorityService,
} from "./generated/localauthority_pb.js";
export { SVID as SvidService } from "./generated/svid_pb.js";
export { TrustDomain as TrustDomainService } from "./generated/trustdomain_pb.js";
export {
  type Bundle,
  BundleSchema,
  type Entry,
  EntrySchema,
  FederatesWithMatch_MatchBehavior as MatchBehavior,
  type FederationRelationship,
  FederationRelationshipSchema,
  type JWTKey,
  type SPIFFEID,
  type Status,
  type X509Certificate,
} from "./generated/types_pb.js";
