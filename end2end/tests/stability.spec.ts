// Parts of the page that do not move while others change.

import type { Page } from "@playwright/test";
import { banner, finished, launchOverApi, root, squares } from "./quilt";
import { expect, test } from "./server";

test("a batch that is removed elsewhere shows no second banner", async ({ page, context }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4, { duration_ms: [50, 200] }, { concurrency: 4 });
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await page.getByRole("status", { name: "Finish" }).evaluate((place) => {
    const inserted = ((window as any).inserted = [] as string[]);
    new MutationObserver((records) => {
      for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
        if (node instanceof HTMLElement && (node.matches("[data-banner], .confetti") || node.querySelector(".confetti"))) inserted.push(node.className);
      }
    }).observe(place, { childList: true, subtree: true });
  });
  await page.getByRole("button", { name: "Resume" }).click();
  await finished(page);
  await expect(banner(page)).toHaveCount(1);
  await expect(page.locator(".confetti")).toHaveCount(1);
  const before = await page.evaluate(() => (window as any).inserted.length);
  const removed = await context.request.delete(`/api/batches/${id}`, { headers: { origin: new URL(page.url()).origin } });
  expect(removed.ok()).toBe(true);
  await expect(root(page)).toHaveAttribute("data-connection", "removed");
  await expect(page.getByRole("button", { name: "Run again" })).toHaveCount(0);
  await expect(banner(page)).toHaveCount(1);
  expect(await page.evaluate(() => (window as any).inserted.length)).toBe(before);
});

test("text in the figures can be selected while they change", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 32, 32, { duration_ms: [100, 200] }, { concurrency: 4 });
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const progress = page.getByRole("region", { name: "Progress" });
  await progress.evaluate((region) => {
    const [start, end] = [region.querySelector("dt")!, region.querySelectorAll("dt")[2]];
    getSelection()!.setBaseAndExtent(start.firstChild!, 0, end.firstChild!, 4);
  });
  const selected = () => page.evaluate(() => getSelection()!.toString());
  expect(await selected()).toContain("Done");
  const done = Number(await root(page).getAttribute("data-done"));
  await expect.poll(async () => Number(await root(page).getAttribute("data-done"))).toBeGreaterThan(done + 5);
  expect(await selected()).toContain("Done");
  expect(await selected()).toContain("Rema");
});

test("figures and controls keep their elements while nothing but their words changes", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 32, 32, { duration_ms: [100, 200] }, { concurrency: 4 });
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await expect(page.getByRole("region", { name: "Workers" })).toContainText(/\d+ workers/);
  await page.evaluate(() => {
    for (const element of document.querySelectorAll(".progress-panel *, .batch-tools *, .legend *, .curve *")) (element as any).isOld = true;
  });
  const done = Number(await root(page).getAttribute("data-done"));
  await expect.poll(async () => Number(await root(page).getAttribute("data-done"))).toBeGreaterThan(done + 20);
  const replaced = await page.evaluate(() =>
    [...document.querySelectorAll(".progress-panel *, .batch-tools *, .legend *, .curve *")].filter((element) => !(element as any).isOld).map(({ outerHTML }) => outerHTML),
  );
  expect(replaced).toEqual([]);
});

test("the race goes on while the keyboard is in it", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 32, 32, { duration_ms: [100, 200] }, { concurrency: 2 });
  await page.goto(`/batches/${id}`);
  const workers = page.getByRole("region", { name: "Workers" });
  await expect(workers.getByRole("button").first()).toBeVisible();
  const node = workers.getByRole("button").first();
  await node.focus();
  const tries = async () => {
    const lanes = await workers.locator(".lane-tries").allTextContents();
    return lanes.reduce((sum, lane) => sum + Number(/^[\d,]+/.exec(lane)![0].replaceAll(",", "")), 0);
  };
  const before = await tries();
  await expect.poll(tries).toBeGreaterThan(before + 5);
  await expect(node).toBeFocused();
});

test("a field that is being filled in goes with its batch", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4, { duration_ms: [60_000, 60_000] });
  await page.goto(`/batches/${id}`);
  await page.getByLabel("Concurrency limit").fill("3");
  expect((await page.request.post(`/api/batches/${id}/cancel`)).status()).toBe(200);
  await expect(root(page)).toHaveAttribute("data-status", "cancelled");
  await expect(page.getByLabel("Concurrency limit")).toHaveCount(0);
});

test("the buttons of the zoom keep the keyboard focus", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 64, 64);
  await page.goto(`/batches/${id}`);
  await finished(page);
  const larger = page.getByRole("button", { name: "Larger" });
  await larger.focus();
  await page.evaluate(() => {
    (window as any).blurs = 0;
    document.addEventListener("focusout", () => (window as any).blurs++);
  });
  const zoom = async () => Number(await root(page).getAttribute("data-zoom"));
  const before = await zoom();
  for (let press = 0; press < 3; press++) await page.keyboard.press("Enter");
  await expect.poll(zoom).toBeGreaterThan(before * 3);
  await expect(larger).toBeFocused();
  expect(await page.evaluate(() => (window as any).blurs)).toBe(0);
});

test("a notice that is given twice is announced twice", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4);
  await page.goto(`/batches/${id}`);
  await finished(page);
  const notice = page.getByRole("status", { name: "Notice" });
  await notice.evaluate((place) => {
    (window as any).announced = 0;
    new MutationObserver((records) => {
      for (const { addedNodes } of records) (window as any).announced += addedNodes.length > 0 ? 1 : 0;
    }).observe(place, { childList: true, subtree: true });
  });
  const goTo = page.getByLabel("Go to");
  for (let times = 1; times <= 2; times++) {
    await goTo.fill("nowhere");
    await goTo.press("Enter");
    await expect(notice).toHaveText("That is not a square. Type a row and a column, such as 3,4, or an index.");
    await expect.poll(() => page.evaluate(() => (window as any).announced)).toBe(times);
  }
  await expect(notice).toBeEmpty({ timeout: 20_000 });
});

test("nothing moves at the finish line", async ({ page }) => {
  await page.addInitScript(() => {
    (window as any).shifts = [] as number[];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as any[]) if (!entry.hadRecentInput) (window as any).shifts.push(entry.value);
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [100, 600] }, { concurrency: 8 });
  await page.goto(`/batches/${id}`);
  await expect(squares(page, "done").nth(8)).toBeVisible();
  await page.evaluate(() => ((window as any).shifts.length = 0));
  await finished(page);
  await expect(banner(page)).toBeVisible();
  await expect(page.getByRole("button", { name: "Replay" })).toBeVisible();
  const shifts: number[] = await page.evaluate(() => (window as any).shifts);
  expect(shifts.reduce((sum, shift) => sum + shift, 0)).toBeLessThan(0.02);
});

/** Keeps the page from coming alive until the returned function is called. */
async function hold(page: Page): Promise<() => void> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/*.wasm", async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

test("what is changed in a form before the page is alive counts", async ({ page }) => {
  const release = await hold(page);
  await page.goto("/?work=render");
  await page.getByRole("radio", { name: "Dragon (Julia)" }).check();
  await page.getByText("Advanced options").click();
  await page.getByLabel("Samples per side").fill("1");
  release();
  await expect(page.getByText("1 changed")).toBeVisible();
  await expect(page.getByRole("radio", { name: "Dragon (Julia)" })).toBeChecked();
  await expect(page.getByLabel("Samples per side")).toHaveValue("1");
});

test("what is opened, chosen and pressed before the page is alive counts", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8);
  const release = await hold(page);
  await page.goto(`/batches/${id}`);
  await finished(page);
  await page.getByLabel("Color by").selectOption("duration");
  await page.getByText("Results", { exact: true }).click();
  await page.getByLabel("Show", { exact: true }).selectOption("failed");
  await page.getByLabel("Find").fill("7, 7");
  await page.getByRole("group", { name: "Show only" }).getByRole("button", { name: "done" }).click();
  await squares(page).first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  release();
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await expect(page.getByRole("region", { name: "Square" })).toContainText("Row 1, column 1");
  await expect(page).toHaveURL(/by=duration.*only=done/);
  await expect(page.getByLabel("Color by")).toHaveValue("duration");
  await expect(page.getByRole("status", { name: "Rows" })).toContainText("0 of 64 squares");
  await expect(page.getByLabel("Find")).toHaveValue("7, 7");
});

test("squares on a canvas are seen before the page is alive", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 64, 64, { duration_ms: [0, 50] }, { concurrency: 8 });
  await expect.poll(async () => (await (await page.request.get(`/api/batches/${id}`)).json()).done).toBeGreaterThan(64);
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  const release = await hold(page);
  await page.goto(`/batches/${id}`);
  const picture = page.locator(".picture");
  await expect(picture).toBeVisible();
  const shares = await picture.evaluate(async (image: HTMLImageElement) => {
    await image.decode();
    const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d")!;
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
    const share = (is: (alpha: number) => boolean) => data.filter((value, place) => place % 4 === 3 && is(value)).length / (data.length / 4);
    return { colored: share((alpha) => alpha === 255), pending: share((alpha) => alpha === 0) };
  });
  expect(shares.colored).toBeGreaterThan(64 / 4_096);
  // Pending squares have the color of the theme.
  expect(shares.pending).toBeCloseTo(1 - shares.colored, 6);
  expect(shares.pending).toBeGreaterThan(0.1);
  release();
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await expect(picture).toBeHidden();
});

/** Opens the page of a paused batch, and returns its id. */
async function openPaused(page: Page): Promise<string> {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [50, 200] }, { concurrency: 2 });
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  return id;
}

test("a refusal is shown beside what was refused, and announced again", async ({ page }) => {
  await openPaused(page);
  const limit = page.getByLabel("Concurrency limit");
  await limit.evaluate((field: HTMLInputElement) => (field.form!.noValidate = true));
  await limit.fill("70000");
  const alert = page.locator(".concurrency").getByRole("alert");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await expect(alert).toContainText("65536");
  await expect(page.locator(".batch-tools .refusal")).toBeEmpty();
  await alert.evaluate((place) => {
    (window as any).texts = [];
    new MutationObserver(() => (window as any).texts.push(place.textContent)).observe(place, { childList: true, subtree: true });
  });
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await expect.poll(() => page.evaluate(() => (window as any).texts.at(-1))).toContain("65536");
});

test("the keyboard goes to the banner or to the quilt when its control goes away", async ({ page }) => {
  const id = await openPaused(page);
  await page.getByRole("button", { name: "Resume" }).focus();
  expect((await page.request.post(`/api/batches/${id}/cancel`)).status()).toBe(200);
  await expect(root(page)).toHaveAttribute("data-status", "cancelled");
  await expect(banner(page)).toBeFocused();
  await squares(page).nth(9).click();
  const attempts = page.getByRole("region", { name: "Square" });
  await attempts.getByRole("button", { name: "Close" }).click();
  await expect(squares(page).nth(9)).toBeFocused();
});

test("the table stays where it is while it is sorted and filtered", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 32, 32);
  await page.goto(`/batches/${id}?square=31,31`);
  await finished(page);
  await page.getByText("Results", { exact: true }).click();
  const table = page.getByRole("region", { name: "Table of results" });
  const top = () => table.evaluate((scroller) => scroller.scrollTop);
  // The table scrolls to the chosen square.
  await expect.poll(top).toBeGreaterThan(1_000);
  await table.evaluate((scroller) => (scroller.scrollTop = 0));
  await expect(table.getByRole("button", { name: "0, 0", exact: true })).toBeVisible();
  await page.getByLabel("Find").fill(",");
  await expect(page.getByRole("status", { name: "Rows" })).toContainText("1,024 squares");
  await expect(table.getByRole("button", { name: "0, 0", exact: true })).toBeVisible();
  expect(await top()).toBe(0);
  await table.getByRole("columnheader", { name: "State" }).getByRole("button").click();
  await expect(table.getByRole("columnheader", { name: "State" })).toHaveAttribute("aria-sort", "ascending");
  await expect(table.getByRole("button", { name: "0, 0", exact: true })).toBeVisible();
  expect(await top()).toBe(0);
});
