// Quilts of all sizes: with an element per square, and on a canvas.

import AxeBuilder from "@axe-core/playwright";
import type { APIRequestContext, Page } from "@playwright/test";
import { banner, type Batch, batchOf, colorsOnPage, finished, launchOverApi, root } from "./quilt";
import { expect, test } from "./server";

/** The outcomes in reading order, from the picture that the server draws: one pixel a square, four bytes each. */
async function pixelsOfApi(page: Page, batch: Batch): Promise<string> {
  const side = Math.max(batch.rows, batch.columns);
  return page.evaluate(
    async ([url, rows, columns]) => {
      const bitmap = await createImageBitmap(await (await fetch(url)).blob());
      const canvas = new OffscreenCanvas(columns, rows);
      const context = canvas.getContext("2d")!;
      context.drawImage(bitmap, 0, 0);
      return (window as any).digest(context.getImageData(0, 0, columns, rows).data);
    },
    [`/batches/${batch.id}/quilt.png?side=${side}`, batch.rows, batch.columns] as const,
  );
}

/** A digest of what is on the canvas. */
async function pixelsOnCanvas(page: Page): Promise<string> {
  return page.locator("canvas.bitmap").evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return (window as any).digest(data);
  });
}

/** The colors of some squares from the API itself. */
async function colorOf(request: APIRequestContext, batch: Batch, row: number, column: number): Promise<string> {
  return (await (await request.get(`/api/batches/${batch.id}/squares/${row}/${column}`)).json()).color;
}

async function pixel(page: Page, row: number, column: number): Promise<string> {
  return page.locator("canvas.bitmap").evaluate(
    (canvas: HTMLCanvasElement, [row, column]) => {
      const [red, green, blue] = canvas.getContext("2d")!.getImageData(column, row, 1, 1).data;
      return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("").toUpperCase()}`;
    },
    [row, column],
  );
}

test.beforeEach(async ({ page }) => {
  await page.addInitScript(() => {
    (window as any).digest = async (bytes: Uint8ClampedArray<ArrayBuffer>) =>
      [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  });
});

for (const [rows, columns] of [[8, 8], [32, 32]]) {
  test(`${rows} by ${columns} squares are elements with the colors of the API`, async ({ page }) => {
    await page.goto("/");
    const batch = await launchOverApi(page.request, rows, columns);
    await page.goto(`/batches/${batch.id}`);
    await finished(page);
    await expect(page.locator("canvas.bitmap")).toHaveCount(0);
    const colors = await colorsOnPage(page);
    for (const [row, column] of [[0, 0], [rows - 1, columns - 1], [1, 5]]) {
      expect(colors[row * columns + column]).toBe(await colorOf(page.request, batch, row, column));
    }
  });
}

for (const [rows, columns] of [[23, 79], [64, 64], [61, 241], [256, 256], [1024, 1024]]) {
  test(`${rows} by ${columns} squares are pixels with the colors of the API`, async ({ page }) => {
    await page.goto("/");
    const batch = await launchOverApi(page.request, rows, columns);
    await page.goto(`/batches/${batch.id}`);
    await finished(page);
    const expected = await pixelsOfApi(page, batch);
    // The last squares are painted in the frames after the finish line.
    await expect.poll(() => pixelsOnCanvas(page)).toBe(expected);
    for (const [row, column] of [[0, 0], [rows - 1, columns - 1], [7, 11]]) {
      expect(await pixel(page, row, column)).toBe(await colorOf(page.request, batch, row, column));
    }
    await expect(banner(page)).toHaveCount(1);
    const grid = page.getByRole("grid");
    await expect(grid).toHaveAttribute("aria-rowcount", String(rows));
    await expect(grid).toHaveAttribute("aria-colcount", String(columns));
    await expect(page.getByRole("gridcell")).toHaveCount(1);
  });
}

test("a large quilt is explored with the keyboard alone", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 100, 100, { failure_rate: 0.01 }, { attempts: 1 });
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  // Keys and wheels work only after hydration.
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const cell = page.getByRole("gridcell");
  await cell.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await expect(cell).toHaveAccessibleName(/^Row 1, column 1: /);
  await expect(cell).toHaveAttribute("aria-colindex", "2");
  await page.keyboard.press("Control+End");
  await expect(cell).toHaveAccessibleName(/^Row 99, column 99: /);
  await page.keyboard.press("f");
  await expect(cell).toBeFocused();
  await expect(cell).toHaveAccessibleName(/: failed, unlucky/);
  const whole = Number(await root(page).getAttribute("data-zoom"));
  for (let step = 0; step < 4; step++) await page.keyboard.press("+");
  await expect.poll(async () => Number(await root(page).getAttribute("data-zoom"))).toBeGreaterThan(4 * whole);
  await page.keyboard.press("Enter");
  const attempts = page.getByRole("region", { name: "Square" });
  await expect(attempts.getByRole("listitem")).toHaveCount(1);
  // Whoever opens this address sees the same.
  await expect(page).toHaveURL(/\?square=\d+,\d+&zoom=[\d.]+&at=[\d.]+,[\d.]+$/);
  const heading = await attempts.getByRole("heading").textContent();
  await page.reload();
  await expect(attempts.getByRole("heading")).toHaveText(heading!);
  await expect.poll(async () => Number(await root(page).getAttribute("data-zoom"))).toBeGreaterThan(4 * whole);
  await page.keyboard.press("Escape");
  await expect(attempts.getByRole("heading")).toHaveCount(0);
  await expect(cell).toBeFocused();
  await page.keyboard.press("0");
  await expect(page).toHaveURL(/\/batches\/[0-9a-f]{32}$/);
  await page.keyboard.press("/");
  await page.keyboard.type("12, 34");
  await page.keyboard.press("Enter");
  await expect(cell).toHaveAccessibleName(/^Row 12, column 34: /);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog", { name: "Shortcuts" })).toBeHidden();
});

test("a large quilt is moved and enlarged with the pointer", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 256, 256);
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  // Keys and wheels work only after hydration.
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const quilt = page.getByRole("grid");
  const zoom = async () => Number(await root(page).getAttribute("data-zoom"));
  const whole = await zoom();
  const { x, y } = (await quilt.boundingBox())!;
  await page.mouse.move(x + 100, y + 100);
  // The wheel alone scrolls the page.
  const scrolled = () => page.evaluate(() => scrollY);
  const top = await scrolled();
  await page.mouse.wheel(0, 60);
  await expect.poll(scrolled).toBeGreaterThan(top);
  await page.mouse.wheel(0, -1_000);
  await expect.poll(scrolled).toBe(0);
  expect(await zoom()).toBe(whole);
  const box = (await quilt.boundingBox())!;
  await page.mouse.move(box.x + 100, box.y + 100);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -800);
  await page.keyboard.up("Control");
  await expect.poll(zoom).toBeGreaterThan(3 * whole);
  const before = await page.locator("canvas.bitmap").getAttribute("style");
  await page.mouse.down();
  await page.mouse.move(box.x + 160, box.y + 130, { steps: 5 });
  await page.mouse.up();
  await expect(page.locator("canvas.bitmap")).not.toHaveAttribute("style", before!);
  const attempts = page.getByRole("region", { name: "Square" });
  await expect(attempts.getByRole("heading")).toHaveCount(0);
  // What was dragged was not chosen; what is pressed is.
  await page.mouse.click(box.x + 50, box.y + 50);
  await expect(attempts.getByRole("heading")).toHaveText(/^Row \d+, column \d+$/);
  // Now that the quilt has the keyboard focus, the wheel enlarges it.
  await expect(page.getByRole("gridcell")).toBeFocused();
  const closer = await zoom();
  const now = (await quilt.boundingBox())!;
  await page.mouse.move(now.x + 100, now.y + 100);
  await page.mouse.wheel(0, -100);
  await expect.poll(zoom).toBeGreaterThan(closer);
  await page.getByRole("button", { name: "Fit" }).click();
  await expect.poll(zoom).toBe(whole);
});

test("colors tell what they are asked to, and a legend makes squares stand out", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 72, 72, { failure_rate: 0.3 }, { attempts: 2 });
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  const { failed } = await batchOf(page);
  const filters = page.getByRole("group", { name: "Show only" });
  await expect(filters.getByRole("button", { name: /^failed/ })).toHaveText(`failed ${failed}`);
  const result = await pixelsOnCanvas(page);
  const seen = new Set([result]);
  for (const by of ["state", "duration", "attempts", "worker"]) {
    await page.getByLabel("Color by").selectOption(by);
    await expect.poll(async () => seen.has(await pixelsOnCanvas(page)), { message: by }).toBe(false);
    seen.add(await pixelsOnCanvas(page));
    await expect(page).toHaveURL(new RegExp(`by=${by}`));
  }
  await page.getByLabel("Color by").selectOption("result");
  await expect.poll(() => pixelsOnCanvas(page)).toBe(result);
  await filters.getByRole("button", { name: /^failed/ }).click();
  await expect(filters.getByRole("button", { name: /^failed/ })).toHaveAttribute("aria-pressed", "true");
  await expect(page).toHaveURL(/only=failed/);
  await expect.poll(() => pixelsOnCanvas(page)).not.toBe(result);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)).toEqual([]);
  await page.keyboard.press("Escape");
  await expect.poll(() => pixelsOnCanvas(page)).toBe(result);
});

test("a batch is replayed from its journal", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 72, 72, { duration_ms: [0, 20] });
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  const end = await pixelsOfApi(page, batch);
  await expect.poll(() => pixelsOnCanvas(page)).toBe(end);
  await page.getByRole("button", { name: "Replay" }).click();
  await expect(page.getByRole("button", { name: "Pause replay" })).toBeVisible();
  await expect.poll(() => pixelsOnCanvas(page)).not.toBe(end);
  await page.getByRole("button", { name: "Pause replay" }).click();
  const moment = page.getByRole("slider", { name: "Moment of the replay" });
  await moment.focus();
  await page.keyboard.press("Home");
  const start = await page.locator("canvas.bitmap").evaluate((canvas: HTMLCanvasElement) => {
    const blank = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d")!;
    blank.fillStyle = "#ece2cf";
    blank.fillRect(0, 0, canvas.width, canvas.height);
    return (window as any).digest(blank.getImageData(0, 0, canvas.width, canvas.height).data);
  });
  await expect.poll(() => pixelsOnCanvas(page)).toBe(start);
  await page.keyboard.press("End");
  await expect.poll(() => pixelsOnCanvas(page)).toBe(end);
  // The batch has not changed, and there is no second finish.
  await expect(root(page)).toHaveAttribute("data-status", "finished");
  await expect(banner(page)).toHaveCount(1);
  await page.getByRole("button", { name: "End replay" }).click();
  await expect(moment).toHaveCount(0);
  await expect.poll(() => pixelsOnCanvas(page)).toBe(end);
});

test("a hidden page says how far it is, catches up, and tells one finish once", async ({ page }) => {
  await page.addInitScript(() => {
    const world = window as any;
    // Simulates a page in the background, for which the browser requests no frames.
    let hidden = false;
    let waiting: FrameRequestCallback[] = [];
    const draw = window.requestAnimationFrame.bind(window);
    Object.defineProperty(document, "hidden", { get: () => hidden });
    window.requestAnimationFrame = (callback) => (hidden ? waiting.push(callback) : draw(callback));
    world.setHidden = (value: boolean) => {
      hidden = value;
      if (!hidden) for (const callback of waiting.splice(0)) draw(callback);
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    };
    world.finishes = [];
    addEventListener("DOMContentLoaded", () => {
      const place = document.querySelector("[aria-label=Finish]");
      const look = (records: MutationRecord[]) => {
        for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
          if (node instanceof HTMLElement && node.matches("[data-banner]")) world.finishes.push(node.textContent);
        }
      };
      if (place) new MutationObserver(look).observe(place, { childList: true, subtree: true });
    });
  });
  await page.goto("/");
  const batch = await launchOverApi(page.request, 128, 128, { duration_ms: [0, 10] }, { concurrency: 32 });
  await page.goto(`/batches/${batch.id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await page.evaluate(() => (window as any).setHidden(true));
  await expect.poll(() => page.title()).toMatch(/^Done/);
  await page.evaluate(() => (window as any).setHidden(false));
  await finished(page);
  await expect.poll(() => pixelsOnCanvas(page)).toBe(await pixelsOfApi(page, batch));
  expect(await page.evaluate(() => (window as any).finishes.length)).toBe(1);
  await expect(page.locator(".confetti")).toHaveCount(1);
  // A page that is opened later displays the result without confetti.
  await page.reload();
  await finished(page);
  await expect(banner(page)).toHaveCount(1);
  await expect(page.locator(".confetti")).toHaveCount(0);
});

test("the canvas follows the theme of the page", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/");
  const batch = await launchOverApi(page.request, 72, 72, { duration_ms: [3_600_000, 3_600_000] });
  await page.goto(`/batches/${batch.id}`);
  const ground = () => page.getByRole("grid").evaluate((grid) => {
    const parts = getComputedStyle(grid).backgroundColor.match(/\d+/g)!.map(Number);
    return `#${parts.slice(0, 3).map((part) => part.toString(16).padStart(2, "0")).join("").toUpperCase()}`;
  });
  await expect.poll(() => pixel(page, 3, 3)).toBe(await ground());
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  await expect.poll(() => ground()).not.toBe(light);
  await expect.poll(() => pixel(page, 3, 3)).toBe(await ground());
});

test("a button can be pressed for as long as one likes while everything around it changes", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 32, 32, { duration_ms: [300, 1_500] }, { concurrency: 16 });
  await page.goto(`/batches/${batch.id}`);
  // "Connecting…" is longer than "Live", so the buttons beside it move once.
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const done = page.getByRole("group", { name: "Show only" }).getByRole("button", { name: /^done/ });
  await expect(done).not.toHaveText("done 0");
  const before = await done.textContent();
  await done.hover();
  await page.mouse.down();
  await expect(done).not.toHaveText(before!);
  await page.mouse.up();
  await expect(done).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("button", { name: "Shortcuts" }).click();
  const help = page.getByRole("dialog", { name: "Shortcuts" });
  await page.keyboard.press("f");
  await help.getByRole("button", { name: "Close" }).click();
  await expect(help).toBeHidden();
  // Only the dialog handled the key. The filter is still set.
  await expect(done).toHaveAttribute("aria-pressed", "true");
});

test("a lap that starts ends the replay, and earlier laps are remembered", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 72, 72, { failure_rate: 0.5, duration_ms: [0, 5] }, { attempts: 1 });
  await page.goto(`/batches/${batch.id}`);
  await finished(page);
  await page.getByRole("button", { name: "Replay" }).click();
  await expect(page.getByRole("slider", { name: "Moment of the replay" })).toBeVisible();
  await page.getByRole("button", { name: "Retry failed" }).click();
  await expect(root(page)).toHaveAttribute("data-lap", "2");
  await expect(page.getByRole("slider", { name: "Moment of the replay" })).toHaveCount(0);
  await finished(page);
  await expect.poll(async () => (await pixelsOnCanvas(page)) === (await pixelsOfApi(page, await batchOf(page)))).toBe(true);
  const result = await pixelsOnCanvas(page);
  await page.getByLabel("Color by").selectOption("attempts");
  await expect.poll(() => pixelsOnCanvas(page)).not.toBe(result);
  const seen = await expectStable(() => pixelsOnCanvas(page));
  await expect(page).toHaveURL(/by=attempts/);
  // A page that is opened now reads the first lap from the journal, and displays the same colors.
  await page.reload();
  await finished(page);
  await expect.poll(() => pixelsOnCanvas(page)).toBe(seen);
});

/** A value once it is the same twice in a row. */
async function expectStable(read: () => Promise<string>): Promise<string> {
  let last = await read();
  await expect.poll(async () => {
    const now = await read();
    const isStable = now === last;
    last = now;
    return isStable;
  }, { intervals: [500] }).toBe(true);
  return last;
}
