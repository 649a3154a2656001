// A batch from launch to finish line, on the page.

import { banner, batchOf, cancel, colorsOfApi, colorsOnPage, events, figure, finished, launch, launchOverApi, root, squares, STATUS } from "./quilt";
import { expect, test } from "./server";

test("64 squares fill in, and one banner comes", async ({ page }) => {
  // Record all banners, not only the last one.
  await page.addInitScript(() => {
    const seen = ((window as any).bannersSeen = [] as string[]);
    new MutationObserver((records) => {
      for (const record of records) {
        for (const node of record.addedNodes) {
          const element = node instanceof HTMLElement ? node : null;
          const banner = element?.matches("[data-banner]") ? element : element?.querySelector("[data-banner]");
          if (banner) seen.push(banner.textContent!);
        }
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [50, 800] }, { concurrency: 8 });
  // The batch is paused, so it does not finish before the checks.
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  const connected = page.waitForEvent("websocket");
  await page.goto(`/batches/${id}`);
  const socket = await connected;
  await expect(squares(page)).toHaveCount(64);
  await expect(banner(page)).toHaveCount(0);
  await page.getByRole("button", { name: "Resume" }).click();
  await finished(page);
  await expect(squares(page, "done")).toHaveCount(64);
  await expect(banner(page)).toHaveCount(1);
  await expect(page.getByRole("status", { name: "Finish" })).toContainText("All 64 done");
  await expect(root(page)).toHaveAttribute("data-done", "64");
  // A later frame might add a second banner, so wait for two heartbeats.
  for (let beat = 0; beat < 2; beat++) {
    await socket.waitForEvent("framereceived", ({ payload }) => Buffer.from(payload)[0] === STATUS);
  }
  expect(await page.evaluate(() => (window as any).bannersSeen.length)).toBe(1);
});

test("the page shows the colors of the API", async ({ page }) => {
  await launch(page, "8 × 8", { shortest: 0, longest: 100 });
  await finished(page);
  const colors = await colorsOnPage(page);
  expect(colors).toEqual(await colorsOfApi(page.request, await batchOf(page)));
  expect(new Set(colors).size).toBeGreaterThan(32);
  for (const color of colors) {
    expect(color).toMatch(/^#[0-9A-F]{6}$/);
  }
});

test("squares arrive in an order of their own in each batch, and not row by row", async ({ page }) => {
  await page.goto("/");
  const arrivals: string[] = [];
  for (let number = 0; number < 2; number++) {
    const { id } = await launchOverApi(page.request, 8, 8);
    await page.goto(`/batches/${id}`);
    await finished(page);
    const order = (await events(page.request, id)).filter(({ event }) => event === "square").map(({ data }) => data.row * 8 + data.column);
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(64).keys()]);
    expect(order).not.toEqual([...Array(64).keys()]);
    arrivals.push(order.join());
  }
  expect(arrivals[0]).not.toBe(arrivals[1]);
});

test("squares are painted on the page in the order of the events", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4, { duration_ms: [100, 3000] }, { concurrency: 2 });
  // The batch is paused, so it does not finish before the checks.
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await page.getByRole("grid").evaluate(async (grid) => {
    // Squares that had already settled are painted at once, in reading order.
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    const painted = ((window as any).painted = [] as string[]);
    const note = (cell: Element) => painted.push(cell.getAttribute("aria-label")!.replace(/:.*/, ""));
    new MutationObserver((records) => {
      for (const { target } of records) {
        if ((target as Element).getAttribute("data-state") === "done") note(target as Element);
      }
    }).observe(grid, { attributes: true, attributeFilter: ["data-state"], subtree: true });
  });
  expect((await page.request.post(`/api/batches/${id}/resume`)).status()).toBe(200);
  await finished(page);
  const order = (await events(page.request, id)).filter(({ event }) => event === "square").map(({ data }) => `Row ${data.row}, column ${data.column}`);
  const painted: string[] = await page.evaluate(() => (window as any).painted);
  expect(painted.length).toBeGreaterThan(4);
  expect(painted).toEqual(order.slice(-painted.length));
});

test("failures are counted in the banner, and a retry mends them", async ({ page }) => {
  await launch(page, "8 × 8", { failures: 40, attempts: 1, shortest: 0, longest: 50 });
  await finished(page);
  const { done, failed } = await batchOf(page);
  expect(failed).toBeGreaterThan(0);
  await expect(banner(page)).toContainText(`${failed} of 64 failed`);
  await expect(squares(page, "failed")).toHaveCount(failed);
  await expect(squares(page, "failed").first()).toHaveAccessibleName(/failed, unlucky/);
  const before = await colorsOnPage(page);

  // Each lap draws new random failures, so a few laps are enough.
  for (let lap = 2; (await batchOf(page)).failed > 0; lap++) {
    await page.getByRole("button", { name: "Retry failed" }).click();
    await expect(root(page)).toHaveAttribute("data-lap", String(lap));
    await finished(page);
  }
  await expect(banner(page)).toContainText("All 64 done");
  await expect(page.getByRole("button", { name: "Retry failed" })).toHaveCount(0);
  await expect(squares(page, "done")).toHaveCount(64);
  const after = await colorsOnPage(page);
  for (const [index, color] of before.entries()) {
    if (color !== null) expect(after[index]).toBe(color);
  }
});

test("one square that has failed can be retried alone", async ({ page }) => {
  await launch(page, "8 × 8", { failures: 60, attempts: 1, shortest: 0, longest: 0 });
  await finished(page);
  const before = await batchOf(page);
  await squares(page, "failed").first().click();
  const chosen = (await squares(page, "failed").first().getAttribute("aria-label"))!;
  const name = new RegExp(`^${/^Row \d+, column \d+/.exec(chosen)![0]}:`);
  const details = page.getByRole("region", { name: "Square" });
  // The other squares do not change in any of these laps.
  for (let lap = 2; (await page.getByRole("gridcell", { name }).getAttribute("data-state")) === "failed"; lap++) {
    await details.getByRole("button", { name: "Retry this" }).click();
    await expect(root(page)).toHaveAttribute("data-lap", String(lap));
    await finished(page);
    await expect(details.getByRole("listitem")).toHaveCount(lap);
  }
  await expect(details.getByRole("button", { name: "Retry this" })).toHaveCount(0);
  const after = await batchOf(page);
  expect([after.done, after.failed]).toEqual([before.done + 1, before.failed - 1]);
  await expect(squares(page, "failed")).toHaveCount(after.failed);
});

test("a batch that is cancelled keeps what is done", async ({ page }) => {
  await launch(page, "8 × 8", { shortest: 100, longest: 60_000 });
  await expect(squares(page, "done").first()).toBeVisible();
  await cancel(page);
  await expect(root(page)).toHaveAttribute("data-status", "cancelled");
  await expect(banner(page)).toContainText(/Cancelled at \d+ of 64/);
  await expect(page.getByRole("button", { name: "Cancel" })).toHaveCount(0);
  const { done } = await batchOf(page);
  await expect(squares(page, "done")).toHaveCount(done);
});

test("a batch that was cancelled goes on with the squares that were not run", async ({ page }) => {
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [700, 900] }, { concurrency: 3 });
  await page.goto(`/batches/${id}`);
  await expect.poll(async () => (await batchOf(page)).done).toBeGreaterThan(0);
  await cancel(page);
  await expect(root(page)).toHaveAttribute("data-status", "cancelled");
  const { done } = await batchOf(page);
  await expect(squares(page, "not-run")).toHaveCount(64 - done);
  await expect(squares(page, "not-run").first()).toHaveAccessibleName(/: not run$/);
  await expect(page.getByRole("group", { name: "Show only" }).getByRole("button", { name: /^not run/ })).toHaveText(`not run ${64 - done}`);
  await expect(figure(page, "Not run")).toHaveText(String(64 - done));
  await expect(figure(page, "Remaining")).toHaveCount(0);
  await page.getByText("Results", { exact: true }).click();
  await page.getByLabel("Show", { exact: true }).selectOption("not run");
  await expect(page.getByRole("status", { name: "Rows" })).toHaveText(`${64 - done} of 64 squares`);
  await expect(page.getByRole("cell", { name: "not run" }).first()).toBeVisible();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(banner(page)).toContainText("All 64 done", { timeout: 60_000 });
  await expect(squares(page, "done")).toHaveCount(64);
  await expect(page.getByRole("button", { name: "Continue" })).toHaveCount(0);
  expect((await batchOf(page)).lap).toBe(2);
});

test("a batch that is over before its page arrives shows no banner without its squares", async ({ page }) => {
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector("[data-banner]")) return;
      observer.disconnect();
      const count = () => ((window as any).pendingAtBanner = document.querySelectorAll("[role=gridcell][data-state=pending]").length);
      // Count when the frame is drawn, because that is what a visitor sees.
      requestAnimationFrame(() => setTimeout(count));
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 64, 64);
  await events(page.request, id);
  await page.reload();
  await page.getByRole("region", { name: "Your batches" }).getByRole("link").click();
  await finished(page);
  await page.waitForFunction(() => "pendingAtBanner" in window);
  expect(await page.evaluate(() => (window as any).pendingAtBanner)).toBe(0);
});

test("run again launches a batch like this one", async ({ page }) => {
  await launch(page, "8 × 8", { shortest: 0, longest: 10 });
  await finished(page);
  const first = page.url();
  const colors = await colorsOnPage(page);
  await page.getByRole("button", { name: "Run again" }).click();
  await page.waitForURL((url) => url.href !== first);
  await finished(page);
  await expect(squares(page, "done")).toHaveCount(64);
  expect(await colorsOnPage(page)).not.toEqual(colors);
});

test("1,024 squares fill in as elements, and nothing is missing", async ({ page }) => {
  await launch(page, "32 × 32", { shortest: 0, longest: 20 });
  await expect(squares(page)).toHaveCount(1024);
  await finished(page);
  await expect(squares(page, "done")).toHaveCount(1024);
  expect(await colorsOnPage(page)).toEqual(await colorsOfApi(page.request, await batchOf(page)));
});

test("the batches of this visitor are listed", async ({ page }) => {
  await launch(page, "8 × 8", { shortest: 0, longest: 10 });
  await finished(page);
  await page.getByRole("link", { name: "Quilt", exact: true }).click();
  const list = page.getByRole("region", { name: "Your batches" });
  await expect(list.getByRole("link")).toHaveCount(1);
  await expect(list.getByRole("link")).toContainText("Done");
  await list.getByRole("link").click();
  await expect(squares(page, "done")).toHaveCount(64);
});

test("a launch that is refused says why", async ({ page }) => {
  await page.goto("/?work=color");
  await page.getByText("Failures and limits").click();
  await page.getByLabel("Shortest task").fill("5");
  await page.getByLabel("Longest task").fill("1");
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(page.getByText("Shortest task (5 s) must not be longer than Longest task (1 s).")).toBeVisible();
  await expect(page.getByLabel("Shortest task")).toBeFocused();
  await expect(page).toHaveURL("/?work=color");
});

test("an address that leads nowhere says so", async ({ page }) => {
  for (const path of [`/batches/${"0".repeat(32)}`, "/batches/x", "/nowhere"]) {
    const response = await page.goto(path);
    expect(response!.status(), path).toBe(404);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Not found");
  }
});
