// The table of results of large batches: filtered, searched, sorted and paged by the server.

import { launchOverApi, root } from "./quilt";
import { expect, test } from "./server";

test("a failure beyond the first squares is found by state and by text", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 256, 256, { permanent_rate: 0.0005 });
  await page.goto(`/batches/${batch.id}`);
  await expect(root(page)).toHaveAttribute("data-status", "finished");
  const results = await page.request.get(`/api/batches/${batch.id}/results?format=json&state=failed&limit=1000`);
  const { rows, matching } = await results.json();
  expect(rows.length).toBe(matching);
  const last = rows.at(-1);
  expect(last.row * 256 + last.column).toBeGreaterThan(20_000);
  const square = `${last.row}, ${last.column}`;
  const status = page.getByRole("status", { name: "Rows" });
  const table = page.getByRole("table");
  await page.locator("summary", { hasText: "Results" }).click();
  await expect(status).toHaveText("65,536 squares");
  await page.getByLabel("Show", { exact: true }).selectOption("failed");
  await expect(status).toHaveText(`${matching} of 65,536 squares`);
  const region = page.getByRole("region", { name: "Table of results" });
  await region.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect(table.getByRole("button", { name: square, exact: true })).toBeVisible();
  await page.getByLabel("Show", { exact: true }).selectOption("all squares");
  await expect(status).toHaveText("65,536 squares");
  // The search goes through all squares, however many requests that takes.
  await page.getByLabel("Find").fill(last.failed.toUpperCase());
  await expect(status).toHaveText(`${matching} of 65,536 squares`);
  await expect(table.getByRole("row").nth(1).getByRole("button").first()).toHaveText(`${rows[0].row}, ${rows[0].column}`);
});

test("rows are sorted by what the server has indexed, once the batch is over", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 40, 40, { duration_ms: [0, 60], failure_rate: 0.2 }, { concurrency: 1 });
  await page.goto(`/batches/${batch.id}`);
  await page.locator("summary", { hasText: "Results" }).click();
  const byState = page.getByRole("columnheader", { name: "State" }).getByRole("button");
  await expect(byState).toBeDisabled();
  await expect(page.getByRole("columnheader", { name: "Duration" })).toHaveCount(0);
  expect((await page.request.patch(`/api/batches/${batch.id}`, { data: { concurrency: null } })).status()).toBe(200);
  await expect(root(page)).toHaveAttribute("data-status", "finished", { timeout: 50_000 });
  const byDuration = page.getByRole("columnheader", { name: "Duration" });
  await byDuration.getByRole("button").click();
  await byDuration.getByRole("button").click();
  await expect(byDuration).toHaveAttribute("aria-sort", "descending");
  const query = "format=json&attempts=true&sort=duration&order=desc&limit=20";
  const { rows } = await (await page.request.get(`/api/batches/${batch.id}/results?${query}`)).json();
  const shown = page.getByRole("table").getByRole("rowheader");
  await expect(shown.first()).toHaveText(`${rows[0].row}, ${rows[0].column}`);
  expect((await shown.allTextContents()).slice(0, 20)).toEqual(rows.map(({ row, column }: any) => `${row}, ${column}`));
});

test("the table of a million squares reaches the last one", async ({ page }) => {
  await page.goto("/");
  const batch = await launchOverApi(page.request, 1024, 1024);
  await page.goto(`/batches/${batch.id}`);
  await expect(root(page)).toHaveAttribute("data-status", "finished", { timeout: 50_000 });
  await page.locator("summary", { hasText: "Results" }).click();
  const table = page.getByRole("table");
  await expect(table).toHaveAttribute("aria-rowcount", "1048577");
  expect(await table.getByRole("row").count()).toBeLessThan(80);
  const region = page.getByRole("region", { name: "Table of results" });
  await region.scrollIntoViewIfNeeded();
  const last = table.getByRole("button", { name: "1023, 1023", exact: true });
  // The rows at the end are higher than what they stand for, so that the end moves once.
  await expect(async () => {
    await region.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    const [row, window] = [(await last.boundingBox({ timeout: 1_000 }))!, (await region.boundingBox())!];
    expect(row.y).toBeGreaterThan(window.y);
    expect(row.y + row.height).toBeLessThanOrEqual(window.y + window.height);
  }).toPass();
});
