/**
 * Prints `N passed, N failed, N skipped` as the run's last line, which is what CI reads.
 * It is printed when the process exits, so a file that failed to load or a worker that was killed
 * still counts: anything that went wrong outside a test is one failure.
 */
import process from "node:process";
import type { Reporter, TestModule } from "vitest/node";

export default class ClosingLine implements Reporter {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  onInit(): void {
    process.once("exit", () => {
      process.stdout.write(
        `\n${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped\n`,
      );
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    for (const module of modules) {
      this.#failed += module.errors().length;
      // A hook that failed: its tests are reported as skipped.
      for (const suite of module.children.allSuites()) this.#failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") this.#passed += 1;
        else if (state === "skipped") this.#skipped += 1;
        else this.#failed += 1;
      }
    }
    this.#failed += errors.length;
  }
}
