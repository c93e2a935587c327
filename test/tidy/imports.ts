/** What a file imports, as oxc-parser reads it, and what the table of rooms says to that. */
import { posix } from "node:path";
import { parseSync } from "oxc-parser";
import { NODE_EVERYWHERE, type Room, ROOMS, SHARED_PACKAGES } from "./rooms.ts";
import { lineOf, type SourceFile } from "./source.ts";

interface Import {
  readonly offset: number;
  readonly specifier: string;
  /** The names taken from it; `*` stands for all of them. */
  readonly names: readonly string[];
}

/** The room a path belongs to, the one with the longest name that fits. */
export function roomOf(path: string): Room | undefined {
  const fitting = ROOMS.filter(({ name }) => {
    const place = /^(?:peers|simulations)/.test(name) ? name : `src/${name}`;
    return path.replace(/\.(?:ts|js|d\.ts)$/, "") === place || path.startsWith(`${place}/`);
  });
  return fitting.toSorted((left, right) => right.name.length - left.name.length)[0];
}

/** Each import of a file that its room may not make, as `file:line imports X, but room Y may not`. */
export function forbiddenImports(file: SourceFile): readonly string[] {
  const room = roomOf(file.path);
  if (room === undefined) return [`${file.path} is in no room: add it to test/tidy/rooms.ts`];
  return importsOf(file)
    .filter((found) => !mayImport(room, file.path, found))
    .map(({ offset, specifier, names }) => {
      const what = specifier.startsWith("node:")
        ? `${names.join(", ")} of ${specifier}`
        : specifier;
      return `${file.path}:${lineOf(file.text, offset)} imports ${what}, but room ${room.name} may not`;
    });
}

/** The npm packages that a file imports. */
export function packagesOf(file: SourceFile): readonly string[] {
  return importsOf(file)
    .map(({ specifier }) => specifier)
    .filter((specifier) => !specifier.startsWith(".") && !specifier.startsWith("node:"))
    .map(packageName);
}

function importsOf({ path, text }: SourceFile): readonly Import[] {
  const { module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} does not parse: ${errors[0]?.message}`);
  const imported = module.staticImports.map(({ start, moduleRequest, entries }) => ({
    offset: start,
    specifier: moduleRequest.value,
    names: entries.map(({ importName }) => importName.name ?? "*"),
  }));
  const exported = module.staticExports.flatMap(({ start, entries }) =>
    entries.flatMap(({ moduleRequest, importName }) =>
      moduleRequest === null
        ? []
        : [{ offset: start, specifier: moduleRequest.value, names: [importName.name ?? "*"] }],
    ),
  );
  const loaded = module.dynamicImports.map(({ start, moduleRequest }) => ({
    offset: start,
    // Anything but a literal keeps its source text, which no room may import.
    specifier: text.slice(moduleRequest.start, moduleRequest.end).replaceAll(/^"|"$/g, ""),
    names: ["*"],
  }));
  return [...imported, ...exported, ...loaded];
}

function mayImport(room: Room, from: string, { specifier, names }: Import): boolean {
  if (specifier.startsWith(".")) {
    const target = roomOf(posix.join(posix.dirname(from), specifier));
    return target !== undefined && (target === room || room.imports.includes(target.name));
  }
  if (specifier.startsWith("node:")) {
    const allowed = isCore(room) ? room.node : [...room.node, ...NODE_EVERYWHERE];
    const [module = ""] = specifier.split("/");
    const byName = names.length > 0 && names.every((name) => allowed.includes(`${module}#${name}`));
    return allowed.includes(module) || byName;
  }
  const name = packageName(specifier);
  return room.packages.includes(name) || SHARED_PACKAGES[name]?.rooms.includes(room.name) === true;
}

function isCore({ name }: Room): boolean {
  return name.startsWith("core/");
}

/** `@scope/name` or `name` of `name/some/path`. */
function packageName(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
