// Controls of running and finished batches, and their display on the page.

import AxeBuilder from "@axe-core/playwright";
import { banner, batchOf, finished, launchOverApi, remove, root, squares, STATUS } from "./quilt";
import { expect, test } from "./server";

test("a batch is paused and goes on", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [200, 400] }, { concurrency: 2 });
  // The batch is paused, so it does not finish before the checks.
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  const connected = page.waitForEvent("websocket");
  await page.goto(`/batches/${id}`);
  const socket = await connected;
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(squares(page, "done").first()).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(root(page)).toHaveAttribute("data-status", "paused");
  await expect(page.getByRole("button", { name: "Pause" })).toHaveCount(0);
  expect((await batchOf(page)).status).toBe("paused");
  // Running tasks end. After that the count does not change.
  await expect(page.getByRole("region", { name: "Progress" })).toContainText("0 of 1,024");
  const { done } = await batchOf(page);
  expect(done).toBeLessThan(64);
  for (let beat = 0; beat < 2; beat++) {
    await socket.waitForEvent("framereceived", ({ payload }) => Buffer.from(payload)[0] === STATUS);
  }
  expect((await batchOf(page)).done).toBe(done);
  await expect(root(page)).toHaveAttribute("data-done", String(done));
  await page.getByRole("button", { name: "Resume" }).click();
  await finished(page);
  await expect(squares(page, "done")).toHaveCount(64);
});

test("the number of tasks at the same time is changed while they run", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [60_000, 60_000] }, { concurrency: 2 });
  await page.goto(`/batches/${id}`);
  const progress = page.getByRole("region", { name: "Progress" });
  await expect(progress).toContainText("2 of 1,024");
  const field = page.getByLabel("Concurrency limit");
  await expect(field).toHaveValue("2");
  await field.fill("5");
  await page.getByRole("button", { name: "Set" }).click();
  await expect(progress).toContainText("5 of 1,024");
  await field.fill("0.5");
  await field.evaluate((input: HTMLInputElement) => input.form!.setAttribute("novalidate", ""));
  await page.getByRole("button", { name: "Set" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "concurrency must be a whole number" })).toBeVisible();
});

test("every attempt at a square can be read, with the pointer and with the keyboard", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4, { failure_rate: 1 }, { attempts: 2 });
  await page.goto(`/batches/${id}`);
  await finished(page);
  const attempts = page.getByRole("region", { name: "Square" });
  await squares(page, "failed").first().click();
  await expect(attempts.getByRole("heading")).toHaveText("Row 0, column 0");
  await expect(attempts.getByRole("listitem")).toHaveCount(2);
  await expect(attempts.getByRole("listitem").first()).toContainText("unlucky: the failure rate struck");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await expect(attempts.getByRole("heading")).toHaveText("Row 0, column 1");
  await attempts.getByRole("button", { name: "Close" }).click();
  await expect(attempts.getByRole("heading")).toHaveCount(0);
});

test("a finish line leaves a receipt", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4, { duration_ms: [5, 50] });
  await page.goto(`/batches/${id}`);
  await finished(page);
  const receipt = await (await page.request.get(`/api/batches/${id}/receipt`)).json();
  await banner(page).getByText("Receipt").click();
  await expect(banner(page)).toContainText(receipt.outcomes_sha256);
  await expect(banner(page)).toContainText(`${receipt.last_across.worker}, attempt 1`);
  await squares(page).first().click();
  await expect(page.getByRole("region", { name: "Square" }).getByRole("listitem")).toHaveCount(1);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations).toEqual([]);
});

test("a batch that stopped by itself says why", async ({ page }) => {
  await page.goto("/");
  const failing = await launchOverApi(page.request, 4, 4, { permanent_rate: 1 }, { tolerated_failures: 0.25 });
  await page.goto(`/batches/${failing.id}`);
  await expect(banner(page)).toContainText(/Stopped at .*Too many failures after .* \(25 % allowed\)/);
  const slow = await launchOverApi(page.request, 4, 4, { duration_ms: [60_000, 60_000] }, { deadline_ms: 300 });
  await page.goto(`/batches/${slow.id}`);
  await expect(banner(page)).toContainText(/The deadline of 300 ms passed/);
});

test("a batch that is removed is gone, and who watches it is told", async ({ page, context, server }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 4, 4);
  await page.goto(`/batches/${id}`);
  await finished(page);
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(root(other)).toHaveAttribute("data-connection", "live");
  await remove(page);
  await page.waitForURL((url) => url.pathname === "/");
  await expect(page.getByRole("region", { name: "Your batches" })).toContainText("No batches yet");
  await expect(root(other)).toHaveAttribute("data-connection", "removed");
  // A page that was not connected at that time is also informed.
  const late = await launchOverApi(page.request, 4, 4);
  await other.goto(`/batches/${late.id}`);
  await finished(other);
  await server.stop("SIGKILL");
  await expect(root(other)).toHaveAttribute("data-connection", "reconnecting");
  await server.forget();
  await server.start();
  await expect(root(other)).toHaveAttribute("data-connection", "removed");
  await other.reload();
  await expect(other.getByRole("heading", { level: 1 })).toHaveText("Not found");
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("pause, limit, resume and remove work as plain forms", async ({ page }) => {
    await page.goto("/");
    const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [100, 200] }, { concurrency: 2 });
    await page.goto(`/batches/${id}`);
    await page.getByRole("button", { name: "Pause" }).click();
    await expect(root(page)).toHaveAttribute("data-status", "paused");
    await expect(squares(page)).toHaveCount(64);
    await expect(page.locator("meta[http-equiv=refresh]")).toHaveCount(0);
    await page.getByLabel("Concurrency limit").fill("64");
    await page.getByRole("button", { name: "Set" }).click();
    await expect(page.getByLabel("Concurrency limit")).toHaveValue("64");
    await page.getByRole("button", { name: "Resume" }).click();
    await finished(page);
    await page.getByRole("button", { name: "Remove" }).click();
    await page.waitForURL((url) => url.pathname === "/");
  });
});
