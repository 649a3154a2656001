// From the click on "Launch" to the first coloured square and to the banner, as the page sees it. Tasks take no time of
// their own. Prints figures and asserts none.

import { finished } from "../tests/quilt";
import { test } from "../tests/server";

const RUNS = 11;

interface Run {
  first: number;
  banner: number;
  longest: number;
}

for (const size of ["8 × 8", "64 × 64"]) {
  test(size, async ({ page }) => {
    test.setTimeout(120_000);
    const runs: Run[] = [];
    for (let run = 0; run < RUNS; run++) {
      await page.goto("/");
      await page.getByRole("radio", { name: size }).check();
      await page.getByText("Make it harder").click();
      await page.getByLabel("Shortest task").fill("0");
      await page.getByLabel("Longest task").fill("0");
      await page.evaluate(watch);
      await page.getByRole("button", { name: "Launch" }).click();
      await page.waitForURL(/\/batches\//);
      await finished(page);
      await page.waitForFunction(() => (window as any).run.first > 0 && (window as any).run.banner > 0);
      runs.push(await page.evaluate(() => (window as any).run));
    }
    const median = (pick: (run: Run) => number) => Math.round(runs.map(pick).sort((a, b) => a - b)[RUNS >> 1]);
    console.log(
      `\n${size}: median of ${RUNS}: click to first colour ${median((run) => run.first)} ms, ` +
        `to banner ${median((run) => run.banner)} ms, longest task of the main thread ${median((run) => run.longest)} ms`,
    );
  });
}

/** Notes when the button is clicked, and when a frame with the first colour and with the banner was drawn. */
function watch() {
  const run = ((window as any).run = { first: 0, banner: 0, longest: 0 });
  let clicked = 0;
  document.addEventListener("submit", () => (clicked = performance.now()), { capture: true, once: true });
  const drawn = (then: () => void) => requestAnimationFrame(() => setTimeout(then));
  const look = () => {
    if (!run.first && document.querySelector('[role=gridcell][data-state="done"]')) {
      run.first = -1;
      drawn(() => (run.first = performance.now() - clicked));
    }
    if (!run.banner && document.querySelector("[data-banner]")) {
      run.banner = -1;
      drawn(() => (run.banner = performance.now() - clicked));
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state"] });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) run.longest = Math.max(run.longest, duration);
  }).observe({ type: "longtask" });
}
