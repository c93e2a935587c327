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
    .filter((found) => permissionsFor(room, file.path, found) === undefined)
    .map(({ offset, specifier, names }) => {
      const what = specifier.startsWith("node:")
        ? `${names.join(", ")} of ${specifier}`
        : specifier;
      return `${file.path}:${lineOf(file.text, offset)} imports ${what}, but room ${room.name} may not`;
    });
}

/** What of the table of rooms a file makes use of: names of rooms, packages and `node:` modules. */
export function permissionsUsed(file: SourceFile): readonly string[] {
  const room = roomOf(file.path);
  if (room === undefined) return [];
  return importsOf(file).flatMap((found) => permissionsFor(room, file.path, found) ?? []);
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

/** The entries of the table that allow an import, none within a room; undefined when it is forbidden. */
function permissionsFor(
  room: Room,
  from: string,
  { specifier, names }: Import,
): readonly string[] | undefined {
  if (specifier.startsWith(".")) {
    const target = roomOf(posix.join(posix.dirname(from), specifier));
    if (target === room) return [];
    return target && room.imports.includes(target.name) ? [target.name] : undefined;
  }
  if (specifier.startsWith("node:")) {
    const allowed = isCore(room) ? room.node : [...room.node, ...NODE_EVERYWHERE];
    const [module = ""] = specifier.split("/");
    if (allowed.includes(module)) return [module];
    const named = names.map((name) => `${module}#${name}`);
    return named.length > 0 && named.every((name) => allowed.includes(name)) ? named : undefined;
  }
  const name = packageName(specifier);
  const isAllowed =
    room.packages.includes(name) || SHARED_PACKAGES[name]?.rooms.includes(room.name) === true;
  return isAllowed ? [name] : undefined;
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
