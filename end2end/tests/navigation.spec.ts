// Navigation between pages, and the state that they keep.

import { batchOf, cancel, finished, launch, launchOverApi, root } from "./quilt";
import { expect, test } from "./server";

test("a launch loads the page of its batch, and the history leads back and forth", async ({ page }) => {
  await page.goto("/?work=color");
  await page.evaluate(() => ((window as any).isFrontPage = true));
  await page.getByRole("radio", { name: "8 × 8" }).check();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/batches\/[0-9a-f]{32}$/);
  await finished(page);
  // A new document, without state of the front page.
  expect(await page.evaluate(() => "isFrontPage" in window)).toBe(false);
  await expect(page).toHaveTitle(/^Done · 64 random colors/);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("64 random colors");
  await page.getByRole("button", { name: "Shortcuts" }).click();
  await page.getByRole("dialog", { name: "Shortcuts" }).getByRole("button", { name: "Close" }).click();
  const first = page.url();

  await page.goBack();
  await expect(page.getByRole("button", { name: "Launch" })).toBeVisible();
  await expect(page).toHaveTitle("Quilt");
  await page.goForward();
  await finished(page);
  expect(page.url()).toBe(first);
  await page.goBack();
  await page.getByRole("radio", { name: "8 × 8" }).check();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL((url) => url.pathname !== "/" && url.href !== first);
  await finished(page);
  expect((await batchOf(page)).status).toBe("finished");
});

test("a command on a batch's own page does not load it again", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [60_000, 60_000] });
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await page.evaluate(() => ((window as any).isSameDocument = true));
  for (const [button, status] of [["Pause", "paused"], ["Resume", "running"]]) {
    await page.getByRole("button", { name: button, exact: true }).click();
    await expect(root(page)).toHaveAttribute("data-status", status);
  }
  await cancel(page);
  await expect(root(page)).toHaveAttribute("data-status", "cancelled");
  expect(await page.evaluate(() => (window as any).isSameDocument)).toBe(true);
});

test("from one batch to the next one nothing is left of the first", async ({ page }) => {
  await launch(page, "8 × 8");
  await finished(page);
  const first = page.url();
  await page.getByRole("button", { name: "Run again" }).click();
  await expect.poll(() => page.url()).not.toBe(first);
  await finished(page);
  await page.goBack();
  await finished(page);
  expect(page.url()).toBe(first);
  await page.goBack();
  await expect(page.getByRole("button", { name: "Launch" })).toBeVisible();
});

test("keys that work wherever the focus is can be switched off, also for the next time", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8);
  await page.goto(`/batches/${id}`);
  await finished(page);
  const goTo = page.getByLabel("Go to");
  const set = async (on: boolean) => {
    await page.getByRole("button", { name: "Shortcuts" }).click();
    const help = page.getByRole("dialog", { name: "Shortcuts" });
    await help.getByRole("checkbox").setChecked(on);
    await help.getByRole("button", { name: "Close" }).click();
  };
  const isFocusedBySlash = async () => {
    await page.getByRole("heading", { level: 1 }).click();
    await page.keyboard.press("/");
    return goTo.evaluate((field) => field === document.activeElement);
  };
  expect(await isFocusedBySlash()).toBe(true);
  await goTo.blur();
  await set(false);
  expect(await isFocusedBySlash()).toBe(false);
  await page.reload();
  await finished(page);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  expect(await isFocusedBySlash()).toBe(false);
  await set(true);
  expect(await isFocusedBySlash()).toBe(true);
});

test("the documentation leads from page to page, and from every page to it", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("navigation", { name: "Site" }).getByRole("link", { name: "Docs" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "The command line" })).toBeVisible();
  const pages = page.getByRole("navigation", { name: "Documentation" }).getByRole("link");
  for (let place = 0; place < (await pages.count()); place++) {
    await pages.nth(place).click();
    await expect(pages.nth(place)).toHaveAttribute("aria-current", "page");
    await expect(page.getByRole("article").getByRole("heading", { level: 1 })).toBeVisible();
  }
  expect((await page.goto("/docs/nothing"))?.status()).toBe(404);
});
