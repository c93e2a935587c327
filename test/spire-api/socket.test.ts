import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type SpireApi, REQUEST_BYTES_MAX, spireApi } from "../../src/spire-api/client.ts";
import {
  type SpireApiImplementation,
  type SpireApiListener,
  serveSpireApi,
} from "../../src/spire-api/server.ts";
import { Code } from "../../src/spire-api/services.ts";
import { frame, serveStreams } from "./byte-server.ts";

const DEADLINE_MS = 1_000;
/** Above 2^63, where a signed reading would turn negative. */
const SEQUENCE = 2n ** 63n + 5n;

describe("the client over a Unix socket", () => {
  let directory: string;
  let socketPath: string;
  let api: SpireApi;
  let listener: SpireApiListener | undefined;

  async function serve(more: SpireApiImplementation["bundle"] = {}): Promise<void> {
    listener = await serveSpireApi(socketPath, { bundle: { getBundle: ownBundle, ...more } });
  }

  /** Answers every call with these bytes as its message. */
  async function serveBytes(...answer: readonly Buffer[]): Promise<void> {
    await listener?.close();
    listener = await serveStreams(socketPath, (stream) => stream.end(Buffer.concat(answer)));
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "spire-api-"));
    socketPath = join(directory, "api.sock");
    api = spireApi({ socketPath, deadlineMs: DEADLINE_MS });
  });

  afterEach(async () => {
    api.close();
    await listener?.close();
    await rm(directory, { recursive: true });
  });

  test("carries a 64-bit sequence number whole", async () => {
    await serve();
    expect((await api.bundle.getBundle({})).sequenceNumber).toBe(SEQUENCE);
  });

  test("fails while the server is away, and works again once it is back on the same path", async () => {
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Internal });
    await serve();
    expect((await api.bundle.getBundle({})).trustDomain).toBe("alpha.test");
    await listener?.close();
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Internal });
    await serve();
    expect((await api.bundle.getBundle({})).trustDomain).toBe("alpha.test");
  });

  test("ends a call at its deadline, and the next call is answered", async () => {
    let slow = true;
    const { promise: never } = Promise.withResolvers<{ count: number }>();
    await serve({ countBundles: async () => (slow ? await never : { count: 1 }) });
    await expect(api.bundle.countBundles({})).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
    slow = false;
    expect((await api.bundle.countBundles({})).count).toBe(1);
  });

  test("ends a call whose answer trickles in at its deadline, and hangs up on it", async () => {
    const { promise: hungUp, resolve: onHungUp } = Promise.withResolvers<void>();
    listener = await serveStreams(socketPath, (stream) => {
      stream.write(frame(1_024 ** 2));
      const timer = setInterval(() => stream.write(Buffer.alloc(1)), 1);
      stream.once("close", () => {
        clearInterval(timer);
        onHungUp();
      });
    });
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await hungUp;
  });

  test.for([REQUEST_BYTES_MAX, 11 * 1024 * 1024])(
    "does not send a request with %i bytes of certificate, and stays usable",
    async (bytes) => {
      let asked = 0;
      await serve({
        batchSetFederatedBundle: () => {
          asked += 1;
          return { results: [] };
        },
      });
      await expect(
        api.bundle.batchSetFederatedBundle({ bundle: [bundleOfSize(bytes)] }),
      ).rejects.toMatchObject({ code: Code.ResourceExhausted });
      expect(asked).toBe(0);
      await api.bundle.batchSetFederatedBundle({ bundle: [bundleOfSize(REQUEST_BYTES_MAX - 100)] });
      expect(asked).toBe(1);
    },
  );

  test.each([
    ["GetBundle", 32, async () => await api.bundle.getBundle({})],
    ["MintX509SVID", 1, async () => await api.svid.mintX509SVID({})],
    ["Check", 1, async () => await api.health.check({})],
  ] as const)("reads no answer to %s above %i MiB", async (_name, mebibytes, call) => {
    const most = mebibytes * 1024 * 1024;
    await serveBytes(frame(most));
    await expect(call()).rejects.toMatchObject({ code: Code.Unimplemented }); // It was cut short.
    await serveBytes(frame(most + 1));
    await expect(call()).rejects.toMatchObject({ code: Code.ResourceExhausted });
  });

  test("takes no compressed answer", async () => {
    const compressed = frame(2);
    compressed.writeUInt8(1);
    await serveBytes(compressed, Buffer.from("7801", "hex"));
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Internal });
  });

  test("lets the server push nothing", async () => {
    const allowed: boolean[] = [];
    listener = await serveStreams(socketPath, (stream) => {
      allowed.push(stream.pushAllowed);
      stream.end(frame(0));
    });
    await api.bundle.getBundle({});
    expect(allowed).toEqual([false]);
  });

  test("keeps nothing of fields that it does not know", async () => {
    await serveBytes(frame(3), Buffer.from("f80701", "hex"));
    expect((await api.bundle.getBundle({})).$unknown).toBeUndefined();
  });

  test("answers `Unimplemented` for what the server leaves out", async () => {
    await serve();
    await expect(api.entry.countEntries({})).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  test("ends the call under way when it is closed, and takes no other", async () => {
    const { promise: never } = Promise.withResolvers<{ count: number }>();
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
    await serve({
      countBundles: async () => {
        onAsked();
        return await never;
      },
    });
    const call = expect(api.bundle.countBundles({})).rejects.toMatchObject({
      code: Code.Canceled,
    });
    await asked;
    api.close();
    await call;
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Canceled });
  });

  test("lets go of the socket when it is closed while it connects", async () => {
    const { promise: hungUp, resolve: onHungUp } = Promise.withResolvers<void>();
    const silent = createServer((socket) => socket.on("close", onHungUp).resume());
    silent.listen(socketPath);
    await once(silent, "listening");
    const call = expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Canceled });
    api.close();
    await call;
    await hungUp;
    silent.close();
    await once(silent, "close");
  });

  test("fails on a path that is too long for a socket", async () => {
    const tooLong = spireApi({ socketPath: `/tmp/${"a".repeat(104)}`, deadlineMs: DEADLINE_MS });
    await expect(tooLong.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Internal });
    tooLong.close();
  });

  test.for([
    ["HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
    ["nothing that is known", Buffer.alloc(64, 0xff)],
    ["nothing at all", ""],
  ] as const)("fails when what listens there speaks %s", async ([, answer]) => {
    const stranger = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.resume();
      socket.end(answer);
    });
    stranger.listen(socketPath);
    await once(stranger, "listening");
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ name: "ConnectError" });
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ name: "ConnectError" });
    stranger.close();
    await once(stranger, "close");
    await serve();
    expect((await api.bundle.getBundle({})).trustDomain).toBe("alpha.test");
  });
});

function ownBundle() {
  return { trustDomain: "alpha.test", sequenceNumber: SEQUENCE };
}

function bundleOfSize(bytes: number) {
  return { x509Authorities: [{ asn1: new Uint8Array(bytes) }] };
}
