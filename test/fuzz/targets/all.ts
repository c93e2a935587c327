/** Every target, and how many inputs each gets of a run's. */
import type { TargetSource } from "../target.ts";
import { adminTarget } from "./admin.ts";
import { cborTarget } from "./cbor.ts";
import { fileTargets } from "./files.ts";
import { messageTargets } from "./messages.ts";
import { importTarget, receivedTarget, recordTarget } from "./record.ts";
import { syncTargets } from "./sync.ts";
import { x509Targets } from "./x509.ts";

export const TARGETS: readonly TargetSource[] = [
  cborTarget,
  ...messageTargets,
  recordTarget,
  receivedTarget,
  importTarget,
  ...x509Targets,
  ...fileTargets,
  ...syncTargets,
  adminTarget,
];
