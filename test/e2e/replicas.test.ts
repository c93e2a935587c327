import { describe, test } from "vitest";
import { spireReplicasCompliance } from "../compliance/spire-replicas.ts";
import { EMBEDDED_REPLICAS, Replicas, findRealReplicas } from "./replicas.ts";

const real = findRealReplicas();
for (const kind of [EMBEDDED_REPLICAS, real]) {
  if (typeof kind !== "string") {
    spireReplicasCompliance(kind.name, async () => await Replicas.start(kind));
    continue;
  }
  describe("two of a real SPIRE Server on one datastore", () => {
    test.skip(`skipped: ${kind}`, () => undefined);
  });
}
