/** Which operation answers which route, and how its words become those of the contract. */
import assert from "node:assert/strict";
import type { z } from "zod";
import type { ROUTES, ReplyOf, RouteName } from "../admin-contract/routes.ts";
import { type TrustDomain, readTrustDomain } from "../core/spiffe/trust-domain.ts";
import type { Operations } from "./operations.ts";

/** One for each route; the schemas have given requests their shape. */
export type Handlers = {
  readonly [Name in RouteName]: (
    request: z.output<(typeof ROUTES)[Name]["request"]>,
  ) => ReplyOf<Name> | Promise<ReplyOf<Name>>;
};

export function handlersOf(operations: Operations): Handlers {
  return {
    status: () => operations.status(),
    verify: async () => await operations.verify(),
    healthcheck: () => operations.healthcheck(),
    bundles: ({ trust_domain: name }) => [
      ...operations.bundles(name === undefined ? undefined : trustDomainOf(name)),
    ],
    bundleDocument: ({ trust_domain: name, format }) => ({
      trust_domain: name,
      format,
      document: operations.bundle(trustDomainOf(name), format),
    }),
    peers: () => [...operations.peers()],
    export: async () => {
      const { trustDomain, recordId, lineage, content, privateDirectories } =
        await operations.export();
      return {
        trust_domain: trustDomain,
        record_id: recordId,
        lineage,
        content: Buffer.from(content).toString("base64"),
        private_directories: [...privateDirectories],
      };
    },
    import: async ({ file, content, fingerprint, peers, replace }) => {
      const bytes = Uint8Array.from(Buffer.from(content, "base64"));
      return await operations.import({ file, content: bytes, fingerprint, peers, replace });
    },
    forget: async ({ trust_domain: name }) => await operations.forget(trustDomainOf(name)),
    exportPage: ({ after }) =>
      operations.exportPage(after === undefined ? undefined : trustDomainOf(after)),
    history: async ({ trust_domain: name }) => [...(await operations.history(trustDomainOf(name)))],
    diff: async ({ trust_domain: name, from, to }) =>
      await operations.diff(trustDomainOf(name), from, to),
    release: async ({ trust_domain: name, record_id: recordId, reason }) =>
      await operations.release(trustDomainOf(name), recordId, reason),
    confirmRestore: async () => await operations.confirmRestore(),
    newLineage: async ({ reason }) => await operations.newLineage(reason),
    adopt: async (order) => await operations.adopt(order),
    resume: async () => {
      await operations.resume();
      return { resumed: true };
    },
    nodes: () => [...operations.nodes()],
    addNode: async (order) => await operations.addNode(order),
    removeNode: async (order) => await operations.removeNode(order),
    recoveryStatus: () => operations.recoveryStatus(),
    commitRecovery: async (order) => await operations.commitRecovery(order),
    prepareRecovery: async (order) => await operations.prepareRecovery(order),
    recover: async (order) => await operations.recover(order),
    pin: async ({ trust_domain: name, fingerprint }) =>
      await operations.pin(trustDomainOf(name), fingerprint),
  };
}

function trustDomainOf(name: string): TrustDomain {
  const trustDomain = readTrustDomain(name);
  assert(trustDomain !== undefined, "the schema let an impossible trust domain by");
  return trustDomain;
}
