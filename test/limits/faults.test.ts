/** Each code of src/fault.ts is expected by a test that provokes it, with the part that throws it. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { createSpireSide } from "../../src/daemon/spire-side.ts";
import type { Fault, FaultCode } from "../../src/fault.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { SpireStandIn } from "../spire/spire-stand-in.ts";
import { ROOT } from "../tidy/source.ts";

/** Where each is provoked. A new code without an entry fails the type check. */
const PROVOKED_BY: Readonly<Record<FaultCode, string>> = {
  USAGE: "test/cli/command-line.test.ts",
  DATA_INVALID: "test/cli/commands.test.ts",
  RECORD_REFUSED: "test/cli/commands.test.ts",
  DAEMON_UNREACHABLE: "test/admin-contract/client.test.ts",
  DAEMON_FAILED: "test/admin-contract/client.test.ts",
  BUSY: "test/admin/admin-server.test.ts",
  SPIRE_UNREACHABLE: "test/spire/spire-server.test.ts",
  SPIRE_REFUSED: "test/spire/spire-server.test.ts",
  SPIRE_OTHER_TRUST_DOMAIN: "test/limits/faults.test.ts",
  ROW_IN_USE: "test/cli/commands.test.ts",
  ROW_NOT_OURS: "test/cli/commands.test.ts",
  CANNOT_CREATE: "test/private-files/private-directory.test.ts",
  ALREADY_RUNNING: "test/store/killed-process.test.ts",
  STORE_DAMAGED: "test/store/level-record-store.test.ts",
  STORE_FULL: "test/store/killed-process.test.ts",
  KEY_EXPOSED: "test/keys/node-key.test.ts",
  KEY_DAMAGED: "test/keys/node-key.test.ts",
  PASSPHRASE_UNFIT: "test/cli/recovery.test.ts",
  PASSPHRASE_WRONG: "test/cli/recovery.test.ts",
  RECOVERY_FILE_KIND: "test/keys/recovery-commitment.test.ts",
  RECOVERY_FILE_DAMAGED: "test/keys/recovery-request.test.ts",
  RECOVERY_OTHER_TRUST_DOMAIN: "test/keys/recovery-signature.test.ts",
  RECOVERY_OTHER_EPOCH: "test/keys/recovery-signature.test.ts",
  RECOVERY_OTHER_RECORD: "test/keys/recovery-signature.test.ts",
  RECOVERY_KEY_UNKNOWN: "test/keys/recovery-signature.test.ts",
  RECOVERY_KEY_KEPT: "test/keys/recovery-signature.test.ts",
  RECOVERY_KEY_TWICE: "test/keys/recovery-signature.test.ts",
  RECOVERY_COUNT: "test/keys/recovery-signature.test.ts",
  NOT_ALLOWED: "test/private-files/private-directory.test.ts",
  NOT_FOUND: "test/cli/commands.test.ts",
  NOT_READY: "test/compliance/record-store.ts",
  NOT_BUILT: "test/admin/admin-server.test.ts",
  CONFIG_INVALID: "test/config/config.test.ts",
};

test.each(Object.entries(PROVOKED_BY))("%s is expected in %s", (code, file) => {
  const text = readFileSync(join(ROOT, file), "utf8");
  // As a code that is compared, or as what a command printed first.
  expect(text).toMatch(new RegExp(`["/^\`]${code}\\b`));
});

test("a SPIRE Server of another trust domain ends the daemon: SPIRE_OTHER_TRUST_DOMAIN", async () => {
  const standIn = await SpireStandIn.make();
  await standIn.start();
  onTestFinished(async () => await standIn.remove());
  const { directory, socketPath } = standIn; // It serves alpha.test.
  const path = join(directory, "mesh.yaml");
  await writeFile(path, `trust_domain: bravo.test\nspire:\n  socket_path: ${socketPath}\n`);
  const config = await loadConfig(path, { environment: {}, expandEnv: false });
  const fault = await new Promise<Fault>((onFatal) => {
    const spire = connectSpireServer({ socketPath });
    const inputs: string[] = [];
    const side = createSpireSide(config, {
      spire,
      put: ({ kind }) => inputs.push(kind),
      onBack: () => {},
      onTrouble: () => {},
      onFatal: (each) => {
        expect(inputs).not.toContain("local-bundle-read");
        onFatal(each);
      },
    });
    side.start();
    onTestFinished(async () => await side.stop());
  });
  expect(fault.code).toBe("SPIRE_OTHER_TRUST_DOMAIN");
  expect(fault.exitCode).toBe(78);
});
