/**
 * Stryker's ignorer for texts that say to people why something was refused. They may change, nothing
 * depends on them, and a test of one could only repeat it. Codes are mutated, and so is every text
 * that carries a number or a name, because that one can be wrong.
 */
/** Calls of which a fixed text as the last argument is such a reason. */
const CALLS = new Set(["refuse", "no", "mismatch", "DerProblem", "DocumentProblem", "RangeError"]);
/** Properties whose fixed text is such a reason. */
const PROPERTIES = new Set(["malformed", "problem", "detail"]);

function shouldIgnore({ node, parent }) {
  if (node.type !== "StringLiteral") return undefined;
  const isReason =
    (parent.type === "ObjectProperty" && PROPERTIES.has(parent.key.name)) ||
    ((parent.type === "CallExpression" || parent.type === "NewExpression") &&
      parent.arguments.at(-1) === node &&
      CALLS.has(parent.callee.name));
  return isReason ? "a fixed text for people" : undefined;
}

export const strykerPlugins = [{ kind: "Ignore", name: "fixed-texts", value: { shouldIgnore } }];
