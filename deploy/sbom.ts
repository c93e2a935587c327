/**
 * Prints the bill of materials of what an installed package holds: CycloneDX JSON, written by npm
 * from package-lock.json. npm sees a copy without the development packages, as its own `--omit=dev`
 * also leaves out what ships *and* is needed for development (npm 11.19: 12 of 164, zod among them).
 * What it takes from clock and chance is dropped: the same lock and the same npm give the same bytes.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import lock from "../package-lock.json" with { type: "json" };
import manifest from "../package.json" with { type: "json" };

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
}

interface Bom {
  readonly metadata: object;
}

/** The bill is 0.2 MB; more than this is not a bill. */
const BILL_BYTES_MAX = 16 * 1024 * 1024;

const place = await mkdtemp(join(tmpdir(), "sbom-"));
try {
  process.stdout.write(`${JSON.stringify(withoutChance(await listShipped()), undefined, 2)}\n`);
} finally {
  await rm(place, { recursive: true });
}

async function listShipped(): Promise<Bom> {
  const folder = join(place, manifest.name); // npm names the product as its folder is named.
  await mkdir(folder);
  const { devDependencies: _, scripts: __, ...shippedManifest } = manifest;
  const { devDependencies: ___, ...root } = lock.packages[""];
  const packages: Readonly<Record<string, Locked>> = lock.packages;
  const shipped = Object.entries(packages).filter(([, { dev }]) => dev !== true);
  const shippedLock = { ...lock, packages: { ...Object.fromEntries(shipped), "": root } };
  await writeFile(join(folder, "package.json"), JSON.stringify(shippedManifest));
  await writeFile(join(folder, "package-lock.json"), JSON.stringify(shippedLock));
  const form = ["--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only"];
  const { stdout } = await promisify(execFile)("npm", ["sbom", ...form], {
    cwd: folder,
    maxBuffer: BILL_BYTES_MAX,
  });
  return JSON.parse(stdout) as Bom;
}

function withoutChance({ metadata, ...bom }: Bom): object {
  return {
    ...bom,
    serialNumber: undefined,
    metadata: { ...metadata, timestamp: undefined }, // JSON has no undefined: both go.
  };
}
