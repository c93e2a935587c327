import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/source.ts";
import { FINDINGS_PAGE, findingsPage } from "./findings-page.ts";

test("the page of findings shows the tables of the code: `npm run docs` writes it", () => {
  expect(readFileSync(join(ROOT, FINDINGS_PAGE), "utf8")).toBe(findingsPage());
});
