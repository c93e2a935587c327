/**
 * The same cases in every run, so that a mutant that dies once dies every time; and a law that runs
 * thousands of cases stops early, since a mutant that lives makes all of them run.
 */
import * as fc from "fast-check";

fc.configureGlobal({ seed: 1, interruptAfterTimeLimit: 300 });
