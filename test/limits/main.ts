/** Writes the pages that are made from tables of the code. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FINDINGS_PAGE, findingsPage } from "../docs/findings-page.ts";
import { ROOT } from "../tidy/source.ts";
import { LIMITS_PAGE, limitsPage } from "./page.ts";

writeFileSync(join(ROOT, LIMITS_PAGE), limitsPage());
writeFileSync(join(ROOT, FINDINGS_PAGE), findingsPage());
