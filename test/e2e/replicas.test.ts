import { isDeepStrictEqual } from "node:util";
import { describe, test } from "vitest";
import { spireReplicasCompliance } from "../compliance/spire-replicas.ts";
import { type RunningSpire, spireServerCompliance } from "../compliance/spire-server.ts";
import { bundleOf, until } from "./mesh.ts";
import { EMBEDDED_REPLICAS, type ReplicaKind, Replicas, findRealReplicas } from "./replicas.ts";

spireReplicasCompliance(
  EMBEDDED_REPLICAS.name,
  async () => await Replicas.start(EMBEDDED_REPLICAS),
);

const real = findRealReplicas();
if (typeof real === "string") {
  describe("two of a real SPIRE Server on one datastore", () => {
    test.skip(`skipped: ${real}`, () => undefined);
  });
} else {
  spireReplicasCompliance(real.name, async () => await Replicas.start(real));
  spireServerCompliance(real.name, async () => await oneOf(real));
}

/** One of two servers, for what each has to do alone as well. */
async function oneOf(kind: ReplicaKind): Promise<RunningSpire> {
  const replicas = await Replicas.start(kind);
  const [site, other] = replicas.sites;
  if (site === undefined || other === undefined) throw new Error("two sites");
  await until("it has seen the other's authorities", async () => {
    return isDeepStrictEqual(await bundleOf(site), await bundleOf(other));
  });
  return {
    socketPath: site.spireSocket,
    trustDomain: site.trustDomain,
    stop: async (signal) => await site.stopSpire(signal),
    start: async () => await site.startSpire(),
    dispose: async () => await replicas.stop(),
  };
}
