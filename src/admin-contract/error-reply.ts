/** How the admin API and `-output json` say that something failed. */
import { z } from "zod";

export const ErrorReply = z.object({
  error: z.object({
    /** Stable: a code of src/fault.ts. */
    code: z.string(),
    message: z.string(),
    /** The command or step to take. */
    next: z.string(),
  }),
});
export type ErrorReply = z.infer<typeof ErrorReply>;
