/**
 * Damages DER in one or two places and writes it again with correct lengths, so that a reader gets
 * past the outside and meets the wrong field, type, order or text deep within. Certificates wrap DER
 * in octet and bit strings; those are opened too.
 */
import * as fc from "fast-check";
import { TAG, tlv } from "./der.ts";

interface Node {
  tag: number;
  /** Bytes before the children: the unused-bits octet of a bit string. */
  head: Uint8Array;
  children: Node[] | undefined;
  content: Uint8Array;
  /** Writes the length with a leading zero instead of in its shortest form. */
  longLength: boolean;
}

/** One damage: what is done, where (modulo the number of values), and the material for it. */
type Damage = (nodes: readonly Node[], parents: ReadonlyMap<Node, Node>) => void;

const CONTENTS = [
  "",
  "00",
  "01",
  "ff",
  "80",
  "0001",
  "ff80",
  "0700",
  "0780",
  "0000",
  "2a864886f70d01",
]
  .map((hex) => Buffer.from(hex, "hex"))
  .concat(
    ["240101000000Z", "2401010000Z", "20240101000000Z", "240101000000+0000", "240230000000Z"].map(
      (text) => Buffer.from(text),
    ),
  );

/** Text near the edges of names, hosts and URIs. */
const text = fc.oneof(
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  fc.emailAddress(),
  fc.domain(),
  fc.ipV6().map((address) => `spiffe://[${address}]/x`),
  fc
    .array(
      fc.constantFrom(
        "spiffe:",
        "//",
        "/",
        ".",
        "a",
        "b.test",
        "%",
        "%41",
        ":",
        "@",
        "*",
        "[",
        "]",
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join("")),
  fc
    .array(fc.constantFrom(" ", "?", "#", "_", "-", "~", "é", "\u0000", "&", "443", "::1", "x"), {
      maxLength: 4,
    })
    .map((parts) => `spiffe://a${parts.join("")}`),
);

const place = fc.nat({ max: 1_000 });

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(place, place, fc.integer({ min: 1, max: 255 })).map(([where, at, bits]) =>
    onLeaf(where, (node) => {
      const content = Buffer.from(node.content);
      const index = at % Math.max(1, content.length);
      if (content.length > 0) content[index] = (content[index] ?? 0) ^ bits;
      node.content = content;
    }),
  ),
  fc.tuple(place, fc.constantFrom(...CONTENTS)).map(([where, content]) =>
    onLeaf(where, (node) => {
      node.content = content;
    }),
  ),
  fc.tuple(place, text).map(([where, value]) =>
    onText(where, (node) => {
      node.content = Buffer.from(value);
    }),
  ),
  fc.tuple(place, fc.integer({ min: 1, max: 3 })).map(([where, less]) =>
    onLeaf(where, (node) => {
      node.content = node.content.subarray(0, Math.max(0, node.content.length - less));
    }),
  ),
  fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 4 })).map(([where, more]) =>
    onLeaf(where, (node) => {
      node.content = Buffer.concat([node.content, more]);
    }),
  ),
  fc
    .tuple(
      place,
      fc.oneof(fc.constantFrom(...Object.values(TAG)), fc.integer({ min: 0, max: 255 })),
    )
    .map(([where, tag]) =>
      onNode(where, (node) => {
        node.tag = tag;
      }),
    ),
  place.map((where) =>
    onNode(where, (node) => {
      node.longLength = true;
    }),
  ),
  place.map((where) => onSiblings(where, (siblings, index) => siblings.splice(index, 1))),
  place.map((where) =>
    onSiblings(where, (siblings, index) => {
      const [node] = siblings.slice(index);
      if (node !== undefined) siblings.splice(index, 0, node);
    }),
  ),
  place.map((where) =>
    onSiblings(where, (siblings, index) => {
      const [node] = siblings.splice(index, 1);
      if (node !== undefined) siblings.push(node);
    }),
  ),
  fc.tuple(place, place).map(([where, from]): Damage => (nodes, parents) => {
    const source = nodes[from % nodes.length];
    if (source === undefined) return;
    onSiblings(where, (siblings, index) => {
      // A value cannot become a part of itself.
      if (!siblings.some((node) => contains(source, node))) siblings[index] = source;
    })(nodes, parents);
  }),
);

/** `der` with one or two damages. */
export function mutatedDer(der: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(der, fc.array(damage, { minLength: 1, maxLength: 2 }))
    .map(([original, damages]) => {
      const [root] = parse(original) ?? [];
      if (root === undefined) throw new Error("only DER can be damaged");
      for (const spoil of damages) {
        const parents = new Map<Node, Node>();
        const nodes = [...walk(root, parents)];
        spoil(nodes, parents);
      }
      return write(root);
    });
}

function onNode(where: number, change: (node: Node) => void): Damage {
  return (nodes) => {
    const node = nodes[where % nodes.length];
    if (node !== undefined) change(node);
  };
}

function onLeaf(where: number, change: (node: Node) => void): Damage {
  return (nodes) =>
    onNode(where, change)(
      nodes.filter(({ children }) => children === undefined),
      new Map(),
    );
}

/** Changes a value that holds text: a string type, or a context tag as in GeneralName. */
function onText(where: number, change: (node: Node) => void): Damage {
  return (nodes) =>
    onNode(where, change)(
      nodes.filter(({ tag }) => TEXT_TAGS.has(tag)),
      new Map(),
    );
}

const TEXT_TAGS: ReadonlySet<number> = new Set([
  TAG.utf8String,
  TAG.printableString,
  TAG.ia5String,
  0x81,
  0x82,
  0x86,
]);

function onSiblings(where: number, change: (siblings: Node[], index: number) => void): Damage {
  return (nodes, parents) => {
    const node = nodes[where % nodes.length];
    const siblings = node && parents.get(node)?.children;
    if (node !== undefined && siblings !== undefined) change(siblings, siblings.indexOf(node));
  };
}

function contains(node: Node, other: Node): boolean {
  return node === other || (node.children ?? []).some((child) => contains(child, other));
}

function* walk(node: Node, parents: Map<Node, Node>): Generator<Node> {
  yield node;
  for (const child of node.children ?? []) {
    parents.set(child, node);
    yield* walk(child, parents);
  }
}

/** The values that fill `bytes`, or undefined when it is not DER. */
function parse(bytes: Uint8Array): Node[] | undefined {
  const nodes: Node[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1] ?? 0x80;
    const octets = first < 0x80 ? 0 : first - 0x80;
    if (first === 0x80 || octets > 2) return undefined;
    const start = at + 2 + octets;
    const length =
      octets === 0
        ? first
        : bytes.subarray(at + 2, start).reduce((sum, byte) => sum * 256 + byte, 0);
    if (start + length > bytes.length) return undefined;
    nodes.push(parseNode(tag, bytes.subarray(start, start + length)));
    at = start + length;
  }
  return nodes;
}

function parseNode(tag: number, content: Uint8Array): Node {
  const headLength = tag === TAG.bitString && content[0] === 0 ? 1 : 0;
  const wraps = (tag & 0x20) !== 0 || tag === TAG.octetString || headLength === 1;
  const children = wraps ? parse(content.subarray(headLength)) : undefined;
  const opened = children !== undefined && children.length > 0;
  return {
    tag,
    head: opened ? content.subarray(0, headLength) : Buffer.of(),
    children: opened ? children : undefined,
    content,
    longLength: false,
  };
}

function write(node: Node): Buffer {
  const content =
    node.children === undefined
      ? node.content
      : Buffer.concat([node.head, ...node.children.map(write)]);
  if (!node.longLength) return tlv(node.tag, content);
  const [high, low] = [content.length >> 8, content.length & 0xff];
  const length = high === 0 ? [0x82, 0, low] : [0x83, 0, high, low];
  return Buffer.concat([Buffer.of(node.tag, ...length), content]);
}
