/**
 * The same session of commands with every pair of program and server: ours and, where there is one,
 * the real `spire-server`. What they print is equal once keys, ids and times are taken out.
 */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../../peers/embedded-spire/command-line.ts";
import { findSpire } from "../../../peers/site.ts";
import { SERVERS, type ServerKind, withDirectory } from "./servers.ts";

const realProgram = findSpire("spire-server");

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Program {
  readonly name: string;
  readonly run: (args: readonly string[]) => Promise<Outcome>;
}

const OURS: Program = { name: "our program", run: runOurs };
const PROGRAMS: readonly Program[] =
  realProgram === undefined
    ? [OURS]
    : [OURS, { name: "the real program", run: async (args) => await runReal(realProgram, args) }];
const PAIRS = PROGRAMS.flatMap((program) =>
  SERVERS.map((server) => ({ name: `${program.name} and ${server.name}`, program, server })),
);

/** Words of the session; OLD, NEW and so on are filled in on the way, FILES is a directory. */
const SESSION: readonly string[] = [
  "healthcheck",
  "healthcheck -verbose",
  "bundle show",
  "bundle show -format spiffe",
  "bundle show -output json",
  "bundle show -format other",
  "bundle list",
  "bundle list -output json",
  "bundle list -id bravo.test",
  ...["x509", "jwt"].flatMap((kind) => [
    `localauthority ${kind} show`,
    `localauthority ${kind} show -output json`,
    `localauthority ${kind} taint -authorityID ACTIVE`,
    `localauthority ${kind} revoke -authorityID ACTIVE`,
    `localauthority ${kind} activate -authorityID ffff`,
    `localauthority ${kind} revoke -authorityID ffff`,
    `localauthority ${kind} activate`,
    `localauthority ${kind} prepare`,
    `localauthority ${kind} prepare -output json`,
    `localauthority ${kind} show`,
    `localauthority ${kind} taint -authorityID PREPARED`,
    `localauthority ${kind} activate -authorityID PREPARED -output json`,
    `localauthority ${kind} revoke -authorityID OLD`,
    `localauthority ${kind} taint -authorityID OLD`,
    `localauthority ${kind} taint -authorityID OLD -output json`,
    `localauthority ${kind} show -output json`,
    "bundle show -output json",
    `localauthority ${kind} revoke -authorityID OLD -output json`,
    `localauthority ${kind} revoke -authorityID OLD`,
    `localauthority ${kind} show`,
  ]),
  "bundle set -id spiffe://bravo.test -path FILES/own.json -format spiffe",
  "bundle set -id charlie.test -path FILES/own.pem",
  "bundle set -id delta.test -path FILES/empty.json -format spiffe -output json",
  "bundle set -id alpha.test -path FILES/own.pem",
  "bundle set -id Bravo.test -path FILES/own.pem",
  "bundle set -id echo.test -path FILES/own.json",
  "bundle set -id echo.test -path FILES/own.pem -format other",
  "bundle set -path FILES/own.pem",
  "bundle list",
  "bundle list -format spiffe",
  "bundle list -output json",
  "bundle list -id bravo.test",
  "bundle list -id bravo.test -format spiffe",
  "bundle list -id bravo.test -output json",
  "bundle list -id delta.test -format spiffe",
  "bundle list -id alpha.test",
  "bundle list -id Alpha.test",
  "bundle count",
  "bundle count -output json",
  "bundle delete -id delta.test",
  "bundle delete -id delta.test",
  "bundle delete -id delta.test -output json",
  "bundle delete -id alpha.test",
  "bundle delete -id bravo.test -mode other",
  "bundle delete",
  "entry create -spiffeID spiffe://alpha.test/web -parentID spiffe://alpha.test/host -selector unix:uid:0 -federatesWith bravo.test",
  "entry create -spiffeID spiffe://alpha.test/web -parentID spiffe://alpha.test/host -selector unix:uid:0 -federatesWith bravo.test",
  "entry create -spiffeID spiffe://alpha.test/db -parentID spiffe://alpha.test/host -selector unix:uid:0 -federatesWith bravo.test -federatesWith charlie.test -entryID db -output json",
  "entry create -spiffeID spiffe://alpha.test/x -parentID spiffe://alpha.test/host -selector unix:uid:0 -federatesWith missing.test",
  "entry create -spiffeID spiffe://bravo.test/x -parentID spiffe://alpha.test/host -selector unix:uid:0",
  "entry create -spiffeID spiffe://alpha.test/spire/x -parentID spiffe://alpha.test/host -selector unix:uid:0",
  "entry create -spiffeID spiffe://alpha.test/full -parentID spiffe://alpha.test/host -selector unix:uid:0 -entryID full -x509SVIDTTL 60 -dns a.example -hint h -admin -downstream",
  "entry create -spiffeID spiffe://alpha.test/x -parentID spiffe://alpha.test/host -selector unix:uid:0 -entryID full",
  "entry create -spiffeID spiffe://alpha.test/x -parentID spiffe://alpha.test/host",
  "entry create -spiffeID spiffe://alpha.test/x -selector unix:uid:0",
  "entry create -spiffeID spiffe://alpha.test/x -parentID spiffe://alpha.test/host -selector unix",
  "entry show -federatesWith charlie.test",
  "entry show -spiffeID spiffe://alpha.test/full",
  "entry show -spiffeID spiffe://alpha.test/full -output json",
  "entry show -spiffeID spiffe://bravo.test/full",
  "bundle delete -id bravo.test",
  "bundle delete -id bravo.test -output json",
  "bundle delete -id bravo.test -mode dissociate",
  "entry show -federatesWith bravo.test",
  "bundle delete -id charlie.test -mode delete",
  "entry show -spiffeID spiffe://alpha.test/db",
  "federation list",
  "federation list -output json",
  "federation create -trustDomain golf.test -bundleEndpointURL https://golf.test/ -bundleEndpointProfile https_web",
  "federation create -trustDomain golf.test -bundleEndpointURL https://golf.test/ -bundleEndpointProfile https_web",
  "federation create -trustDomain hotel.test -bundleEndpointURL https://hotel.test/ -bundleEndpointProfile https_spiffe -endpointSpiffeID spiffe://hotel.test/spire/server -output json",
  "federation create -trustDomain alpha.test -bundleEndpointURL https://alpha.test/ -bundleEndpointProfile https_web",
  "federation create -trustDomain india.test -bundleEndpointURL http://india.test/ -bundleEndpointProfile https_web",
  "federation list",
  "federation list -output json",
  "federation delete -id golf.test",
  "federation delete -id golf.test",
  "federation delete -id hotel.test -output json",
  "x509 mint -spiffeID spiffe://alpha.test/web",
  "x509 mint -spiffeID spiffe://alpha.test/web -ttl 100h -output json",
  "x509 mint -spiffeID spiffe://alpha.test/web -dns a.example -write FILES",
  "x509 mint -spiffeID spiffe://alpha.test/spire/agent",
  "x509 mint -spiffeID spiffe://bravo.test/web",
  "x509 mint -spiffeID web",
  "x509 mint",
];

describe("a session of commands", () => {
  let first: readonly string[] | undefined;

  test.each(PAIRS)(
    "says the same with $name",
    { timeout: 120_000 },
    async ({ program, server }) => {
      const transcript = await withDirectory(
        async (directory) => await record(program, server, directory),
      );
      const said = transcript.join("\n");
      expect(said).toContain("Server is healthy.");
      expect(said).toContain('"old":{"authority_id":"<skid>"');
      expect(said).toContain("federated with 2 registration entries");
      expect(transcript).toEqual(first ?? transcript);
      first ??= transcript;
    },
  );

  test("shows what there is when the words are unknown", async () => {
    const { code, stderr } = await runOurs(["bundle", "burn"]);
    expect(stderr).toContain("    bundle show\n");
    expect(code).toBe(1);
  });

  test("says so when no server is there", async () => {
    const { code, stderr } = await runOurs(["healthcheck", "-socketPath", "/nonexistent/api.sock"]);
    expect(stderr).toBe("Error: server is unhealthy: unable to determine health\n");
    expect(code).toBe(1);
  });
});

/** Runs the session against a fresh server; each command with its output and exit code. */
async function record(
  program: Program,
  kind: ServerKind,
  directory: string,
): Promise<readonly string[]> {
  const server = await kind.start({ trustDomain: "alpha.test", directory });
  try {
    return await converse(program, server.socketPath, directory);
  } finally {
    await server.stop();
  }
}

async function converse(
  program: Program,
  socketPath: string,
  directory: string,
): Promise<readonly string[]> {
  const files = join(directory, "files");
  mkdirSync(files);
  const run = async (line: string): Promise<Outcome> =>
    await program.run([...line.split(" "), "-socketPath", socketPath]);
  const authority = async (kind: string, state: string): Promise<string> => {
    const { stdout } = await run(`localauthority ${kind} show -output json`);
    const states = JSON.parse(stdout) as Record<string, { readonly authority_id: string }>;
    return states[state]?.authority_id ?? "none";
  };

  writeFileSync(join(files, "empty.json"), '{"keys":[]}');
  const transcript: string[] = [];
  for (const line of SESSION) {
    if (line.startsWith("bundle set")) {
      writeFileSync(join(files, "own.json"), (await run("bundle show -format spiffe")).stdout);
      writeFileSync(join(files, "own.pem"), (await run("bundle show")).stdout);
    }
    const [, authorityKind = ""] = /^localauthority (x509|jwt)/.exec(line) ?? [];
    const [word] = /ACTIVE|PREPARED|OLD/.exec(line) ?? [];
    const id = word === undefined ? "" : await authority(authorityKind, word.toLowerCase());
    const filled = line.replace(word ?? "\0", id).replaceAll("FILES", files);
    const { code, stdout, stderr } = await run(filled);
    const said = normalize(`${stdout}${stderr}`).replaceAll(files, "FILES");
    transcript.push(`$ ${line}\n${said}\n[${code}]`);
  }
  const minted = await readFile(join(files, "svid.pem"), "utf8");
  expect(minted).toMatch(/^-----BEGIN CERTIFICATE-----/);
  return transcript;
}

/** In this process, which is quicker by half a second a command. */
async function runOurs(args: readonly string[]): Promise<Outcome> {
  let stdout = "";
  let stderr = "";
  const out = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const err = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  try {
    const code = await runCommandLine(args);
    return { code, stdout, stderr };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

async function runReal(program: string, args: readonly string[]): Promise<Outcome> {
  return await new Promise((resolve) => {
    const child = execFile(program, args, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

/** Takes out what differs from run to run. */
function normalize(text: string): string {
  return text
    .replace(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g, "<$1>")
    .replace(/[A-Za-z0-9+/]{60,}={0,2}/g, "<base64>")
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>")
    .replace(/\b[0-9a-f]{40}\b/g, "<skid>")
    .replace(/"(x|y)": "[\w-]{43}"/g, '"$1": "<coordinate>"')
    .replace(/\b[A-Za-z0-9]{32}\b/g, "<kid>")
    .replace(/"[1-9]\d{9}"/g, '"<unix time>"')
    .replace(/20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d/g, "<time>");
}
