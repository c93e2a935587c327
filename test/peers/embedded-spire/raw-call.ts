/** One gRPC call as bytes: for what a typed client does not send. */
import { once } from "node:events";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";

/** One byte for no compression, four for the length. */
const FRAME_HEADER_BYTES = 5;

/** @returns The gRPC status that the server sent, in a trailer or with the headers. */
export async function rawCall(
  socketPath: string,
  path: string,
  message: Uint8Array,
): Promise<string | undefined> {
  const session = connectHttp2("http://localhost", {
    createConnection: () => connect({ path: socketPath }),
  });
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let trailers: IncomingHttpHeaders = {};
    stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32BE(message.length, 1);
    stream.write(header);
    stream.end(message);
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    stream.resume();
    await once(stream, "end"); // A server that refuses a long message may never read it all.
    return String(trailers["grpc-status"] ?? headers["grpc-status"]);
  } finally {
    session.destroy();
  }
}
