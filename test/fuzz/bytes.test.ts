/** What reads bytes and judges nothing but their form. */
import { cborTarget } from "./targets/cbor.ts";
import { messageTargets } from "./targets/messages.ts";
import { x509Targets } from "./targets/x509.ts";
import { fuzzes } from "./fuzzes.ts";

fuzzes("readers", [cborTarget, ...messageTargets, ...x509Targets]);
