/** `run.ts storm|replicas SEED [LAST]`: every step of one seed and its ending, or the endings of several. */
import process from "node:process";
import { Mesh } from "./scenarios/mesh.ts";
import { SIZES, replicas } from "./scenarios/replicas.ts";
import { sizesOf, storm } from "./scenarios/storm.ts";

const [name, ...seeds] = process.argv.slice(2);
const [first = 1, last] = seeds.map(Number);
for (let seed = first; seed <= (last ?? first); seed += 1) {
  const isStorm = name !== "replicas";
  const mesh = new Mesh(seed, isStorm ? sizesOf(seed) : SIZES);
  let ending: string;
  try {
    const { unwell, healedMs } = await (isStorm ? storm : replicas)(mesh, seed);
    ending = unwell ?? `well after ${healedMs} ms`;
  } catch (error) {
    ending = error instanceof Error ? `${error.stack}` : String(error);
  }
  const { forks } = mesh.laws;
  const pins = mesh.members.reduce((all, each) => all + each.pins, 0);
  const adoptions = mesh.members.reduce((all, each) => all + each.adoptions, 0);
  const log = last === undefined ? mesh.world.log : [];
  const counts = `${forks} forks, ${pins} pins, ${adoptions} adoptions`;
  process.stdout.write(`${[...log, `${seed}: ${ending}, ${counts}`].join("\n")}\n`);
}
