/** Writes docs/limits.md. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../tidy/source.ts";
import { LIMITS_PAGE, limitsPage } from "./page.ts";

writeFileSync(join(ROOT, LIMITS_PAGE), limitsPage());
