import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { createLogger } from "../../src/telemetry/log.ts";

test("a log line says once that there is no socket", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spire-fault-"));
  onTestFinished(async () => await rm(directory, { recursive: true }));
  const socketPath = join(directory, "none.sock");
  const server = connectSpireServer({ socketPath });
  onTestFinished(() => server.close());
  const error: unknown = await server.readBundle().catch((reason: unknown) => reason);
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  createLogger({ level: "info", format: "json", destination }).warn({ error }, "Failed");
  const line = JSON.parse(lines[0] ?? "") as { error: string; code: string };
  expect(line.error).toBe(`there is no socket at ${socketPath}`);
  expect(line.code).toBe("SPIRE_UNREACHABLE");
});
