import { chmod, link, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { type ServerHttp2Session, constants, createServer as createHttp2Server } from "node:http2";
import { createServer as createSocketServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { once } from "node:events";
import process from "node:process";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { authoritiesDigest } from "../../src/core/spiffe/trust-bundle.ts";
import { readTrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { SpireServer } from "../../src/ports/spire-server.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { serveSpireApi } from "../../src/spire-api/server.ts";
import { BundleSchema, Code, ConnectError, create } from "../../src/spire-api/services.ts";
import { framed, serveStreams } from "../spire-api/byte-server.ts";
import { SpireStandIn, bundleOf } from "./spire-stand-in.ts";

const DEADLINE_MS = 1_000;
const NOBODY = 65_534;

let spire: SpireStandIn;
let server: SpireServer;
const unreadable: string[] = [];

beforeEach(async () => {
  spire = await SpireStandIn.make();
  unreadable.length = 0;
  server = connectSpireServer({
    socketPath: spire.socketPath,
    deadlineMs: DEADLINE_MS,
    onUnreadableName: (name) => unreadable.push(name),
  });
});

afterEach(async () => {
  server.close();
  await spire.remove();
});

describe("a server that is away", () => {
  test("is told apart: no socket", async () => {
    await expect(server.readBundle()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: `there is no socket at ${spire.socketPath}`,
    });
  });

  test.for([
    ["a plain file", async (path: string) => await writeFile(path, "")],
    ["a directory", async (path: string) => await mkdir(path)],
  ] as const)("is told apart: %s in place of the socket", async ([, put]) => {
    await put(spire.socketPath);
    await expect(server.readBundle()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: `${spire.socketPath} is not a socket`,
    });
  });

  test("is told apart: a socket that nobody listens on any more", async () => {
    // Node removes its socket when it closes; a second name keeps the file, as kill -9 does.
    const bound = `${spire.socketPath}.bound`;
    const listener = createSocketServer().listen(bound);
    await once(listener, "listening");
    await link(bound, spire.socketPath);
    listener.close();
    await once(listener, "close");
    await expect(server.readBundle()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: `nobody listens on ${spire.socketPath}`,
    });
  });

  test("is told apart: no permission, with advice of its own", async () => {
    await spire.start();
    await chmod(spire.directory, 0o700);
    await chmod(spire.socketPath, 0o000);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY); // Root may open anything.
    try {
      await expect(server.readBundle()).rejects.toMatchObject({
        code: "SPIRE_UNREACHABLE",
        message: `no permission to open ${spire.socketPath}`,
        advice: expect.stringMatching(/^Add the daemon's user to the group/),
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test("is told apart: it does not answer in time", async () => {
    await spire.start();
    const { promise: never } = Promise.withResolvers<void>();
    spire.before = async () => await never;
    await expect(server.readBundle()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: "SPIRE Server did not answer GetBundle in time",
    });
  });

  test("is told apart: a path that no socket can have", async () => {
    const socketPath = `/tmp/${"a".repeat(104)}`;
    const nowhere = connectSpireServer({ socketPath });
    await expect(nowhere.readBundle()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: `no socket has so long a path: ${socketPath}`,
    });
    nowhere.close();
  });

  test("comes back on the same path for the same client", async () => {
    await spire.start();
    await server.readBundle();
    await spire.stop();
    await expect(server.readBundle()).rejects.toMatchObject({ code: "SPIRE_UNREACHABLE" });
    await spire.start();
    expect((await server.readBundle()).trustDomain).toBe("alpha.test");
  });

  test("hangs with its connection open, and another one listens at its path", async () => {
    await spire.start();
    await server.readBundle();
    const { promise: never } = Promise.withResolvers<void>();
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
    spire.before = async () => {
      onAsked();
      await never;
    };
    const inTime = expect.stringContaining("in time");
    const first = expect(server.readBundle()).rejects.toMatchObject({ message: inTime });
    await asked;
    const second = expect(server.listFederatedBundles()).rejects.toMatchObject({
      message: inTime, // And not cut off with the first.
    });
    await rename(spire.socketPath, `${spire.socketPath}.old`);
    const other = await SpireStandIn.make();
    onTestFinished(async () => await other.remove());
    await other.start();
    await symlink(other.socketPath, spire.socketPath);
    await first;
    expect((await server.readBundle()).trustDomain).toBe("alpha.test");
    await second;
    expect((await server.readBundle()).trustDomain).toBe("alpha.test");
    expect(other.calls.map(({ method }) => method)).toEqual(["GetBundle", "GetBundle"]);
  });

  test.for([
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
    ["REFUSED_STREAM", constants.NGHTTP2_REFUSED_STREAM],
    ["CANCEL", constants.NGHTTP2_CANCEL],
    ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM],
    ["HTTP_1_1_REQUIRED", constants.NGHTTP2_HTTP_1_1_REQUIRED],
  ] as const)(
    "resets each call with %s on a connection that it keeps, and another one listens at its path",
    async ([, code]) => {
      const resetting = createHttp2Server().listen(spire.socketPath);
      resetting.on("stream", (stream) => stream.on("error", () => undefined).close(code));
      const { promise: session, resolve } = Promise.withResolvers<ServerHttp2Session>();
      resetting.once("session", resolve);
      onTestFinished(async () => {
        (await session).destroy();
        resetting.close();
      });
      await expect(server.readBundle()).rejects.toMatchObject({ code: "SPIRE_UNREACHABLE" });
      await rename(spire.socketPath, `${spire.socketPath}.old`);
      await spire.start();
      expect((await server.readBundle()).trustDomain).toBe("alpha.test");
    },
  );

  test("stops in the middle of a call", async () => {
    await spire.start();
    spire.before = async () => await spire.stop();
    await expect(server.readBundle()).rejects.toMatchObject({ code: "SPIRE_UNREACHABLE" });
  });

  test.for([
    [Code.Canceled, "SPIRE_UNREACHABLE"],
    [Code.Aborted, "SPIRE_UNREACHABLE"],
    [Code.Internal, "SPIRE_UNREACHABLE"], // Its datastore is away.
    [Code.Unavailable, "SPIRE_UNREACHABLE"], // "server is initializing"
    [Code.InvalidArgument, "SPIRE_REFUSED"],
    [Code.NotFound, "SPIRE_REFUSED"],
    [Code.PermissionDenied, "SPIRE_REFUSED"],
    [Code.ResourceExhausted, "SPIRE_REFUSED"],
    [Code.FailedPrecondition, "SPIRE_REFUSED"],
    [Code.Unimplemented, "SPIRE_REFUSED"],
    [Code.Unknown, "SPIRE_REFUSED"],
  ] as const)("answers code %i, which is %s", async ([status, code]) => {
    await spire.start();
    spire.before = () => {
      throw new ConnectError("no", status);
    };
    await expect(server.readBundle()).rejects.toMatchObject({ code, details: { status } });
  });

  test("says so in 512 characters", async () => {
    await spire.start();
    spire.before = () => {
      throw new ConnectError("x".repeat(10_000), Code.PermissionDenied);
    };
    await expect(server.readBundle()).rejects.toMatchObject({
      message: `SPIRE Server refused GetBundle: ${"x".repeat(512)}…`,
    });
  });

  test("names the agent's socket as a likely cause when it has none of our methods", async () => {
    await spire.start();
    await expect(server.mintX509Svid(new Uint8Array(1), 60)).rejects.toMatchObject({
      code: "SPIRE_REFUSED",
      advice: expect.stringContaining("agent"),
    });
  });
});

describe("rows", () => {
  beforeEach(async () => {
    await spire.start();
  });

  test("are written whole and read back, but for the taint", async () => {
    const bundle = {
      ...bundleOf("bravo.test", "one", 2n ** 64n - 1n),
      jwtAuthorities: [
        { keyId: "k", spki: Uint8Array.of(7), expiresAtS: 4_000_000_000, tainted: true },
      ],
    };
    expect(await server.setFederatedBundle(bundle)).toEqual({ kind: "done" });
    const found = await server.readFederatedBundle(bundle.trustDomain);
    expect(found).toEqual({
      ...bundle,
      jwtAuthorities: [{ ...bundle.jwtAuthorities[0], tainted: false }],
    });
    expect(await server.listFederatedBundles()).toEqual([
      { trustDomain: "bravo.test", digest: authoritiesDigest(bundle) },
    ]);
  });

  test("are undefined where there is none, and deleting none is done", async () => {
    const { trustDomain } = bundleOf("bravo.test", "");
    expect(await server.readFederatedBundle(trustDomain)).toBeUndefined();
    expect(await server.deleteFederatedBundle(trustDomain)).toEqual({ kind: "done" });
  });

  test.for([
    [Code.InvalidArgument, "failed to convert bundle"],
    [Code.FailedPrecondition, "federated with 1 registration entries"],
    [Code.PermissionDenied, "no"],
  ] as const)("refused by SPIRE with item status %i say so", async ([code, message]) => {
    const bundle = bundleOf("bravo.test", "one");
    spire.statuses.push({ code, message }, { code, message });
    const refused = { kind: "refused", status: code, message };
    expect(await server.setFederatedBundle(bundle)).toEqual(refused);
    expect(await server.deleteFederatedBundle(bundle.trustDomain)).toEqual(refused);
  });

  test("whose first write lost a race are written a second time, and not a third", async () => {
    const race = { code: Code.Internal, message: "duplicate key value violates unique constraint" };
    spire.statuses.push(race);
    expect(await server.setFederatedBundle(bundleOf("bravo.test", "one"))).toEqual({
      kind: "done",
    });
    expect(spire.called("BatchSetFederatedBundle")).toHaveLength(2);

    spire.statuses.push(race, race);
    await expect(server.setFederatedBundle(bundleOf("bravo.test", "two"))).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
    });
    expect(spire.called("BatchSetFederatedBundle")).toHaveLength(4);
  });

  test("that SPIRE's datastore cannot take now are no refusal", async () => {
    spire.statuses.push({ code: Code.Internal, message: "datastore is away" });
    await expect(server.setFederatedBundle(bundleOf("bravo.test", "one"))).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: expect.stringContaining("datastore is away"),
    });
    expect(spire.called("BatchSetFederatedBundle")).toHaveLength(1);
  });

  test("above 3 MiB are not sent", async () => {
    const big = bundleOf("bravo.test", "x".repeat(3 * 1024 * 1024));
    await expect(server.setFederatedBundle(big)).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
    expect(spire.calls).toEqual([]);
  });

  test("are written one at a time, however many ask", async () => {
    let writing = 0;
    let most = 0;
    spire.before = async () => {
      writing += 1;
      most = Math.max(most, writing);
      await new Promise((resolve) => setImmediate(resolve));
      writing -= 1;
    };
    const names = Array.from({ length: 20 }, (_, n) => `td${n}.test`);
    await Promise.all(
      names.map(async (name) => await server.setFederatedBundle(bundleOf(name, name))),
    );
    expect(spire.rows.size).toBe(20);
    expect(most).toBe(1);
  });

  test("are written although the write before them failed", async () => {
    spire.statuses.push({ code: Code.Internal, message: "datastore is away" });
    const [first, second] = await Promise.allSettled([
      server.setFederatedBundle(bundleOf("bravo.test", "one")),
      server.setFederatedBundle(bundleOf("charlie.test", "one")),
    ]);
    expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
    expect([...spire.rows.keys()]).toEqual(["charlie.test"]);
  });

  test("are refused at once when 64 writes wait already, and the rest is written", async () => {
    const writes = Array.from(
      { length: 66 },
      async (_, n) => await server.setFederatedBundle(bundleOf(`td${n}.test`, "x")),
    );
    const ends = await Promise.allSettled(writes);
    expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(2);
    expect(await server.setFederatedBundle(bundleOf("late.test", "x"))).toEqual({ kind: "done" });
  });
});

describe("lists", () => {
  beforeEach(async () => {
    await spire.start();
  });

  test("are read page by page until the token is empty, empty pages included", async () => {
    const sizes: number[] = [];
    const pages = new Map([
      ["", { bundles: [{ trustDomain: "a.test" }, { trustDomain: "b.test" }], nextPageToken: "1" }],
      ["1", { bundles: [], nextPageToken: "2" }],
      ["2", { bundles: [{ trustDomain: "c.test" }], nextPageToken: "" }],
    ]);
    spire.list = (pageToken, pageSize) => {
      sizes.push(pageSize);
      return pages.get(pageToken) ?? { bundles: [], nextPageToken: "" };
    };
    const names = (await server.listFederatedBundles()).map(({ trustDomain }) => trustDomain);
    expect(names).toEqual(["a.test", "b.test", "c.test"]);
    expect(sizes).toEqual([50, 50, 50]);
  });

  test("that never end are given up after 800 pages", async () => {
    spire.list = () => ({ bundles: [{ trustDomain: "a.test" }], nextPageToken: "again" });
    await expect(server.listFederatedBundles()).rejects.toMatchObject({
      code: "SPIRE_REFUSED",
      advice: expect.stringContaining("spire-server bundle list"),
    });
    expect(spire.called("ListFederatedBundles")).toHaveLength(800);
  });

  test("that come slowly are given up, though each page comes in time", async () => {
    const { socketPath } = spire;
    const slow = connectSpireServer({ socketPath, deadlineMs: DEADLINE_MS, listDeadlineMs: 100 });
    onTestFinished(() => slow.close());
    spire.before = async () => await sleep(20);
    spire.list = () => ({ bundles: [], nextPageToken: "again" });
    await expect(slow.listFederatedBundles()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: "SPIRE Server's list did not end within 0.1 s",
    });
    expect(spire.calls.length).toBeLessThan(10);
  });

  test("whose next page has a token above 3 MiB are given up", async () => {
    spire.list = () => ({ bundles: [], nextPageToken: "x".repeat(3 * 1_024 ** 2) });
    await expect(server.listFederatedBundles()).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
    expect(spire.called("ListFederatedBundles")).toHaveLength(1);
  });

  test("of more rows on a page than were asked for are given up", async () => {
    const bundles = Array.from({ length: 51 }, () => ({ trustDomain: "a.test" }));
    spire.list = () => ({ bundles, nextPageToken: "" });
    await expect(server.listFederatedBundles()).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
  });

  test("leave out rows whose name cannot be read, and say which", async () => {
    const long = "x".repeat(1024 ** 2);
    const names = ["", "UPPER.test", "spiffe://a.test", "a test", long, "__proto__"];
    spire.list = () => ({
      bundles: names.map((trustDomain) => ({ trustDomain })),
      nextPageToken: "",
    });
    const rows = await server.listFederatedBundles();
    expect(rows.map(({ trustDomain }) => trustDomain)).toEqual(["__proto__"]);
    expect(unreadable).toEqual([...names.slice(0, -2), "x".repeat(256)]);
  });
});

describe("an answer of millions of empty entries", () => {
  test.for([
    ["GetBundle", "1200", async () => await server.readBundle()],
    [
      "GetFederatedBundle",
      "1a00",
      async () => await server.readFederatedBundle(bundleOf("bravo.test", "").trustDomain),
    ],
    ["ListFederatedBundles", "0a00", async () => await server.listFederatedBundles()],
    ["ListFederationRelationships", "0a00", async () => await server.listFederationRelationships()],
  ] as const)("of %s is refused, and the next one is read", async ([call, entry, read]) => {
    const entries = Buffer.alloc(8 * 1_024 ** 2, Buffer.from(entry, "hex"));
    const hostile = await serveStreams(spire.socketPath, (stream) => stream.end(framed(entries)));
    try {
      await expect(read()).rejects.toMatchObject({
        code: "SPIRE_REFUSED",
        message: `${call} is above a limit: the answer has more than 81920 fields`,
        advice: expect.stringContaining("spire-server bundle list"),
        details: { call, status: Code.ResourceExhausted },
      });
    } finally {
      await hostile.close();
    }
    await spire.start();
    await read();
  });
});

describe("of what nobody looks at", () => {
  test("nothing is asked for: of relationships and written rows the name alone", async () => {
    const masks: unknown[] = [];
    const asked = await serveSpireApi(spire.socketPath, {
      bundle: {
        batchSetFederatedBundle: ({ outputMask }) => {
          masks.push(outputMask);
          return { results: [{ status: { code: 0 } }] };
        },
      },
      trustDomain: {
        listFederationRelationships: ({ outputMask }) => {
          masks.push(outputMask);
          return { federationRelationships: [{ trustDomain: "bravo.test" }] };
        },
      },
    });
    onTestFinished(async () => await asked.close());
    expect(await server.setFederatedBundle(bundleOf("bravo.test", "one"))).toEqual({
      kind: "done",
    });
    expect(await server.listFederationRelationships()).toEqual(["bravo.test"]);
    expect(masks).toEqual([
      expect.objectContaining({ $typeName: "spire.api.types.BundleMask" }),
      expect.objectContaining({ $typeName: "spire.api.types.FederationRelationshipMask" }),
    ]);
  });
});

describe("the own bundle", () => {
  beforeEach(async () => {
    await spire.start();
  });

  test("is read with its taint, number and times", async () => {
    spire.bundle = create(BundleSchema, {
      trustDomain: "alpha.test",
      sequenceNumber: 2n ** 64n - 1n,
      x509Authorities: [{ asn1: Uint8Array.of(1), tainted: true }],
      jwtAuthorities: [
        { keyId: "k", publicKey: Uint8Array.of(2), expiresAt: 4_000_000_000n, tainted: true },
        { keyId: "far", publicKey: Uint8Array.of(3), expiresAt: 2n ** 63n - 1n },
        { keyId: "past", publicKey: Uint8Array.of(4), expiresAt: -(2n ** 63n) },
      ],
    });
    expect(await server.readBundle()).toEqual({
      trustDomain: readTrustDomain("alpha.test"),
      sequenceNumber: 2n ** 64n - 1n,
      x509Authorities: [{ der: Uint8Array.of(1), tainted: true }],
      jwtAuthorities: [
        { keyId: "k", spki: Uint8Array.of(2), expiresAtS: 4_000_000_000, tainted: true },
        {
          keyId: "far",
          spki: Uint8Array.of(3),
          expiresAtS: Number.MAX_SAFE_INTEGER,
          tainted: false,
        },
        {
          keyId: "past",
          spki: Uint8Array.of(4),
          expiresAtS: -Number.MAX_SAFE_INTEGER,
          tainted: false,
        },
      ],
    });
  });

  test("of no readable trust domain is refused", async () => {
    spire.bundle = create(BundleSchema, { trustDomain: "Not A Name" });
    await expect(server.readBundle()).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
  });

  test("is not read any more once the server was closed", async () => {
    await server.readBundle();
    server.close();
    await expect(server.readBundle()).rejects.toMatchObject({ code: "SPIRE_UNREACHABLE" });
    expect(spire.called("GetBundle")).toHaveLength(1);
  });
});
