/** connect's gRPC transport with one bound more: of an answer with too many fields nothing is decoded. */
import assert from "node:assert/strict";
import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import {
  type CommonTransportOptions,
  encodeEnvelope,
  transformSplitEnvelope,
} from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-grpc";
import { ANSWER_FIELDS_MAX, countFields } from "./answer-fields.ts";

/** connect has no hook between an answer's bytes and its message, so each call looks at its own body. */
export function boundedTransport(options: CommonTransportOptions): Transport {
  return {
    async unary(method, ...call) {
      const httpClient: typeof options.httpClient = async (request) => {
        const response = await options.httpClient(request);
        const body = boundedBody(response.body, method.output, options.readMaxBytes);
        return { ...response, body };
      };
      return await createTransport({ ...options, httpClient }).unary(method, ...call);
    },
    stream: () => assert.fail("no method that we call streams"),
  };
}

/** Passes on each gRPC frame as it came, or ends with `ResourceExhausted` or `Internal`. */
async function* boundedBody(
  body: AsyncIterable<Uint8Array>,
  message: DescMessage,
  readMaxBytes: number,
): AsyncIterable<Uint8Array> {
  for await (const { flags, data } of transformSplitEnvelope(readMaxBytes)(body)) {
    if (countOf(message, data) > ANSWER_FIELDS_MAX) {
      const problem = `the answer has more than ${ANSWER_FIELDS_MAX} fields`;
      throw new ConnectError(problem, Code.ResourceExhausted);
    }
    yield encodeEnvelope(flags, data);
  }
}

function countOf(message: DescMessage, data: Uint8Array): number {
  try {
    return countFields(message, data);
  } catch (error) {
    throw ConnectError.from(error, Code.Internal); // As connect's own parser has it.
  }
}
