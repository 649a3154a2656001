// The page of a batch: what it is, how it ended, and what is where.

import type { Page } from "@playwright/test";
import { banner, batchOf, finished, launchOverApi, root, squares } from "./quilt";
import { expect, test } from "./server";

async function open(page: Page, rows: number, columns: number, work: object = {}, more: object = {}): Promise<string> {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, rows, columns, work, more);
  await page.goto(`/batches/${id}`);
  return id;
}

async function live(page: Page): Promise<void> {
  await expect(root(page)).toHaveAttribute("data-connection", "live");
}

test("a batch is named, dated and described", async ({ page, browser }) => {
  const id = await open(page, 4, 4, { duration_ms: [5, 20] }, { title: "Nightly check", labels: { team: "web" } });
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Nightly check");
  const head = page.getByRole("banner").or(page.locator("header.batch-head")).filter({ hasText: "launched" });
  await expect(head).toContainText("16 color tasks, 4 × 4");
  await expect(head).toContainText("by you");
  const moment = head.locator("time");
  await expect(moment).toHaveAttribute("title", /UTC$/);
  await expect(moment).toHaveAttribute("datetime", (await batchOf(page) as any).created_at);
  await head.getByText("Parameters and limits").click();
  await expect(head.getByText("Shortest task and longest task")).toBeVisible();
  await expect(head.getByText("5, 20")).toBeVisible();
  await expect(head.getByText("curl")).toContainText('"title":"Nightly check"');
  await expect(head.getByText("quilt watch")).toContainText(page.url());
  await expect(page.locator('meta[property="og:title"]')).toHaveAttribute("content", "Nightly check");
  const picture = (await page.locator('meta[property="og:image"]').getAttribute("content"))!;
  expect((await page.request.get(picture)).headers()["content-type"]).toBe("image/png");
  const stranger = await browser.newPage({ baseURL: new URL(page.url()).origin });
  await stranger.goto(`/batches/${id}`);
  await expect(stranger.locator("header.batch-head")).toContainText("by someone else: you can watch it, but not control it");
  await stranger.close();
});

test("work names a batch that has no title", async ({ page }) => {
  await open(page, 8, 8);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("64 random colors");
  const response = await page.request.post("/api/batches", { data: { work: { kind: "render", preset: "seahorse" }, rows: 4, columns: 4 } });
  expect((await response.json()).title).toBe("Seahorse valley");
});

test("each end has its own words, and only success has confetti", async ({ page }) => {
  for (const [work, more, condition, headline] of [
    [{ duration_ms: [50, 400] }, {}, "Done", "All 16 done"],
    [{ duration_ms: [50, 400], failure_rate: 1 }, { attempts: 1 }, "Failed", "All 16 failed"],
    [{ duration_ms: [50, 400], failure_rate: 0.5 }, { attempts: 1, seed: 3 }, "Partly failed", /^\d+ of 16 failed$/],
    [{ duration_ms: [50, 400], permanent_rate: 1 }, { tolerated_failures: 0.1, concurrency: 2 }, "Stopped", /^Stopped at \d+ of 16$/],
  ] as const) {
    const id = await open(page, 4, 4, work, more);
    await live(page);
    await expect(banner(page).getByRole("heading")).toHaveText(headline, { timeout: 30_000 });
    await expect(page.locator(".condition")).toHaveText(condition);
    await expect(page).toHaveTitle(new RegExp(`^${condition} · `));
    const wasWatched = condition === "Done";
    // A batch that ended before the page was connected has no confetti either.
    const confetti = await page.locator(".confetti").count();
    expect(confetti, `${id}: ${condition}`).toBeLessThanOrEqual(wasWatched ? 1 : 0);
  }
});

test("failures are grouped by reason, which selects and retries them", async ({ page }) => {
  await open(page, 16, 16, { failure_rate: 0.2, panic_rate: 0.1 }, { attempts: 1, seed: 5 });
  await finished(page);
  const { failed } = await batchOf(page);
  const panel = page.getByRole("region", { name: "Failures" });
  const reasons = panel.getByRole("button", { name: /×/ });
  await expect(reasons).toHaveCount(2);
  const counts = (await reasons.allTextContents()).map((text) => Number(/^[\d,]+/.exec(text)![0]));
  expect(counts[0]).toBeGreaterThan(counts[1]);
  expect(counts[0] + counts[1]).toBe(failed);
  await reasons.last().click();
  await expect(reasons.last()).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("[role=gridcell]:not([data-dimmed])")).toHaveCount(counts[1]);
  // The table has the same squares, and so has the page of whoever opens the link.
  await page.getByRole("heading", { name: "Results" }).click();
  const rows = page.getByRole("status", { name: "Rows" });
  await expect(rows).toContainText(String(counts[1]));
  await expect(page).toHaveURL(/[?&]reason=/);
  const other = await page.context().newPage();
  await other.goto(page.url());
  await expect(other.getByRole("region", { name: "Failures" }).getByRole("button", { name: /×/ }).last()).toHaveAttribute("aria-pressed", "true");
  await expect(other.locator("[role=gridcell]:not([data-dimmed])")).toHaveCount(counts[1]);
  await other.getByRole("button", { name: "done" }).click();
  await expect(other).not.toHaveURL(/reason=/);
  await other.close();
  await panel.getByText("With other limits").click();
  await panel.getByLabel("Max attempts per task").fill("20");
  await panel.getByRole("button", { name: "Retry these" }).click();
  await expect(root(page)).toHaveAttribute("data-lap", "2");
  await finished(page);
  expect((await batchOf(page)).failed).toBeLessThan(failed);
});

test("the details of a square are in view, next in the tab order, and say why it waits", async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 800 });
  const id = await open(page, 16, 16, { duration_ms: [60_000, 60_000] }, { concurrency: 2 });
  await live(page);
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  await squares(page).first().focus();
  await page.keyboard.press("Enter");
  const inspector = page.getByRole("region", { name: "Square" });
  await expect(inspector.getByRole("heading")).toHaveText("Row 0, column 0");
  await expect(inspector).toContainText(/pending: .*paused/i);
  await expect(inspector).toBeInViewport({ ratio: 1 });
  await page.keyboard.press("Tab");
  await expect(inspector.getByRole("button", { name: "Close" })).toBeFocused();
});

for (const [device, viewport] of Object.entries({ desktop: { width: 1366, height: 768 }, phone: { width: 390, height: 844 } })) {
  test(`nothing moves at the finish line, ${device}`, async ({ page }) => {
    await page.setViewportSize(viewport);
    await open(page, 16, 16, { duration_ms: [20, 600], failure_rate: 0.1 }, { attempts: 1, concurrency: 64 });
    await live(page);
    await page.evaluate(() => {
      (window as any).moved = [];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as any[]) {
          (window as any).moved.push([entry.value, ...entry.sources.map(({ node }: any) => node?.className ?? node?.nodeName)]);
        }
      }).observe({ type: "layout-shift" });
    });
    const before = await page.getByRole("grid").boundingBox();
    await finished(page);
    await expect(banner(page)).toContainText("Receipt");
    expect(await page.getByRole("grid").boundingBox()).toEqual(before);
    const moved: [number, ...string[]][] = await page.evaluate(() => (window as any).moved);
    expect(moved.reduce((sum, [value]) => sum + value, 0), JSON.stringify(moved)).toBeLessThan(0.02);
  });
}

test("a quilt of any shape is readable and bounded", async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 800 });
  for (const [rows, columns] of [[1, 500], [500, 1], [3, 1000], [4096, 1], [1, 16]]) {
    await open(page, rows, columns);
    await finished(page);
    const box = (await page.getByRole("grid").boundingBox())!;
    expect(box.width, `${rows} x ${columns}`).toBeGreaterThan(250);
    expect(box.x + box.width, `${rows} x ${columns}`).toBeLessThanOrEqual(1280);
    expect(box.height, `${rows} x ${columns}`).toBeLessThan(800);
    await page.getByLabel("Go to").fill(`${rows - 1},${columns - 1}`);
    await page.keyboard.press("Enter");
    await expect(page.locator("[role=gridcell]:focus")).toHaveAccessibleName(new RegExp(`^Row ${rows - 1}, column ${columns - 1}: done`));
    // The arrow keys follow what is on the screen.
    await page.keyboard.press("ArrowLeft");
    await expect(page.locator("[role=gridcell]:focus")).not.toHaveAccessibleName(new RegExp(`^Row ${rows - 1}, column ${columns - 1}:`));
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1280);
  }
});

test("the quilt is as large as the window allows, and fills the screen with one key", async ({ page }) => {
  for (const [width, height] of [[1366, 650], [1920, 1080], [2560, 1440]]) {
    await page.setViewportSize({ width, height });
    await open(page, 16, 16);
    await finished(page);
    const side = (await page.getByRole("grid").boundingBox())!.width;
    expect(side, `${width} x ${height}`).toBeGreaterThanOrEqual(height - 200 - 1);
  }
  await live(page);
  await page.keyboard.press("w");
  await expect.poll(() => page.evaluate(() => document.fullscreenElement?.querySelector("[role=grid]") !== null)).toBe(true);
});

test("a picture is displayed over the squares that drew it", async ({ page }) => {
  await page.goto("/");
  const file = { name: "quilt.png", mimeType: "image/png", buffer: await page.screenshot() };
  const work = { work: { kind: "image", width: 64, height: 48 }, rows: 6, columns: 8 };
  const response = await page.request.post("/api/batches", { multipart: { launch: JSON.stringify(work), file } });
  await page.goto(`/batches/${(await response.json()).id}`);
  await finished(page);
  await page.getByRole("button", { name: "Picture", exact: true }).click();
  const picture = page.getByRole("img", { name: "The picture that the tasks drew" });
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(64);
  const [over, under] = [await picture.boundingBox(), await page.getByRole("grid").boundingBox()];
  expect(over!.width).toBeCloseTo(under!.width, 0);
  // The squares have the proportions of the picture.
  expect(under!.width / under!.height).toBeCloseTo(64 / 48, 1);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("quilt.png at 64 × 48 px");
  await squares(page).nth(9).click();
  await expect(page.getByRole("region", { name: "Square" }).getByRole("heading")).toHaveText("Row 1, column 1");
});

test("a page that is cut off is marked as stale", async ({ page, server }) => {
  await open(page, 8, 8, { duration_ms: [60_000, 60_000] });
  await live(page);
  await server.stop("SIGKILL");
  await expect(page.getByRole("status", { name: "Connection" })).toContainText(/Numbers as of \d+:\d\d:\d\d/);
  await expect(page).toHaveTitle(/^⚠ /);
  const pause = page.getByRole("button", { name: "Pause" });
  await expect(pause).toHaveAttribute("aria-disabled", "true");
  await expect(pause).toHaveAttribute("title", /cannot be reached/);
  const elapsed = page.getByRole("region", { name: "Progress" }).getByText(/^\d[\d.]* (ms|s)$/).first();
  const before = await elapsed.textContent();
  // A clock that went on would be further by the time of two attempts to connect.
  for (let attempt = 0; attempt < 2; attempt++) await page.waitForEvent("websocket");
  expect(await elapsed.textContent()).toBe(before);
  await server.start();
  await live(page);
  await expect(page).not.toHaveTitle(/⚠/);
});

test("cancelling and removing ask first, and Escape changes nothing", async ({ page }) => {
  const id = await open(page, 8, 8, { duration_ms: [60_000, 60_000] });
  await live(page);
  await page.getByRole("button", { name: "Cancel batch" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("64 squares would not be run");
  await expect(dialog.getByRole("button", { name: "Keep running" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("button", { name: "Cancel batch" })).toBeFocused();
  expect((await batchOf(page)).status).toBe("running");
  await page.getByRole("button", { name: "Cancel batch" }).click();
  await dialog.getByRole("button", { name: "Cancel batch" }).click();
  await expect(banner(page).getByRole("heading")).toHaveText("Cancelled at 0 of 64");
  await expect(banner(page)).toBeFocused();
  await page.getByRole("button", { name: "Remove" }).click();
  await dialog.getByRole("button", { name: "Keep it" }).click();
  expect((await page.request.get(`/api/batches/${id}`)).status()).toBe(200);
});

test("progress is announced at each quarter", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [30, 60] }, { concurrency: 2 });
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  await page.goto(`/batches/${id}`);
  await live(page);
  await page.getByRole("status", { name: "Progress so far" }).evaluate((place) => {
    const said = ((window as any).said = [] as string[]);
    new MutationObserver(() => said.push(place.textContent!)).observe(place, { childList: true, characterData: true, subtree: true });
  });
  await page.getByRole("button", { name: "Resume" }).click();
  await finished(page);
  const said: string[] = await page.evaluate(() => (window as any).said);
  expect(said.filter((text) => text !== "")).toEqual(["25 % settled", "50 % settled", "75 % settled"]);
});

test("squares, bars and choices are visible in high contrast", async ({ page }) => {
  await page.emulateMedia({ forcedColors: "active" });
  await open(page, 4, 4, { failure_rate: 0.3 }, { attempts: 1, seed: 2 });
  await finished(page);
  const color = (await squares(page, "done").first().getAttribute("aria-label"))!.split(", ").pop()!.toLowerCase();
  const shown = await squares(page, "done").first().evaluate((cell) => getComputedStyle(cell).backgroundColor);
  const hex = `#${shown.match(/\d+/g)!.map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
  expect(hex).toBe(color);
  const width = await page.getByRole("progressbar").evaluate((bar) => getComputedStyle(bar).outlineWidth);
  expect(width).not.toBe("0px");
});

test("the theme is chosen in the footer and stays", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/");
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole("group", { name: "Theme" }).getByRole("button", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  expect(await background()).not.toBe(light);
  await open(page, 2, 2);
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByRole("group", { name: "Theme" }).getByRole("button", { name: "System" }).click();
  await expect(page.locator("html")).not.toHaveAttribute("data-theme");
  expect(await background()).toBe(light);
  expect(new URL(page.url()).pathname).toMatch(/^\/batches\//);
});
