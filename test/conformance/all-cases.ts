/** Every case, in the order of docs/protocol.md. */
import { bytesCases } from "./cases/bytes.ts";
import { certificateCases } from "./cases/certificates.ts";
import { chainCases } from "./cases/chains.ts";
import { firstCases } from "./cases/first.ts";
import { forkCases } from "./cases/forks.ts";
import { headCases } from "./cases/heads.ts";
import { limitCases } from "./cases/limits.ts";
import { recoveryCases } from "./cases/recovery.ts";
import { stepCases } from "./cases/steps.ts";
import type { ConformanceCase } from "./conformance-case.ts";

export const CASES: readonly ConformanceCase[] = [
  ...bytesCases,
  ...firstCases,
  ...stepCases,
  ...recoveryCases,
  ...certificateCases,
  ...chainCases,
  ...forkCases,
  ...limitCases,
  ...headCases,
];
