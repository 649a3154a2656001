// Takes the pictures of the README: a film and photographs of the real page.

import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { APIRequestContext, Page } from "@playwright/test";
import sharp from "sharp";
import { banner, finished, launchOverApi, root } from "../tests/quilt";
import { Server, expect, test } from "../tests/server";

const folder = join(import.meta.dirname, "../../docs/pictures");

/** The largest size of the film in bytes. */
const MAX_FILM = 3_000_000;

const FILM_WIDTH = 1_000;

test.beforeAll(() => mkdir(folder, { recursive: true }));
test.use({ viewport: { width: 1_200, height: 800 }, deviceScaleFactor: 1 });

test("a running batch", async ({ page }) => {
  test.setTimeout(300_000);
  const work = { kind: "render", preset: "seahorse", samples: 16, iterations: 20_000 };
  // The page is there before the first task starts.
  const not_before = new Date(Date.now() + 4_000).toISOString();
  const { id } = await launchOverApi(page.request, 96, 96, work, { concurrency: 2, not_before, title: "Seahorse valley" });
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await expect.poll(() => root(page).getAttribute("data-done")).not.toBe("0");
  const frames: Buffer[] = [];
  const delays: number[] = [];
  let last = performance.now();
  let left = 12;
  while (left > 0) {
    // An animation cannot be resized afterwards.
    frames.push(await sharp(await page.screenshot({ type: "png" })).resize({ width: FILM_WIDTH }).png({ compressionLevel: 1 }).toBuffer());
    const now = performance.now();
    delays.push(Math.round(now - last));
    last = now;
    if (await banner(page).isVisible()) left--;
  }
  // What ends with the banner starts again after a while.
  delays.push(2_500);
  const film = await sharp(frames, { join: { animated: true } })
    .webp({ quality: 70, effort: 4, loop: 0, delay: delays.slice(1) })
    .toFile(join(folder, "running.webp"));
  console.log(`${frames.length} frames, ${film.size} bytes`);
  expect(film.size).toBeLessThan(MAX_FILM);
});

test.describe("failures", () => {
  let site: HttpServer;
  test.use({
    viewport: { width: 1_366, height: 1_000 },
    server: async ({}, use) => {
      const server = await Server.create(["--fetch-allow", "127.0.0.0/8"]);
      await use(server);
      await server.dispose();
    },
  });
  test.beforeAll(async () => {
    site = createServer((request, response) => {
      const page = Number(request.url?.match(/\d+/)?.[0] ?? 0);
      if (page % 19 === 7) return; // It never answers.
      const status = page % 13 === 5 ? 404 : page % 29 === 11 ? 503 : page % 31 === 3 ? 429 : 200;
      response.writeHead(status, { "content-type": "text/html" });
      response.end(`<title>Page ${page}</title>${"text ".repeat(page % 50)}`);
    });
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  });
  test.afterAll(() => {
    site.closeAllConnections();
    site.close();
  });

  test("by reason", async ({ page }) => {
    const { port } = site.address() as AddressInfo;
    const id = await launchFetch(page.request, port);
    await page.goto(`/batches/${id}`);
    await finished(page);
    await page.getByRole("region", { name: "Failures" }).getByRole("button", { name: /404/ }).first().click();
    await page.evaluate(() => scrollTo(0, 0));
    await photograph(page, "failures");
  });
});

test("a million squares", async ({ page }) => {
  await page.setViewportSize({ width: 1_366, height: 860 });
  test.setTimeout(600_000);
  const { id } = await launchOverApi(page.request, 1_024, 1_024, { kind: "render", preset: "seahorse-large", samples: 1 });
  await page.goto(`/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-status", "finished", { timeout: 500_000 });
  await photograph(page, "million");
});

async function launchFetch(request: APIRequestContext, port: number): Promise<string> {
  const urls = Array.from({ length: 400 }, (_, page) => `http://127.0.0.1:${port}/page/${page}`);
  const response = await request.post("/api/batches", {
    data: { work: { kind: "fetch", urls, per_host: 64 }, attempts: 1, timeout_ms: 1_500, title: "400 pages of the handbook" },
  });
  expect(response.status()).toBe(201);
  return (await response.json()).id;
}

/** Photographs the window in both themes. */
async function photograph(page: Page, name: string): Promise<void> {
  await page.evaluate(() => document.fonts.ready);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const shot = await page.screenshot({ type: "png", animations: "disabled" });
    await sharp(shot).webp({ quality: 82, effort: 6 }).toFile(join(folder, `${name}-${colorScheme}.webp`));
  }
}
