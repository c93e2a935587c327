/** The image as a user runs it: read-only, without root, beside a SPIRE Server. */
import type { ChildProcess } from "node:child_process";
import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { Site } from "../../peers/site.ts";
import { exitOf, textOf } from "../cli/spire-mesh.ts";
import {
  addBaseImage,
  processOne,
  startContainer,
  startInside,
  USER,
  whyNoContainer,
} from "./container.ts";
import { execForm, instructionsOf, readStages, replay } from "./image.ts";

/** An install and a build: 10 s on two cores that do nothing else. */
const REPLAY_MS_MAX = 240_000;
const READY_MS_MAX = 30_000;
/** A daemon stops within this time of SIGTERM. */
const STOP_MS = 5_000;

const CONFIG = "/etc/spire-mesh/spire-mesh.yaml";
const PRIVATE = "/tmp/spire-server/private";

const stages = await readStages();
const final = stages.at(-1) ?? { name: "", instructions: [] };
const entrypoint = execForm(instructionsOf(final, "ENTRYPOINT")[0]);
const command = execForm(instructionsOf(final, "CMD")[0]);
const healthcheck = execForm(instructionsOf(final, "HEALTHCHECK")[0]);
const reason = await whyNoContainer();

if (reason !== undefined) {
  test.skip(`skipped: ${reason}`, () => undefined);
}

describe.skipIf(reason !== undefined)("the image", () => {
  let place = "";
  let image = "";
  let mounts = {};
  let container: ChildProcess | undefined;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), "image-"));
    image = await replay(stages, place);
    const program = join(image, "opt/spire-mesh");
    await addBaseImage(image, [
      join(program, "node"),
      join(
        program,
        `node_modules/classic-level/prebuilds/linux-${process.arch}/classic-level.node`,
      ),
    ]);
    await mkdir(join(place, "config"));
    await writeFile(
      join(place, "config/spire-mesh.yaml"),
      [
        "trust_domain: alpha.test",
        'listen: ["/ip4/127.0.0.1/tcp/0"]',
        `spire: { socket_path: ${PRIVATE}/spire.sock }`,
      ].join("\n"),
    );
    mounts = {
      "/etc/spire-mesh": join(place, "config"),
      "/var/lib/spire-mesh": join(image, "var/lib/spire-mesh"),
    };
  }, REPLAY_MS_MAX);
  afterEach(async () => {
    container?.kill("SIGKILL");
    if (container !== undefined) await exitOf(container);
    container = undefined;
  });
  afterAll(async () => {
    await rm(place, { recursive: true });
  });

  /** Runs a command as the only one of a container, to its end. */
  async function run(...words: readonly string[]): Promise<{ code: number | null; said: string }> {
    container = await startContainer(image, mounts, words);
    const said = Promise.all([textOf(container.stdout), textOf(container.stderr)]);
    return { code: await exitOf(container), said: (await said).join("") };
  }

  test("says its version", async () => {
    expect(await run(...entrypoint, "--version")).toEqual({
      code: 0,
      said: `${manifest.version}\n`,
    });
  });

  test("checks a configuration", async () => {
    expect(await run(...entrypoint, "validate", "-config", CONFIG)).toMatchObject({ code: 0 });
  });

  test("can be written nowhere but in data_dir and runtime_dir, and not by root's rights", async () => {
    const script = `
      const places = ["/", "/opt/spire-mesh", "/etc", "/tmp", "/run", "/var/lib",
        "/var/lib/spire-mesh", "/run/spire-mesh"];
      const writable = places.filter((place) => {
        try { fs.rmdirSync(fs.mkdtempSync(place + "/x")); return true; } catch { return false; }
      });
      console.log(process.getuid(), process.getgroups().join(), writable.join(), process.pid);`;
    expect(await run(entrypoint[0] ?? "", "-e", script)).toEqual({
      code: 0,
      said: `${USER} ${USER} /var/lib/spire-mesh,/run/spire-mesh 1\n`,
    });
  });

  test("holds no shell and no package manager", async () => {
    const found = await run("/bin/sh", "-c", "true");
    expect(found.code).not.toBe(0);
  });

  test("runs beside a SPIRE Server, is healthy, and stops in time", async () => {
    const site = await Site.make({ trustDomain: "alpha.test", directory: join(place, "spire") });
    await site.startSpire();
    try {
      for (const path of [site.directory, site.spireSocket]) await chown(path, USER, USER);
      const all = { ...mounts, [PRIVATE]: site.directory };
      const daemon = await startContainer(image, all, [...entrypoint, ...command]);
      container = daemon;
      const [stdout, stderr] = [textOf(daemon.stdout), textOf(daemon.stderr)];
      expect(healthcheck).toContain("healthcheck");
      await vi.waitFor(
        async () => {
          expect(await exitOf(await startInside(daemon, healthcheck))).toBe(0);
        },
        { timeout: READY_MS_MAX, interval: 300 },
      );
      const askedMs = performance.now();
      process.kill(await processOne(daemon), "SIGTERM");
      expect(await exitOf(daemon)).toBe(0);
      expect(performance.now() - askedMs).toBeLessThan(STOP_MS);
      expect(await stdout).toBe("");
      expect(await stderr).not.toMatch(/level=(?:error|warning)/);
    } finally {
      await site.stop();
    }
  });
});
