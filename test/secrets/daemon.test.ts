/**
 * A daemon's whole life beside a SPIRE Server, at log level debug, with everything going wrong that
 * may: nothing that it printed, logged, answered or stored holds a private key, but for the two
 * places that are made for them.
 */
import { generateKeyPairSync } from "node:crypto";
import { readFile, readdir, lstat, rename, truncate, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rotateAtOnce } from "../../peers/rotation.ts";
import { type Site, freePort } from "../../peers/site.ts";
import { watchAdmin } from "../../src/admin-contract/client.ts";
import { Story, exportTo, meet, mesh, until, untilAllHoldAll } from "../e2e/mesh.ts";
import { formIn, secretsOfPem } from "./forms.ts";

const STORY_MS = 120_000;
const LOOK_MS = 20;

let story: Story;
let alpha: Site;
let bravo: Site;
let monitoring: readonly string[];
/** What came out, by what it came out of. */
const haystacks = new Map<string, Uint8Array>();
/** Every private key that the daemon has had, by its secret in hex. */
const secrets = new Map<string, Buffer>();
let looking: NodeJS.Timeout;
const modes = new Map<string, string>();

beforeAll(async () => {
  story = await Story.begin(undefined);
  const [metrics, health] = [await freePort(), await freePort()];
  monitoring = [`${metrics}/metrics`, `${health}/live`, `${health}/ready`];
  const extraConfig = `telemetry: { prometheus: { port: ${metrics} } }
health_checks: { bind_port: ${health} }
`;
  const umask = process.umask(0); // The daemon inherits it.
  const [[first], [second]] = await Promise.all([
    story.startSites(["alpha"], { logLevel: "debug", extraConfig }),
    story.startSites(["bravo"]),
  ]);
  [alpha, bravo] = [first, second] as [Site, Site];
  process.umask(umask);
  looking = setInterval(() => void collectSecrets(), LOOK_MS);
}, STORY_MS);

afterAll(async () => {
  clearInterval(looking);
  await story.end();
});

const inData = (...names: string[]): string => join(alpha.directory, "data", ...names);

async function svidFiles(): Promise<string[]> {
  const names = await readdir(inData("svids")).catch(() => []);
  return names.filter((name) => name.endsWith(".pem")).map((name) => inData("svids", name));
}

async function collectSecrets(): Promise<void> {
  for (const path of [inData("node.key"), ...(await svidFiles())]) {
    const pem = await readFile(path, "utf8").catch(() => ""); // Gone, or another now.
    for (const secret of secretsOfPem(pem)) secrets.set(secret.toString("hex"), secret);
  }
}

/** Runs a command and keeps what it says; it may fail. */
async function say(...args: string[]): Promise<number> {
  const { code, stdout, stderr } = await alpha.mesh(args);
  haystacks.set(`spire-mesh ${args.join(" ")} #${haystacks.size}`, Buffer.from(stdout + stderr));
  return code;
}

async function collectProcess(): Promise<void> {
  const pid = alpha.daemon?.pid;
  for (const name of ["cmdline", "environ"]) {
    haystacks.set(`/proc ${name}`, await readFile(`/proc/${pid}/${name}`));
  }
}

async function collectPages(): Promise<void> {
  for (const page of monitoring) {
    const answer = await fetch(`http://127.0.0.1:${page}`);
    haystacks.set(`${page} #${haystacks.size}`, Buffer.from(await answer.text()));
  }
}

/** The admin API asked by hand. */
async function ask(method: string, path: string, body = ""): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await new Promise<string>((resolve, reject) => {
    httpRequest({ socketPath: alpha.adminSocket, method, path, headers }, (response) => {
      text(response).then(resolve, reject);
    })
      .on("error", reject)
      .end(body);
  });
  haystacks.set(`${method} ${path} #${haystacks.size}`, Buffer.from(answer));
}

/** All files below the site, but for SPIRE Server's own. */
async function filesOfSite(): Promise<string[]> {
  const entries = await readdir(alpha.directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !relative(alpha.directory, path).startsWith(`spire-data${sep}`));
}

async function collectModes(): Promise<void> {
  for (const top of ["data", "run", "admin.sock"]) {
    const path = join(alpha.directory, top);
    const names = await readdir(path, { recursive: true }).catch(() => []);
    for (const name of ["", ...names]) {
      const found = await lstat(join(path, name)).catch(() => undefined);
      if (found === undefined) continue; // Replaced meanwhile.
      const kind = found.isDirectory() ? "directory" : "file";
      modes.set(join(top, name), `${kind} ${(found.mode & 0o7777).toString(8)}`);
    }
  }
}

describe("a daemon", () => {
  test(
    "lives through everything that may happen",
    async () => {
      const events: string[] = [];
      const ending = new AbortController();
      const stream = await watchAdmin(alpha.adminSocket, ending.signal);
      const watching = (async () => {
        for await (const event of stream) events.push(JSON.stringify(event));
      })();
      await meet(story, [alpha, bravo]);
      await untilAllHoldAll([alpha, bravo]);
      await collectSecrets();

      const file = story.path("alpha.again");
      await exportTo(alpha, file);
      const [svid = ""] = await svidFiles();
      const cut = story.path("cut.export");
      await writeFile(cut, (await readFile(file)).subarray(0, 900));
      const wrong = "0".repeat(64);
      // Each a process that starts for itself: they wait for one another no more than they must.
      await Promise.all(
        [inData("node.key"), svid, cut].map(async (path) => {
          expect(await say("import", path, "-fingerprint", wrong, "-output", "json")).not.toBe(0);
        }),
      );
      await Promise.all(
        [inData("node.key"), svid].map(async (path) => {
          expect(await say("import", path)).not.toBe(0);
          expect(await say("import", file, "-peer", path)).toBe(64); // An address that is none.
          expect(await say("status", "-socketPath", path)).not.toBe(0);
          expect(await say("run", "-config", path)).toBe(78);
          expect(await say("validate", "-config", path, "-output", "json")).toBe(78);
        }),
      );

      await rotateAtOnce(alpha.api);
      await untilAllHoldAll([alpha, bravo]);
      const reads = ["status", "peer list", "bundle list", "bundle show bravo.test"];
      await Promise.all([
        ...reads.map(async (command) => {
          expect(await say(...command.split(" "), "-output", "json")).toBe(0);
        }),
        (async () => expect(await say("status")).toBe(0))(),
        say("bundle", "show", "alpha.test", "-format", "pem"),
        say("bundle", "show", "alpha.test", "-format", "spiffe"),
        say("healthcheck", "-verbose"),
      ]);
      await ask("GET", "/v1/status");
      await ask("POST", "/v1/export");
      const key = await readFile(inData("node.key"), "base64");
      await ask("POST", "/v1/import", JSON.stringify({ file: "node.key", content: key }));
      await ask(
        "POST",
        "/v1/import",
        JSON.stringify({ file: "f", content: key, fingerprint: wrong }),
      );
      await ask("POST", "/v1/forget", '{"trust_domain":"charlie.test"}');
      await ask("GET", "/v1/nothing");
      await collectPages();
      await collectProcess();

      await alpha.stopSpire();
      await until("SPIRE away is told", async () =>
        events.some((each) => each.includes("spire-away")),
      );
      await ask("POST", "/v1/export");
      await collectPages();
      await alpha.startSpire();
      await until("SPIRE back is told", async () =>
        events.some((each) => each.includes("spire-back")),
      );
      process.kill(alpha.daemon?.pid ?? 0, "SIGHUP");
      await mesh(alpha, ["forget", "bravo.test"]);
      await collectModes();
      ending.abort();
      await watching;
      haystacks.set("watch", Buffer.from(events.join("\n")));
      expect((await alpha.stopDaemon())?.code).toBe(0);
    },
    STORY_MS,
  );

  test(
    "says no word of what stands in a key file that is damaged or another's",
    async () => {
      const good = await readFile(inData("node.key"), "utf8");
      const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
      for (const content of [
        good.slice(0, 80),
        good.replaceAll("-----", "----"),
        foreign.export({ type: "pkcs8", format: "pem" }).toString(),
      ]) {
        for (const secret of secretsOfPem(content)) secrets.set(secret.toString("hex"), secret);
        await writeFile(inData("node.key"), content);
        expect(await say("run", "-config", alpha.daemonConfig, "-logLevel", "debug")).toBe(74);
      }
      await writeFile(inData("node.key"), good);
    },
    STORY_MS,
  );

  test(
    "says no word of what stands in a damaged SVID file, and goes on",
    async () => {
      const [svid = ""] = await svidFiles();
      await truncate(svid, 200);
      await rename(svid, svid.replace(/-[0-9a-f]{32}/, `-${"0".repeat(32)}`));
      const umask = process.umask(0o077);
      await alpha.startDaemon();
      process.umask(umask);
      await until("the daemon says so", async () => {
        return (await readFile(join(alpha.directory, "daemon.log"), "utf8")).includes(
          "is not used",
        );
      });
      await collectModes();
      expect((await alpha.stopDaemon("SIGTERM"))?.code).toBe(0);
    },
    STORY_MS,
  );
});

describe("then", () => {
  test("the two files hold the secrets, and the search finds them there", async () => {
    expect(secrets.size).toBeGreaterThanOrEqual(4); // Node key, two SVIDs and more, a foreign key.
    const node = await readFile(inData("node.key"));
    expect(
      [...secrets.values()].filter((secret) => formIn(node, secret) !== undefined),
    ).toHaveLength(1);
  });

  test("nothing else does: log, answers, pages, arguments, environment, other files", async () => {
    const own = new Set([inData("node.key"), ...(await svidFiles())]);
    for (const path of await filesOfSite()) {
      if (!own.has(path)) haystacks.set(path, await readFile(path));
    }
    const log = haystacks.get(join(alpha.directory, "daemon.log"));
    expect(Buffer.from(log ?? []).toString()).toContain("level=debug");
    expect(haystacks.size).toBeGreaterThan(40);
    const found: string[] = [];
    for (const [name, haystack] of haystacks) {
      for (const secret of secrets.values()) {
        const form = formIn(haystack, secret);
        if (form !== undefined) found.push(`${name}: ${form}`);
      }
    }
    expect(found).toEqual([]);
  });

  test("every file was this user's alone, under umask 000 and 077", () => {
    expect([...modes.keys()]).toEqual(
      expect.arrayContaining([
        "data/node.key",
        "data/marks",
        "data/store/CURRENT",
        "data/store/LOCK",
        "run",
        "admin.sock",
      ]),
    );
    const wide = [...modes].filter(([, mode]) => mode !== "directory 700" && mode !== "file 600");
    expect(wide).toEqual([]);
  });
});
