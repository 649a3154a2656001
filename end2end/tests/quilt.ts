// Actions and queries of a visitor, by role and label.

import { expect, type APIRequestContext, type Locator, type Page } from "@playwright/test";

/** The first byte of the frame that comes every two seconds. */
export const STATUS = 7;

export interface Difficulty {
  failures?: number;
  attempts?: number;
  shortest?: number;
  longest?: number;
}

export interface Batch {
  id: string;
  rows: number;
  columns: number;
  status: string;
  lap: number;
  done: number;
  failed: number;
}

export interface Square {
  row: number;
  column: number;
  color?: string;
  failed?: string;
}

/** Opens the demo's form and launches a batch from it. Times are in milliseconds; the form has them in seconds. */
export async function launch(page: Page, size: "8 × 8" | "32 × 32" | "64 × 64", difficulty: Difficulty = {}): Promise<void> {
  await page.goto("/?work=color");
  await page.getByRole("radio", { name: size }).check();
  const seconds = (millis?: number) => (millis === undefined ? undefined : millis / 1_000);
  const fields: [string, number | undefined][] = [
    ["Simulated failure rate", difficulty.failures],
    ["Max attempts per task", difficulty.attempts],
    ["Shortest task", seconds(difficulty.shortest)],
    ["Longest task", seconds(difficulty.longest)],
  ];
  if (fields.some(([, value]) => value !== undefined)) {
    await page.getByText("Failures and limits").click();
  }
  for (const [label, value] of fields) {
    if (value !== undefined) {
      await page.getByLabel(label).fill(String(value));
    }
  }
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/batches\/[0-9a-f]{32}$/);
}

/** Launches a batch over the API, in this page's session. */
export async function launchOverApi(request: APIRequestContext, rows: number, columns: number, work: object = {}, more: object = {}): Promise<Batch> {
  const response = await request.post("/api/batches", { data: { work: { kind: "color", ...work }, rows, columns, ...more } });
  expect(response.status()).toBe(201);
  return response.json();
}

export async function batchOf(page: Page): Promise<Batch> {
  const id = page.url().split("/").pop()!;
  return (await page.request.get(`/api/batches/${id}`)).json();
}

export function root(page: Page): Locator {
  return page.locator("[data-status]").and(page.getByRole("article"));
}

export function squares(page: Page, state?: "pending" | "done" | "failed" | "not-run"): Locator {
  const cells = page.getByRole("gridcell");
  return state ? cells.and(page.locator(`[data-state="${state}"]`)) : cells;
}

/** The value of a figure below the progress bar. */
export function figure(page: Page, name: string): Locator {
  const panel = page.getByRole("region", { name: "Progress" });
  return panel.locator("div", { has: page.getByRole("term").filter({ hasText: name }) }).getByRole("definition");
}

export function banner(page: Page): Locator {
  return page.locator("[data-banner]");
}

export async function finished(page: Page): Promise<void> {
  await expect(root(page)).toHaveAttribute("data-status", "finished", { timeout: 50_000 });
}

/** Cancels the batch and confirms it. */
export async function cancel(page: Page): Promise<void> {
  await confirm(page, "Cancel batch");
}

/** Removes the batch and confirms it. */
export async function remove(page: Page): Promise<void> {
  await confirm(page, "Remove");
}

async function confirm(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name }).click();
  await page.getByRole("dialog").getByRole("button", { name }).click();
}

/** The colors on the page in reading order; `null` for a square that is not done. */
export async function colorsOnPage(page: Page): Promise<(string | null)[]> {
  return page.getByRole("gridcell").evaluateAll((cells) =>
    cells.map((cell) => {
      if (cell.getAttribute("data-state") !== "done") {
        return null;
      }
      const [red, green, blue] = getComputedStyle(cell).backgroundColor.match(/\d+/g)!.map(Number);
      return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("").toUpperCase()}`;
    }),
  );
}

/** All events of a finished batch, from the API. */
export async function events(request: APIRequestContext, id: string, after?: string): Promise<{ id: string; event: string; data: any }[]> {
  const headers: Record<string, string> = after === undefined ? {} : { "last-event-id": after };
  const text = await (await request.get(`/api/batches/${id}/events`, { headers })).text();
  return text
    .split("\n\n")
    .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2))))
    .filter((fields) => "event" in fields)
    .map(({ id, event, data }) => ({ id, event, data: JSON.parse(data) }));
}

/** The colors of the API in reading order. */
export async function colorsOfApi(request: APIRequestContext, batch: Batch): Promise<(string | null)[]> {
  const colors: (string | null)[] = new Array(batch.rows * batch.columns).fill(null);
  for (const { event, data } of await events(request, batch.id)) {
    if (event === "square") {
      colors[data.row * batch.columns + data.column] = data.color ?? null;
    }
  }
  return colors;
}
