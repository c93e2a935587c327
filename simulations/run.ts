/** `run.ts SEED [LAST]`: prints every step of one storm, then how it ended; or the endings of several. */
import process from "node:process";
import { Mesh } from "./scenarios/mesh.ts";
import { sizesOf, storm } from "./scenarios/storm.ts";

const [first = 1, last] = process.argv.slice(2).map(Number);
for (let seed = first; seed <= (last ?? first); seed += 1) {
  const mesh = new Mesh(seed, sizesOf(seed));
  let ending: string;
  try {
    const { unwell, healedMs } = await storm(mesh, seed);
    ending = unwell ?? `well after ${healedMs} ms`;
  } catch (error) {
    ending = error instanceof Error ? `${error.stack}` : String(error);
  }
  const { forks } = mesh.laws;
  const pins = mesh.members.reduce((all, each) => all + each.pins, 0);
  const adoptions = mesh.members.reduce((all, each) => all + each.adoptions, 0);
  const log = last === undefined ? mesh.world.log : [];
  process.stdout.write(
    `${[...log, `${seed}: ${ending}, ${forks} forks, ${pins} pins, ${adoptions} adoptions`].join("\n")}\n`,
  );
}
