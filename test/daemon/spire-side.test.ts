/** What the core hears of a SPIRE Server whose lists cannot be read, over a real socket. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { createSpireSide } from "../../src/daemon/spire-side.ts";
import { Code, ConnectError } from "../../src/spire-api/services.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { SpireStandIn } from "../spire/spire-stand-in.ts";

const HEARD_MS = 5_000;

test("a SPIRE Server that refuses its lists is told, and told to be over", async () => {
  const standIn = await SpireStandIn.make();
  onTestFinished(async () => await standIn.remove());
  const { directory, socketPath } = standIn;
  let isRefused = true;
  standIn.before = ({ method }) => {
    if (isRefused && method.startsWith("List")) {
      throw new ConnectError("not for you", Code.PermissionDenied);
    }
  };
  await standIn.start();
  const path = join(directory, "mesh.yaml");
  await writeFile(path, `trust_domain: alpha.test\nspire:\n  socket_path: ${socketPath}\n`);
  const config = await loadConfig(path, { environment: {}, expandEnv: false });
  const heard: string[] = [];
  const side = createSpireSide(config, {
    spire: connectSpireServer({ socketPath }),
    put: (input) => {
      heard.push(
        input.kind === "rows-unread" ? `rows-unread: ${input.reason}: ${input.next}` : input.kind,
      );
    },
    onBack: () => undefined,
    onTrouble: () => undefined,
    onFatal: () => undefined,
  });
  side.start();
  onTestFinished(async () => await side.stop());
  const wait = { timeout: HEARD_MS };
  await expect
    .poll(() => heard.join("\n"), wait)
    .toMatch(/not for you: Read SPIRE Server's own log/);
  isRefused = false;
  await expect.poll(() => heard, wait).toContain("rows-read");
  const readBefore = heard.length;
  await side.readRows();
  expect(heard.slice(readBefore)).toContain("rows-read");
  expect(heard.filter((each) => each.startsWith("rows-unread"))).toHaveLength(1);
});
