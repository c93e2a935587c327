/**
 * `spire.api.server.bundle.v1.Bundle`. Federated rows are stored as they come, after no other check
 * than Go's parsers: empty, expired, of another trust domain, with a lower number (read in SPIRE). Only
 * the taint is dropped.
 */
import type { SpireApiImplementation } from "../../src/spire-api/server.ts";
import {
  type Bundle,
  BundleSchema,
  Code,
  create,
  DeleteMode,
  type JWTKey,
  type X509Certificate,
} from "../../src/spire-api/services.ts";
import { attempt, explain, item, refusal } from "./answers.ts";
import { checkPublicKey, parseCertificates } from "./go-parser.ts";
import type { ServerParts } from "./server-parts.ts";
import { readTrustDomainName } from "./spiffe-id.ts";

const DELETE_MODES: ReadonlySet<DeleteMode> = new Set([
  DeleteMode.RESTRICT,
  DeleteMode.DELETE,
  DeleteMode.DISSOCIATE,
]);

export function bundleService(parts: ServerParts): NonNullable<SpireApiImplementation["bundle"]> {
  const { datastore, faults, log, ownBundle } = parts;

  /** @param notAllowed Why the server's own trust domain is not taken. */
  function readOther(text: string, notAllowed: string): string {
    const message = "trust domain argument is not valid";
    const name = attempt(Code.InvalidArgument, message, () => readTrustDomainName(text));
    if (name !== parts.trustDomain) return name;
    throw refusal(Code.InvalidArgument, `${notAllowed} is not allowed`);
  }

  /** Does one item of a write: reads the bundle, hands the row on, and answers with it. */
  function writeItem(given: Bundle, verb: string, failure: string, write: (row: Bundle) => void) {
    return item(log, () => {
      const notAllowed = `${verb} a federated bundle for the server's own trust domain`;
      const trustDomain = readOther(given.trustDomain, notAllowed);
      const row = attempt(Code.InvalidArgument, "failed to convert bundle", () =>
        toRow(given, trustDomain),
      );
      attempt(Code.Internal, failure, () => {
        faults.beforeItem();
        write(row);
      });
      return { bundle: row };
    });
  }

  function deleteItem(given: string, mode: DeleteMode): void {
    const trustDomain = readOther(given, "removing the bundle for the server trust domain");
    const failure = "failed to delete federated bundle";
    const outcome = attempt(Code.Internal, failure, () => {
      faults.beforeItem();
      return datastore.deleteBundle(trustDomain, mode);
    });
    if (outcome.kind === "missing") throw refusal(Code.NotFound, "bundle not found");
    if (outcome.kind === "in-use") {
      throw refusal(
        Code.FailedPrecondition,
        `${failure}: datastore-sql: cannot delete bundle; federated with ${outcome.entries} registration entries`,
      );
    }
  }

  return {
    countBundles: () => ({ count: datastore.countBundles() }),

    getBundle() {
      const bundle = ownBundle.read();
      if (bundle === undefined) throw refusal(Code.NotFound, "bundle not found");
      return bundle;
    },

    appendBundle({ x509Authorities, jwtAuthorities }) {
      if (x509Authorities.length + jwtAuthorities.length === 0) {
        throw refusal(Code.InvalidArgument, "no authorities to append");
      }
      return ownBundle.append({
        jwtAuthorities: attempt(Code.InvalidArgument, "failed to convert JWT authority", () =>
          jwtAuthorities.map(untaintedKey),
        ),
        x509Authorities: attempt(Code.InvalidArgument, "failed to convert X.509 authority", () =>
          x509Authorities.map(untaintedCertificate),
        ),
      });
    },

    listFederatedBundles(request) {
      const page = attempt(Code.Internal, "failed to list bundles", () =>
        datastore.bundles(request),
      );
      // The own row is taken out after the page was cut: a page may be short, or empty with a token.
      const bundles = page.rows.filter(({ trustDomain }) => trustDomain !== parts.trustDomain);
      return { bundles: [...bundles], nextPageToken: page.nextPageToken };
    },

    getFederatedBundle({ trustDomain }) {
      const notAllowed = "getting a federated bundle for the server's own trust domain";
      const bundle = datastore.bundle(readOther(trustDomain, notAllowed));
      if (bundle === undefined) throw refusal(Code.NotFound, "bundle not found");
      return bundle;
    },

    batchCreateFederatedBundle: ({ bundle }) => ({
      results: bundle.map((given) =>
        writeItem(given, "creating", "unable to create bundle", (row) => {
          datastore.changeBundle(row.trustDomain, (current) => {
            if (current === undefined) return row;
            throw refusal(Code.AlreadyExists, "bundle already exists");
          });
        }),
      ),
    }),

    batchUpdateFederatedBundle: ({ bundle }) => ({
      results: bundle.map((given) =>
        writeItem(given, "updating", "failed to update bundle", (row) => {
          datastore.changeBundle(row.trustDomain, (current) => {
            if (current !== undefined) return row;
            throw refusal(Code.NotFound, "bundle not found");
          });
        }),
      ),
    }),

    batchSetFederatedBundle: ({ bundle }) => ({
      results: bundle.map((given) =>
        writeItem(given, "setting", "failed to set bundle", (row) => datastore.setBundle(row)),
      ),
    }),

    batchDeleteFederatedBundle({ trustDomains, mode }) {
      if (!DELETE_MODES.has(mode)) {
        throw refusal(Code.InvalidArgument, `failed to parse deletion mode: unhandled ${mode}`);
      }
      return {
        results: trustDomains.map((trustDomain) => ({
          ...item(log, () => {
            deleteItem(trustDomain, mode);
            return {};
          }),
          trustDomain,
        })),
      };
    },
  };
}

/** The row of a bundle: everything but the taint, which no federated row ever has. Throws an Error. */
export function toRow(given: Bundle, trustDomain: string): Bundle {
  return create(BundleSchema, {
    trustDomain,
    refreshHint: given.refreshHint,
    sequenceNumber: given.sequenceNumber,
    x509Authorities: explain("unable to parse X.509 authority", () =>
      given.x509Authorities.map(untaintedCertificate),
    ),
    jwtAuthorities: explain("unable to parse JWT authority", () =>
      given.jwtAuthorities.map(untaintedKey),
    ),
  });
}

function untaintedCertificate({ asn1 }: X509Certificate): { readonly asn1: Uint8Array } {
  parseCertificates(asn1);
  return { asn1 };
}

function untaintedKey({ publicKey, keyId, expiresAt }: JWTKey) {
  checkPublicKey(publicKey);
  if (keyId === "") throw new Error("missing key ID");
  return { publicKey, keyId, expiresAt };
}
