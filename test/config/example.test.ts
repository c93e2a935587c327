/** peers/example.yaml is the reference of the configuration: complete, valid, and true to the defaults. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { loadConfig } from "../../src/config/config.ts";
import { configJsonSchema } from "../../src/config/config-schema.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

const example = fileURLToPath(new URL("../../peers/example.yaml", import.meta.url));

const JsonSchema = z.object({
  get properties() {
    return z.record(z.string(), JsonSchema).optional();
  },
});

/** All keys, as paths, in alphabetical order. */
function keysOfSchema({ properties = {} }: z.infer<typeof JsonSchema>): readonly string[] {
  return pathsOf(Object.entries(properties), keysOfSchema);
}

function keysOfValue(value: unknown): readonly string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return pathsOf(Object.entries(value), keysOfValue);
}

function pathsOf<Value>(
  entries: readonly (readonly [string, Value])[],
  below: (value: Value) => readonly string[],
): readonly string[] {
  const paths = entries.map(([key]) => key);
  for (const [key, value] of entries) paths.push(...below(value).map((path) => `${key}.${path}`));
  return paths.toSorted();
}

describe("the example configuration", () => {
  test("names every key that there is, and no other", async () => {
    const keys = keysOfValue(parse(await readFile(example, "utf8")));
    expect(keys).toEqual(keysOfSchema(JsonSchema.parse(configJsonSchema())));
  });

  test("says the same as a file with only trust_domain, but for the listeners that it shows", async () => {
    const path = join(await temporaryDirectory(), "mesh.yaml");
    await writeFile(
      path,
      "trust_domain: alpha.test\ntelemetry: { prometheus: {} }\nhealth_checks: {}\n",
    );
    const shown = await loadConfig(example, { environment: {} });
    expect(shown).toEqual(await loadConfig(path, { environment: {} }));
  });

  // To renew it: node -p 'JSON.stringify(require("./src/config/config-schema.ts").configJsonSchema())'
  // > peers/config.schema.json, then npm run format.
  test("has the JSON Schema of this version beside it", async () => {
    const path = new URL("../../peers/config.schema.json", import.meta.url);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual(configJsonSchema());
  });
});
