// Real work: all forms, the table of results, and downloads.

import { createServer, type Server as HttpServer } from "node:http";
import { writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { expect, test, type Page } from "@playwright/test";
import { root, squares } from "./quilt";
import { Server } from "./server";

let server: Server;
let site: HttpServer;
let address: string;

test.beforeEach(async ({}, testInfo) => {
  // Every seventh page is missing.
  site = createServer((request, response) => {
    const number = Number(request.url!.slice(1));
    if (number % 7 === 0) {
      response.writeHead(404).end();
    } else {
      response.setHeader("content-type", "text/html");
      response.end(`<title>Page ${number}</title><a href="/">home</a>`);
    }
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const config = testInfo.outputPath("quilt.toml");
  writeFileSync(config, '[commands.shout]\nprogram = "tr"\nargs = ["a-z", "A-Z"]\nabout = "nobody listens"\n[commands.say]\nprogram = "echo"\nargs = ["I say {}"]\n');
  server = await Server.create(["--fetch-allow", "127.0.0.1/32", "--config", config]);
});

test.afterEach(async () => {
  await server.dispose();
  site.close();
});

function choose(page: Page, work: string): Promise<void> {
  return page.getByRole("navigation", { name: "What the tasks do" }).getByRole("link", { name: work }).click();
}

async function launched(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/batches\/[0-9a-f]{32}$/);
  await expect(root(page)).toHaveAttribute("data-status", "finished");
}

/** A PNG with a gradient. */
function png(width: number, height: number): Buffer {
  const table = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
  });
  const crc = (bytes: Buffer) => (bytes.reduce((sum, byte) => table[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc(body));
    return Buffer.concat([head, body, tail]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const pixels = Buffer.concat(
    Array.from({ length: height }, (_, y) => Buffer.from([0, ...Array.from({ length: width }, (_, x) => [x % 256, y % 256, 90]).flat()])),
  );
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(pixels)), chunk("IEND", Buffer.alloc(0))]);
}

test("pages are fetched, and their results are found, sorted and shown both ways", async ({ page }) => {
  await page.goto(server.url);
  await choose(page, "Check URLs");
  const urls = Array.from({ length: 60 }, (_, number) => `${address}/${number}`);
  await page.getByLabel("URLs", { exact: true }).fill(urls.join("\n"));
  await launched(page);
  await expect(root(page)).toHaveAttribute("data-failed", "9");
  await expect(squares(page)).toHaveCount(60);

  await page.locator("summary", { hasText: "Results" }).click();
  const table = page.getByRole("table");
  await expect(table).toHaveAttribute("aria-rowcount", "61");
  const rows = table.getByRole("row");
  await expect(rows.nth(2)).toContainText(`${address}/1`);
  await expect(rows.nth(2)).toContainText("Page 1");
  await page.getByLabel("Show", { exact: true }).selectOption("failed");
  await expect(page.getByRole("status", { name: "Rows" })).toHaveText("9 of 60 squares");
  await expect(rows).toHaveCount(10);
  await expect(rows.nth(1)).toContainText("404 Not Found");
  await page.getByLabel("Show", { exact: true }).selectOption("all squares");
  await page.getByLabel("Find").fill("page 5");
  // 5, 50 to 55 and 57 to 59. Page 56 is missing.
  await expect(page.getByRole("status", { name: "Rows" })).toHaveText("10 of 60 squares");
  await page.getByLabel("Find").fill("");
  await expect(page.getByRole("status", { name: "Rows" })).toHaveText("60 squares");
  // The item comes first, and there is no column without a value.
  const headers = ["Item", "Square", "State", "Color", "Duration", "Attempts", "Worker", "Reason"];
  await expect(table.getByRole("columnheader")).toContainText(headers);
  await expect(rows.nth(2).getByRole("rowheader")).toHaveText(`${address}/1`);
  // A reason selects its failures.
  await page.getByLabel("Show", { exact: true }).selectOption("failed");
  await rows.nth(1).getByRole("cell").getByRole("button", { name: "404 Not Found" }).click();
  const reason = page.getByRole("button", { name: "Reason: 404 Not Found" });
  await page.getByLabel("Show", { exact: true }).selectOption("all squares");
  await expect(page.getByRole("status", { name: "Rows" })).toHaveText("9 of 60 squares");
  await reason.click();
  await expect(reason).toHaveCount(0);
  await expect(page.getByRole("status", { name: "Rows" })).toHaveText("60 squares");
  const bySquare = page.getByRole("columnheader", { name: "Square" });
  await bySquare.getByRole("button").click();
  await expect(bySquare).toHaveAttribute("aria-sort", "ascending");
  await bySquare.getByRole("button").click();
  await expect(bySquare).toHaveAttribute("aria-sort", "descending");
  await expect(rows.nth(1)).toContainText(`${address}/59`);
  await expect(bySquare.getByRole("button")).toBeFocused();

  // Navigate from a row to its square, and from a square to its row.
  await rows.nth(1).getByRole("button").click();
  const details = page.getByRole("region", { name: "Square" });
  await expect(details).toContainText("Row 7, column 3");
  await expect(details).toContainText("Page 59");
  await expect(squares(page).nth(59)).toBeFocused();
  await squares(page).nth(1).click();
  await expect(table.locator("[aria-current=true]")).toContainText(`${address}/1`);
  const inSight = () =>
    page.getByRole("region", { name: "Table of results" }).evaluate((region) => {
      const [row, frame] = [region.querySelector("[aria-current=true]")!.getBoundingClientRect(), region.getBoundingClientRect()];
      return row.top >= frame.top && row.bottom <= frame.bottom;
    });
  await expect.poll(inSight).toBe(true);
});

test("a file of addresses is as good as a list, and what is wrong in it is told with its line", async ({ page }) => {
  await page.goto(`${server.url}/?work=fetch`);
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(page.getByText("URLs are missing. Enter at least one line, or choose a file.")).toBeVisible();
  await expect(page.getByLabel("URLs", { exact: true })).toBeFocused();
  const file = page.getByLabel("Or upload a file, one URL per line");
  await file.setInputFiles({ name: "urls.txt", mimeType: "text/plain", buffer: Buffer.from(`${address}/1\nnonsense\n`) });
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(page.getByText("Line 2: 'nonsense' is not a URL; start it with https://.")).toBeVisible();
  await expect(file).toBeFocused();
  await expect(file).toHaveAccessibleDescription(/Line 2/);
  await file.setInputFiles({ name: "urls.txt", mimeType: "text/plain", buffer: Buffer.from(`${address}/1\n${address}/2\n`) });
  await launched(page);
  await expect(squares(page, "done")).toHaveCount(2);
});

test("an image is rendered tile by tile, and downloaded as one", async ({ page }) => {
  await page.goto(`${server.url}/?work=image`);
  await page.getByLabel("Image (PNG, JPEG or WebP)").setInputFiles({ name: "photo.png", mimeType: "image/png", buffer: png(120, 90) });
  await page.getByLabel("Rows").fill("6");
  await page.getByLabel("Columns").fill("8");
  await page.getByText("Advanced options").click();
  await page.getByLabel("Output width").fill("240");
  await page.getByLabel("Colors", { exact: true }).selectOption("Sepia");
  await launched(page);
  await squares(page).first().click();
  await expect(page.getByRole("img", { name: /^Picture of row \d+, column \d+$/ })).toBeVisible();
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download PNG" }).click();
  const file = join(test.info().outputDir, "whole.png");
  await (await downloading).saveAs(file);
  await page.goto(server.url);
  const size = await page.evaluate(async (bytes) => {
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
    return [bitmap.width, bitmap.height];
  }, [...(await import("node:fs")).readFileSync(file)]);
  expect(size).toEqual([240, 180]);
});

test("what is no image is refused beside the file", async ({ page }) => {
  await page.goto(`${server.url}/?work=image`);
  await page.getByLabel("Image (PNG, JPEG or WebP)").setInputFiles({ name: "photo.png", mimeType: "image/png", buffer: Buffer.from("GIF89a") });
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(page.getByText("The file is not a PNG, JPEG or WebP image.")).toBeVisible();
});

test("a fractal is chosen by its view", async ({ page }) => {
  await page.goto(server.url);
  await choose(page, "Render a fractal");
  await page.getByRole("radio", { name: "Dragon (Julia)" }).check();
  await page.getByText("Advanced options").click();
  await page.getByLabel("Samples per side").fill("1");
  await launched(page);
  await expect(root(page)).toHaveAttribute("data-total", "65536");
  const id = page.url().split("/").pop();
  const batch = await (await page.request.get(`${server.url}/api/batches/${id}`)).json();
  expect(batch.work).toMatchObject({ kind: "render", fractal: "julia", constant: [-0.8, 0.156], samples: 1 });
});

test("a command that the operator has named is run for each line", async ({ page }) => {
  await page.goto(server.url);
  await choose(page, "Run a command");
  await page.getByLabel("Command").selectOption("say");
  await page.getByLabel("Items").fill("one\ntwo; rm\nthree");
  await launched(page);
  await squares(page).nth(1).click();
  await expect(page.getByRole("region", { name: "Square" })).toContainText("I say two; rm");
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("forms launch, and tell what is wrong", async ({ page }) => {
    await page.goto(`${server.url}/?work=fetch`);
    await page.getByLabel("Title").fill("My pages");
    await page.getByRole("button", { name: "Launch" }).click();
    await expect(page.getByText("URLs are missing. Enter at least one line, or choose a file.")).toBeVisible();
    await expect(page.getByLabel("Title")).toHaveValue("My pages");
    await page.getByLabel("URLs", { exact: true }).fill(`${address}/1`);
    await page.getByRole("button", { name: "Launch" }).click();
    await page.waitForURL(/\/batches\/[0-9a-f]{32}$/);
  });
});

test("a table of many rows makes only those in sight", async ({ page }) => {
  const request = { work: { kind: "color" }, rows: 64, columns: 64 };
  const response = await page.request.post(`${server.url}/api/batches`, { data: request });
  const { id } = await response.json();
  await page.goto(`${server.url}/batches/${id}`);
  await expect(root(page)).toHaveAttribute("data-status", "finished");
  await page.locator("summary", { hasText: "Results" }).click();
  const table = page.getByRole("table");
  await expect(table).toHaveAttribute("aria-rowcount", "4097");
  expect(await table.getByRole("row").count()).toBeLessThan(80);
  const region = page.getByRole("region", { name: "Table of results" });
  await region.scrollIntoViewIfNeeded();
  await region.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect(table.getByRole("button", { name: "63, 63" })).toBeInViewport();
});
