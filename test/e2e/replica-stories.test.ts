import { describe, test } from "vitest";
import { replicaStories } from "./replica-stories.ts";
import { EMBEDDED_REPLICAS, findRealReplicas } from "./replicas.ts";

replicaStories(EMBEDDED_REPLICAS);

const real = findRealReplicas();
if (typeof real === "string") {
  describe("replicas beside a real SPIRE Server", () => {
    test.skip(`skipped: ${real}`, () => undefined);
  });
} else {
  replicaStories(real);
}
