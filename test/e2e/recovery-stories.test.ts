import { describe, test } from "vitest";
import { findSpire } from "../../peers/site.ts";
import { recoveryStories } from "./recovery-stories.ts";

recoveryStories("the embedded SPIRE Server", undefined);

const spireServer = findSpire("spire-server");
if (spireServer === undefined) {
  describe("on a real SPIRE Server", () => {
    test.skip("skipped: no spire-server on PATH or in SPIRE_BIN", () => undefined);
  });
} else {
  recoveryStories("a real SPIRE Server", spireServer);
}
