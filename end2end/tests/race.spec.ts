// The race, replays, and links to a view.

import type { Locator, Page } from "@playwright/test";
import { banner, figure, finished, launchOverApi, root } from "./quilt";
import { expect, test } from "./server";

/** Shows the workers of the only node, of which there may be too many to be shown from the start. */
async function openWorkers(workers: Locator): Promise<void> {
  const node = workers.getByRole("button", { name: /workers?$/ });
  await expect(node).toBeVisible();
  if ((await node.getAttribute("aria-expanded")) === "false") await node.click();
}

test("the race tells who ran what, and who is still on the way", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 4, 4, { duration_ms: [100, 200] });
  const slow = await launchOverApi(page.request, 1, 1, { duration_ms: [60_000, 60_000] });
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  await expect(page.getByRole("img", { name: /^16 squares done in/ })).toBeVisible();
  await expect(page.getByRole("img", { name: /^Attempts by duration/ })).toBeVisible();
  const workers = page.getByRole("region", { name: "Workers" });
  await openWorkers(workers);
  await expect(workers.locator(".lane-name").filter({ hasText: /-\d+$/ }).first()).toBeVisible();
  await expect(banner(page)).toContainText("after the median");
  await page.goto(`/batches/${slow.id}`);
  await expect(page.getByRole("region", { name: "Progress" })).toContainText("1 of 1,024");
});

test("a replay skips the time in which nothing ran, and counts follow its moment", async ({ page }) => {
  await page.goto("/");
  const notBefore = new Date(Date.now() + 4_000).toISOString();
  const work = { failure_rate: 0.5, duration_ms: [0, 20] };
  const batch = await launchOverApi(page.request, 8, 8, work, { attempts: 1, not_before: notBefore });
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  await page.getByRole("button", { name: "Retry failed" }).click();
  await expect(root(page)).toHaveAttribute("data-lap", "2");
  await finished(page);
  const done = await figure(page, "Done").textContent();
  await page.getByRole("button", { name: "Replay" }).click();
  await page.getByRole("button", { name: "Pause replay" }).click();
  const moment = page.getByRole("slider", { name: "Moment of the replay" });
  // The batch waited for four seconds before it started.
  expect(Number(await moment.getAttribute("max"))).toBeLessThan(3_000);
  await moment.press("Home");
  await expect(figure(page, "Done")).toHaveText("0");
  await expect(moment).toHaveAttribute("aria-valuetext", /^Lap 1 · /);
  await expect(page.getByRole("img", { name: /^0 squares done in/ })).toBeVisible();
  await expect(page.getByRole("group", { name: "Show only" }).getByRole("button", { name: /^done/ })).toHaveText("done 0");
  await moment.press("End");
  await expect(figure(page, "Done")).toHaveText(done!);
  await expect(moment).toHaveAttribute("aria-valuetext", /^Lap 2 · /);
  await page.getByRole("button", { name: "End replay" }).click();
  await expect(figure(page, "Done")).toHaveText(done!);
});

test("a journal is downloaded once, for the squares, the race and the replay", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 64, 64);
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  const journals: number[] = [];
  let received = 0;
  page.on("response", async (response) => {
    if (response.url().includes("/journal?")) journals.push((await response.request().sizes()).responseBodySize);
  });
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => (received += payload.length)));
  await page.reload();
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await expect(page.getByRole("grid")).toHaveAttribute("data-painted", "");
  await expect(page.getByRole("img", { name: /^4,096 squares done in/ })).toBeVisible();
  await page.getByRole("button", { name: "Replay" }).click();
  await expect(page.getByRole("button", { name: "Pause replay" })).toBeVisible();
  await expect.poll(() => journals.length).toBe(2);
  // The colors of 4,096 squares take 12 kB.
  expect(journals[0]).toBeGreaterThan(12_000);
  // The end of an empty body that is sent in chunks.
  expect(journals[1]).toBeLessThan(16);
  expect(received).toBeLessThan(4_096);
});

test("a link shows the same part of the quilt", async ({ page, context }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 256, 256);
  await page.goto(`/batches/${batch.id}?zoom=12&at=200.00,100.50`);
  await expect(root(page)).toHaveAttribute("data-zoom", "12.00");
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const transform = (of: Page) => of.locator("canvas.bitmap").evaluate((canvas) => (canvas as HTMLElement).style.transform);
  const start = await transform(page);
  const { x, y, width, height } = (await page.getByRole("grid").boundingBox())!;
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 + 60, y + height / 2 - 36, { steps: 5 });
  await page.mouse.up();
  await expect.poll(() => transform(page)).not.toBe(start);
  // 60 px are five columns, and 36 px three rows.
  await expect(page).toHaveURL(/\?zoom=12\.00&at=20[23]\.\d\d,95\.\d\d$/);
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(root(other)).toHaveAttribute("data-zoom", "12.00");
  await expect.poll(() => transform(other)).toBe(await transform(page));
});

test("a square is found by its row and column, or its index", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8);
  await page.goto(`/batches/${id}`);
  await finished(page);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const goTo = page.getByLabel("Go to");
  const notice = page.getByRole("status", { name: "Notice" });
  await goTo.fill("abc");
  await goTo.press("Enter");
  await expect(notice).toContainText("That is not a square.");
  for (const [typed, index] of [["3,4", 28], ["3 5", 29], ["3;6", 30], ["3 × 7", 31], ["42", 42]] as const) {
    await goTo.fill(typed);
    await goTo.press("Enter");
    await expect(page.getByRole("gridcell").nth(index)).toBeFocused();
    await expect(notice).toBeEmpty();
  }
  await goTo.fill("64");
  await goTo.press("Enter");
  await expect(notice).toHaveText("There is no such square.");
});

test("the time axis selects the squares that ended then", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [50, 200] }, { concurrency: 8 });
  await page.goto(`/batches/${id}`);
  await finished(page);
  const dimmed = page.locator("[role=gridcell][data-dimmed]");
  const [start, end] = ["Start", "End"].map((name) => page.getByRole("slider", { name: `${name} of the selected time` }));
  const curve = page.getByRole("img", { name: /^64 squares done in/ });
  await curve.scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await curve.boundingBox())!;
  await page.mouse.move(x + width * 0.25, y + height / 2);
  await expect(page.getByText(/^At .+: \d+ squares? done$/)).toBeVisible();
  await page.mouse.down();
  await page.mouse.move(x + width * 0.5, y + height / 2, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/\?during=\d+-\d+$/);
  await expect.poll(() => dimmed.count()).toBeGreaterThan(16);
  expect(await dimmed.count()).toBeLessThan(64);
  await expect(page.getByText(/^Selected: squares that ended from/)).toBeVisible();
  const values = async () => [Number(await start.inputValue()), Number(await end.inputValue())];
  // The handles have 200 steps.
  const [from, to] = await values();
  expect(Math.abs(from - 50)).toBeLessThanOrEqual(2);
  expect(Math.abs(to - 100)).toBeLessThanOrEqual(2);
  // Whoever opens the link sees the same.
  await page.reload();
  await expect.poll(() => dimmed.count()).toBeGreaterThan(16);
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(dimmed).toHaveCount(0);
  await start.focus();
  await page.keyboard.press("End");
  await expect(dimmed).not.toHaveCount(0);
  await expect(start).toHaveAttribute("aria-valuetext", /\d+ (ms|s)$/);
  await page.keyboard.press("Escape");
  await expect(dimmed).toHaveCount(0);
  await expect(page).toHaveURL(/\/batches\/[0-9a-f]{32}$/);
});

test("the workers of a node are one tab stop, and arrow keys lead to them", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [100, 100] }, { concurrency: 4 });
  await page.goto(`/batches/${id}`);
  const workers = page.getByRole("region", { name: "Workers" });
  const node = workers.getByRole("button", { name: /workers?$/ });
  await expect(node).toBeVisible();
  await openWorkers(workers);
  await expect(node).toHaveAttribute("aria-expanded", "true");
  expect(await workers.locator("button:not([tabindex='-1'])").count()).toBe(1);
  await node.focus();
  await node.press("Enter");
  await expect(node).toHaveAttribute("aria-expanded", "false");
  await expect(node).toBeFocused();
});
