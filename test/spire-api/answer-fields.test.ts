import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DescField, type DescMessage, ScalarType, fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ANSWER_FIELDS_MAX, countFields } from "../../src/spire-api/answer-fields.ts";
import { type SpireApi, spireApi } from "../../src/spire-api/client.ts";
import type { SpireApiListener } from "../../src/spire-api/server.ts";
import {
  BundleSchema,
  BundleService,
  Code,
  EntryService,
  FederationRelationshipSchema,
  HealthService,
  LocalAuthorityService,
  SvidService,
  TrustDomainService,
  create,
  toBinary,
} from "../../src/spire-api/services.ts";
import { framed, serveStreams } from "./byte-server.ts";

const LIST = BundleService.method.listFederatedBundles.output;
/** What a field that is a message counts for. */
const A_MESSAGE = 4;
const MIB = 1_024 ** 2;

/** How many fields were read meanwhile, by whoever reads protobuf in this process. */
async function fieldsRead(work: () => unknown): Promise<number> {
  const tag = vi.spyOn(BinaryReader.prototype, "tag");
  try {
    await work();
    return tag.mock.calls.length;
  } finally {
    tag.mockRestore();
  }
}

/** Bytes that are nearly protobuf: small field numbers, any wire type, lengths that may be wrong. */
const nearly: fc.Arbitrary<Uint8Array> = fc.letrec<{ message: Uint8Array; field: Uint8Array }>(
  (tie) => ({
    message: fc.array(tie("field"), { maxLength: 6 }).map((fields) => Buffer.concat(fields)),
    field: fc
      .record({
        number: fc.integer({ min: 1, max: 7 }),
        wireType: fc.oneof({ weight: 9, arbitrary: fc.constant(2) }, fc.nat(5)),
        length: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.nat(300)),
        content: fc.oneof({ depthSize: "small" }, fc.uint8Array({ maxLength: 4 }), tie("message")),
      })
      .map(({ number, wireType, length, content }) => {
        const writer = new BinaryWriter().tag(number, wireType);
        if (wireType === 2) writer.uint32(length ?? content.length);
        writer.raw(content);
        if (wireType === 3) writer.tag(number, 4); // A group and its end.
        return writer.finish();
      }),
  }),
).message;

describe("the count of fields", () => {
  test("is of all that the decoder reads, whatever the bytes", async () => {
    let decoded = 0;
    const schemas = fc.constantFrom<DescMessage>(LIST, BundleSchema, FederationRelationshipSchema);
    await fc.assert(
      fc.asyncProperty(schemas, nearly, async (schema, bytes) => {
        let count = 0;
        try {
          count = countFields(schema, bytes);
        } catch {
          return; // Malformed: it is not decoded.
        }
        const read = await fieldsRead(() => {
          try {
            fromBinary(schema, bytes);
            decoded += 1;
          } catch {
            // The decoder stopped before.
          }
        });
        expect(read).toBeLessThanOrEqual(count);
      }),
      { numRuns: 5_000 },
    );
    expect(decoded).toBeGreaterThan(500);
  });

  test("is of each field once, and of each message four times", () => {
    const bundle = create(BundleSchema, {
      trustDomain: "a.test",
      sequenceNumber: 2n ** 64n - 1n,
      x509Authorities: [{ asn1: new Uint8Array(500), tainted: true }],
      jwtAuthorities: [{ keyId: "k", publicKey: new Uint8Array(91), expiresAt: -1n }],
    });
    const fields = 2 + (A_MESSAGE + 2) + (A_MESSAGE + 3);
    expect(countFields(BundleSchema, toBinary(BundleSchema, bundle))).toBe(fields);
    const list = create(LIST, { bundles: [bundle, bundle], nextPageToken: "2" });
    expect(countFields(LIST, toBinary(LIST, list))).toBe(2 * (A_MESSAGE + fields) + 1);
  });

  test("knows each kind of field that an answer has, and no message holds itself", () => {
    const services = [BundleService, TrustDomainService, SvidService, EntryService];
    const all = [...services, LocalAuthorityService, HealthService];
    const outputs = all.flatMap(({ methods }) => methods.map(({ output }) => output));
    expect(outputs.length).toBeGreaterThan(20);
    for (const output of outputs) expectKnown(output, []);
  });
});

function expectKnown(message: DescMessage, within: readonly DescMessage[]): void {
  expect(within).not.toContain(message);
  for (const field of message.fields) {
    expect(isKnown(field), String(field)).toBe(true);
    if (field.message) expectKnown(field.message, [...within, message]);
  }
}

const DELIMITED = [ScalarType.STRING, ScalarType.BYTES];
const VARINT = [ScalarType.BOOL, ScalarType.INT32, ScalarType.INT64, ScalarType.UINT64];

function isKnown(field: DescField): boolean {
  if (field.fieldKind === "message") return !field.delimitedEncoding;
  if (field.fieldKind === "enum") return true;
  if (field.fieldKind === "scalar") return [...DELIMITED, ...VARINT].includes(field.scalar);
  if (field.fieldKind === "map") return false;
  if (field.listKind === "message") return !field.delimitedEncoding;
  return field.listKind === "scalar" && DELIMITED.includes(field.scalar);
}

describe("the client", () => {
  let directory: string;
  let api: SpireApi;
  let listener: SpireApiListener | undefined;
  let answer = Buffer.alloc(0);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "answer-fields-"));
    const socketPath = join(directory, "api.sock");
    api = spireApi({ socketPath });
    listener = await serveStreams(socketPath, (stream) => stream.end(framed(answer)));
  });

  afterEach(async () => {
    api.close();
    await listener?.close();
    await rm(directory, { recursive: true });
  });

  const ownBundle = async () => await api.bundle.getBundle({});
  const rows = async () => await api.bundle.listFederatedBundles({});
  const relationships = async () => await api.trustDomain.listFederationRelationships({});

  test.each([
    ["empty X.509 authorities", "1200", A_MESSAGE, ownBundle],
    ["empty JWT authorities", "1a00", A_MESSAGE, ownBundle],
    ["JWT authorities of one JWT key id", "1a03120161", A_MESSAGE + 1, ownBundle],
    ["one name many times", "0a00", 1, ownBundle],
    ["one number many times", "2801", 1, ownBundle],
    ["unknown numbers", "f80100", 1, ownBundle],
    ["unknown messages", "3200", 1, ownBundle],
    ["empty rows", "0a00", A_MESSAGE, rows],
    ["rows of an empty authority", "0a021200", 2 * A_MESSAGE, rows],
    ["empty relationships", "0a00", A_MESSAGE, relationships],
    [
      "relationships with a bundle of an empty authority",
      "0a042a021200",
      3 * A_MESSAGE,
      relationships,
    ],
  ] as const)(
    "an answer of %s is decoded up to the limit, and not a field above",
    async (_name, entry, fields, call) => {
      const unit = Buffer.from(entry, "hex");
      const most = Math.floor(ANSWER_FIELDS_MAX / fields);
      answer = Buffer.alloc(most * unit.length, unit);
      await call();
      answer = Buffer.alloc((most + 1) * unit.length, unit);
      await expect(call()).rejects.toMatchObject({ code: Code.ResourceExhausted });
      answer = Buffer.alloc(Math.floor((31 * MIB) / unit.length) * unit.length, unit);
      const read = await fieldsRead(async () => {
        await expect(call()).rejects.toMatchObject({ code: Code.ResourceExhausted });
      });
      expect(read).toBeLessThanOrEqual(ANSWER_FIELDS_MAX + 1);
    },
  );

  test.for([
    ["a group, unknown or not", "7b7c"],
    ["a number in place of a name", "0800"],
    ["a name in place of a number", "2200"],
    ["a number in place of an authority", "1000"],
    ["a length beyond the end", "12ff01"],
    ["field 0", "0000"],
  ] as const)("an answer with %s is malformed", async ([, hex]) => {
    answer = Buffer.from(hex, "hex");
    await expect(ownBundle()).rejects.toMatchObject({ code: Code.Internal });
  });
});
