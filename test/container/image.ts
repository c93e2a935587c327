/**
 * The Dockerfile carried out without a container engine: each stage is an empty folder, COPY and RUN
 * happen in it, all other instructions are kept to be asked for. Base images are left out, so what a
 * folder holds afterwards is what the Dockerfile puts there. RUN lines run on this machine with the
 * carried Node in PATH; they may name no absolute path, which would be one of the machine.
 * One RUN line is not repeated: the install of everything, which bin/task.js has just done from the
 * same lock for these tests to run (600 MB).
 */
import { execFile } from "node:child_process";
import { chown, cp, mkdir, readdir, readFile, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { type Copy, DockerfileParser, From, type Instruction, Label } from "dockerfile-ast";
import { machineEnvironment } from "../bin/machine-node.ts";
import { ROOT } from "../tidy/source.ts";

/** `npm ci` of 160 packages from npm's cache takes 6 s on two cores that do nothing else. */
const RUN_MS_MAX = 240_000;
const INSTALL_EVERYTHING = "npm ci --ignore-scripts --no-audit";

const execute = promisify(execFile);

/** A stage of the Dockerfile: FROM and what follows it. */
export interface Stage {
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

export async function readStages(): Promise<readonly Stage[]> {
  const text = await readFile(join(ROOT, "Dockerfile"), "utf8");
  const stages: { name: string; instructions: Instruction[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction instanceof From) {
      stages.push({ name: instruction.getBuildStage() ?? "", instructions: [] });
    }
    stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

/** The instructions of one kind, in their order. */
export function instructionsOf(stage: Stage, keyword: string): readonly Instruction[] {
  return stage.instructions.filter((instruction) => instruction.getKeyword() === keyword);
}

/** The program and arguments of an instruction in exec form; the shell form has none. */
export function execForm(instruction: Instruction | undefined): readonly string[] {
  const text = instruction?.getArgumentsContent() ?? "";
  return text.includes("[") ? (JSON.parse(text.slice(text.indexOf("["))) as string[]) : [];
}

export function labelsOf(stage: Stage): ReadonlyMap<string, string | null> {
  const labels = stage.instructions.filter((instruction) => instruction instanceof Label);
  return new Map(
    labels.flatMap((label) =>
      label.getProperties().map((property) => [property.getName(), property.getValue()] as const),
    ),
  );
}

/** What .dockerignore lets into the build: an allow-list of names at the top of the checkout. */
export async function buildContext(): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, ".dockerignore"), "utf8");
  const [everything, ...allowed] = text.split("\n").filter((line) => !/^(?:#|$)/.test(line));
  const odd = allowed.filter((line) => !/^![\w.-]+$/.test(line));
  if (everything !== "*" || odd.length > 0) {
    throw new Error(`.dockerignore is not "*" and names to let in: ${odd.join(" ")}`);
  }
  return allowed.map((line) => line.slice(1));
}

/**
 * Carries out all stages, each in a folder of its own below `place`.
 * @returns The folder of the last one: the image's files without its base.
 */
export async function replay(stages: readonly Stage[], place: string): Promise<string> {
  const folders = new Map<string, string>();
  let last = "";
  for (const [index, stage] of stages.entries()) {
    last = join(place, `stage-${index}`);
    await mkdir(last);
    await replayStage(stage, last, folders);
    folders.set(stage.name, last);
  }
  return last;
}

async function replayStage(
  stage: Stage,
  root: string,
  folders: ReadonlyMap<string, string>,
): Promise<void> {
  let workingDirectory = "/";
  for (const instruction of stage.instructions) {
    switch (instruction.getKeyword()) {
      case "WORKDIR":
        workingDirectory = instruction.getArgumentsContent() ?? "";
        await mkdir(join(root, workingDirectory), { recursive: true });
        break;
      case "COPY":
        await copy(instruction as Copy, root, workingDirectory, folders);
        break;
      case "RUN":
        await run(instruction.getArgumentsContent() ?? "", join(root, workingDirectory));
        break;
      case "ENV": // Only malloc is told something.
      case "FROM": // Left out on purpose; the others say how the image is run.
      case "ARG":
      case "CMD":
      case "ENTRYPOINT":
      case "EXPOSE":
      case "HEALTHCHECK":
      case "LABEL":
      case "USER":
      case "VOLUME":
        break;
      default:
        throw new Error(`not replayed: ${instruction.toString()}`);
    }
  }
}

/** As BuildKit copies: a directory's content goes into the target, whose own mode stays as it is. */
async function copy(
  instruction: Copy,
  root: string,
  workingDirectory: string,
  folders: ReadonlyMap<string, string>,
): Promise<void> {
  const paths = instruction.getArguments().map((argument) => argument.getValue());
  const target = paths.pop() ?? "";
  const targetPath = join(root, target.startsWith("/") ? target : join(workingDirectory, target));
  const flags = new Map(instruction.getFlags().map((flag) => [flag.getName(), flag.getValue()]));
  const from = flags.get("from");
  const owner = flags.get("chown");
  for (const path of paths) {
    const source = join(from ? (folders.get(from) ?? "") : await inContext(path), path);
    const isDirectory = (await stat(source)).isDirectory();
    const into = isDirectory || !target.endsWith("/") ? targetPath : join(targetPath, path);
    await mkdir(isDirectory ? into : dirname(into), { recursive: true });
    await cp(source, into, { recursive: true, verbatimSymlinks: isDirectory });
    if (owner === undefined) continue;
    const [user = NaN, group = NaN] = (owner ?? "").split(":").map(Number);
    for (const name of await readdir(source)) await chown(join(into, name), user, group);
  }
}

async function inContext(path: string): Promise<string> {
  const context = await buildContext();
  if (!context.includes(path)) throw new Error(`${path} is not let in by .dockerignore`);
  return ROOT;
}

async function run(command: string, cwd: string): Promise<void> {
  if (command === INSTALL_EVERYTHING) {
    return await symlink(join(ROOT, "node_modules"), join(cwd, "node_modules"));
  }
  if (/(?:^|[\s="'])\//.test(command)) throw new Error(`an absolute path in: ${command}`);
  const env = {
    ...machineEnvironment,
    PATH: `${dirname(process.execPath)}:${machineEnvironment["PATH"]}`,
    npm_config_prefer_offline: "true",
    npm_config_loglevel: "error",
  };
  await execute("/bin/sh", ["-ec", command], { cwd, env, timeout: RUN_MS_MAX });
}
