/** What listens on SPIRE Server's socket and answers every call with bytes of the test's choice. */
import { once } from "node:events";
import { type ServerHttp2Session, type ServerHttp2Stream, createServer } from "node:http2";
import type { SpireApiListener } from "../../src/spire-api/server.ts";

/** Serves what `answer` writes on a stream with gRPC's headers; the status behind it is 0. */
export async function serveStreams(
  socketPath: string,
  answer: (stream: ServerHttp2Stream) => void,
): Promise<SpireApiListener> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer().on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    answer(stream.on("error", () => undefined));
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    async close() {
      server.close();
      for (const session of sessions) session.destroy();
      await once(server, "close");
    },
  };
}

/** How a message of so many bytes begins. */
export function frame(bytes: number): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(bytes, 1);
  return header;
}

/** A whole message with its frame. */
export function framed(message: Uint8Array): Buffer {
  return Buffer.concat([frame(message.length), message]);
}
