/**
 * Stryker's ignorer for texts that say to people why something was refused. They may change, nothing
 * depends on them, and a test of one could only repeat it. Codes are mutated, and so is every text
 * that carries a number or a name, because that one can be wrong.
 */

/** Calls that take such a text, and which argument it is. */
const TEXT_ARGUMENT = {
  refuse: 1,
  mismatch: 1,
  no: 0,
  DerProblem: 0,
  RangeError: 0,
  assert: 1,
};
/** Properties that hold one. */
const TEXT_PROPERTIES = new Set(["malformed", "problem", "detail"]);

function shouldIgnore({ node, parent }) {
  const isFixed =
    node.type === "StringLiteral" ||
    (node.type === "TemplateLiteral" && node.expressions.length === 0);
  const isText =
    parent?.type === "ObjectProperty"
      ? TEXT_PROPERTIES.has(parent.key.name)
      : parent?.arguments?.[TEXT_ARGUMENT[parent.callee.name]] === node;
  return isFixed && isText ? "a fixed text for people" : undefined;
}

export const strykerPlugins = [{ kind: "Ignore", name: "fixed-texts", value: { shouldIgnore } }];
