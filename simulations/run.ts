/** `run.ts SEED`: prints every step of one storm, then how it ended. */
import process from "node:process";
import { Mesh } from "./scenarios/mesh.ts";
import { sizeOf, storm } from "./scenarios/storm.ts";

const seed = Number(process.argv[2] ?? 1);
const mesh = new Mesh(seed, sizeOf(seed));
let ending: string;
try {
  const { unwell, healedMs } = await storm(mesh, seed);
  ending = unwell ?? `well after ${healedMs} ms`;
} catch (error) {
  ending = String(error);
}
process.stdout.write(`${[...mesh.world.log, ending].join("\n")}\n`);
