import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDuration, readOptions } from "../../../peers/embedded-spire/arguments.ts";
import {
  type Configuration,
  readConfiguration,
} from "../../../peers/embedded-spire/configuration.ts";
import { readHcl } from "../../../peers/embedded-spire/hcl.ts";
import { withDirectory } from "./servers.ts";

const SERVER_CONF = `
server {                      # comments of every kind
    bind_address = "127.0.0.1"
    bind_port = "8081"
    trust_domain = "alpha.test" // the name alone
    data_dir = "/var/spire"
    ca_ttl = "1m"
    default_x509_svid_ttl = "10s"
    log_level = "DEBUG"
    experimental { feature_flags = ["a", "b"], cache = true }
}
/* plugins
   of two kinds */
plugins {
    KeyManager "disk" { plugin_data { keys_path = "/var/spire/my-keys.json" } }
    DataStore "sql" { plugin_data = { database_type = "sqlite3" connection_string = "/var/d" } }
}
plugins { NodeAttestor "join_token" { plugin_data {} } }
`;

function withDatastore(settings: string): string {
  return SERVER_CONF.replace(/plugin_data = .*"\/var\/d".*/, `plugin_data { ${settings} } }`);
}

function withUpstream(plugin: string): string {
  return `${SERVER_CONF}plugins { UpstreamAuthority ${plugin} }`;
}

async function readServerConf(text: string): Promise<Configuration> {
  return await withDirectory(async (directory) => {
    const config = join(directory, "server.conf");
    writeFileSync(config, text);
    return readConfiguration({ config });
  });
}

describe("server.conf", () => {
  test("is read as the real server reads it", async () => {
    expect(await readServerConf(SERVER_CONF)).toEqual({
      trustDomain: "alpha.test",
      dataDir: "/var/spire",
      socketPath: "/tmp/spire-server/private/api.sock",
      keyManager: "disk",
      keysPath: "/var/spire/my-keys.json",
      datastore: { databaseType: "sqlite3", path: "/var/d" },
      caTtlMs: 60_000,
      svidTtlMs: 10_000,
      logLevel: "debug",
      withoutEffect: ["bind_address", "bind_port", "experimental", "NodeAttestor"],
    });
  });

  test("gives way to options", async () => {
    await withDirectory(async (directory) => {
      const config = join(directory, "server.conf");
      writeFileSync(config, SERVER_CONF);
      const options = { config, trustDomain: "bravo.test", keyManager: "memory", caTTL: "2h" };
      expect(readConfiguration(options)).toMatchObject({
        trustDomain: "bravo.test",
        keyManager: "memory",
        keysPath: undefined,
        caTtlMs: 7_200_000,
      });
    });
  });

  test.each([
    ["", "sqlite3", "/var/spire/datastore.sqlite3"],
    ['connection_string = "d"', "sqlite3", "d"],
    ['database_type = "postgres" connection_string = "/var/d"', "postgres", "/var/d"],
  ])(
    "with the datastore settings {%s} keeps it as %s at %s",
    async (settings, databaseType, path) => {
      const { datastore } = await readServerConf(withDatastore(settings));
      expect(datastore).toEqual({ databaseType, path });
    },
  );

  test.each([
    ['database_type = "mysql" connection_string = "/var/d"', "mysql"],
    ['database_type = "postgres"', "connection_string"],
    ['database_type = "postgres" connection_string = "host=/run dbname=spire"', "path of a file"],
    ['connection_string = "file:memdb?mode=memory"', "path of a file"],
  ])("with the datastore settings {%s} is refused: %s", async (settings, word) => {
    await expect(readServerConf(withDatastore(settings))).rejects.toThrow(word);
  });

  test("names the server above by its socket, which makes it nested", async () => {
    const above = withUpstream('"spire" { plugin_data { server_address = "unix:/run/api.sock" } }');
    expect((await readServerConf(above)).upstreamSocketPath).toBe("/run/api.sock");
    expect((await readServerConf(SERVER_CONF)).upstreamSocketPath).toBeUndefined();
  });

  test.each([
    ['"spire" { plugin_data { server_address = "127.0.0.1" } }', "unix:"],
    ['"spire" { plugin_data {} }', "server_address"],
    ['"disk" { plugin_data {} }', "disk"],
  ])("with the upstream authority %s is refused: %s", async (plugin, word) => {
    await expect(readServerConf(withUpstream(plugin))).rejects.toThrow(word);
  });

  test.each([
    [{}, "trust_domain"],
    [{ trustDomain: "a.test" }, "data_dir"],
    [{ trustDomain: "A.test", dataDir: "d" }, "lowercase"],
    [{ trustDomain: "a.test", dataDir: "d", keyManager: "vault" }, "vault"],
    [{ trustDomain: "a.test", dataDir: "d", logLevel: "loud" }, "loud"],
    [{ trustDomain: "a.test", dataDir: "d", caTTL: "soon" }, "soon"],
  ])("names what is wrong in %j", (options, word) => {
    expect(() => readConfiguration(options)).toThrow(word);
  });
});

describe("HCL", () => {
  test("holds any text between quotes", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const quoted = text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
        expect(readHcl(`key = "${quoted}"`)).toEqual({ key: text });
      }),
    );
  });

  test.each([
    ["key =", "end of file"],
    ["server {", "end of file"],
    ["\n\nkey = }", "line 3"],
    ['key "label"', "end of file"],
    ["key label {}", "line 1"],
    ["= 1", "line 1"],
    ['"open', "line 1"],
  ])("%j is refused with its place", (source, place) => {
    expect(() => readHcl(source)).toThrow(place);
  });

  test("never throws anything but an Error, and ends, whatever it reads", () => {
    const words = fc.array(
      fc.constantFrom("a", '"b"', "{", "}", "[", "]", "=", ",", "1", "\n", "#"),
    );
    fc.assert(
      fc.property(words, (parts) => {
        try {
          readHcl(parts.join(" "));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});

describe("command lines", () => {
  const kinds = { socketPath: "text", verbose: "flag", selector: "list" } as const;

  test.each([
    [["-socketPath", "S", "-verbose"], { socketPath: "S", verbose: true }],
    [["--socketPath=S"], { socketPath: "S" }],
    [["-socketPath=-"], { socketPath: "-" }],
    [["-selector", "a:1", "-selector", "b:2"], { selector: ["a:1", "b:2"] }],
    [[], {}],
  ])("%j is read as Go's flags", (args, options) => {
    expect({ ...readOptions(args, kinds) }).toEqual(options);
  });

  test.each([[["-other"]], [["-socketPath"]], [["word"]]])("%j is refused", (args) => {
    expect(() => readOptions(args, kinds)).toThrow();
  });

  test.each([
    ["24h", 86_400_000],
    ["1h30m", 5_400_000],
    ["10s", 10_000],
    ["250ms", 250],
  ])("the duration %s is %d ms", (text, ms) => {
    expect(readDuration(text)).toBe(ms);
  });

  test.each(["", "5", "h", "-1h", "1d", "1h "])("%j is no duration", (text) => {
    expect(() => readDuration(text)).toThrow();
  });
});
