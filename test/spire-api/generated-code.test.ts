import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GENERATED = "src/spire-api/generated";

test("the committed code is what `npm run generate` makes of the .proto files", async () => {
  const fresh = await mkdtemp(join(tmpdir(), "generated-"));
  try {
    const buf = join(ROOT, "node_modules/@bufbuild/buf/bin/buf");
    await promisify(execFile)(process.execPath, [buf, "generate", "-o", fresh], { cwd: ROOT });
    const names = await readdir(join(fresh, GENERATED));
    expect(names.length).toBeGreaterThan(0);
    expect((await readdir(join(ROOT, GENERATED))).sort()).toEqual(names.sort());
    for (const name of names) {
      const committed = await readFile(join(ROOT, GENERATED, name), "utf8");
      expect(committed, name).toBe(await readFile(join(fresh, GENERATED, name), "utf8"));
    }
  } finally {
    await rm(fresh, { recursive: true });
  }
});
