// Pages whose connection breaks, and pages that are opened late.

import { banner, batchOf, colorsOfApi, colorsOnPage, finished, launch, launchOverApi, root, squares } from "./quilt";
import { expect, test } from "./server";

test("a reload in the middle shows what is done, and the rest as it comes", async ({ page }) => {
  await launch(page, "8 × 8", { shortest: 100, longest: 4_000 });
  await expect(squares(page, "done").nth(5)).toBeVisible();
  await page.reload();
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  expect(await squares(page, "done").count()).toBeGreaterThan(5);
  await finished(page);
  expect(await colorsOnPage(page)).toEqual(await colorsOfApi(page.request, await batchOf(page)));
});

test("a socket that is cut is replaced, and no square is missed", async ({ page }) => {
  const cut: (() => Promise<void>)[] = [];
  const resumed: Buffer[] = [];
  await page.routeWebSocket(/\/channel$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      // The first frame of each connection contains the step of the page.
      if (Buffer.from(message as Buffer)[0] === 1) resumed.push(Buffer.from(message as Buffer));
      server.send(message);
    });
    cut.push(async () => {
      await socket.close({ code: 4000 });
      await server.close({ code: 4000 });
    });
  });
  await launch(page, "8 × 8", { shortest: 100, longest: 5_000 });
  for (const expected of [5, 20]) {
    await expect(squares(page, "done").nth(expected)).toBeVisible();
    const connections = cut.length;
    await cut.at(-1)!();
    await expect(root(page)).toHaveAttribute("data-connection", "reconnecting");
    await expect(root(page)).toHaveAttribute("data-connection", "live");
    expect(cut.length).toBeGreaterThan(connections);
  }
  await finished(page);
  expect(await colorsOnPage(page)).toEqual(await colorsOfApi(page.request, await batchOf(page)));
  // No step in the first connection, and the last step in the next one.
  expect([...resumed[0]]).toEqual([1, 0]);
  expect(resumed[1][1]).toBeGreaterThan(1);
  await expect(banner(page)).toHaveCount(1);
});

test("a server that is killed in the middle comes back, and the batch with it", async ({ page, server }) => {
  await launch(page, "8 × 8", { shortest: 500, longest: 5_000 });
  await expect(squares(page, "done").nth(5)).toBeVisible();
  await server.stop("SIGKILL");
  await expect(root(page)).toHaveAttribute("data-connection", "reconnecting");
  await expect(page.getByRole("status", { name: "Connection" })).toContainText("reconnecting");
  await page.screenshot({ path: "artifacts/screenshots/disconnected.png", fullPage: true });
  const before = await colorsOnPage(page);
  await server.start();
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await finished(page);
  await expect(squares(page, "done")).toHaveCount(64);
  const after = await colorsOnPage(page);
  expect(after).toEqual(await colorsOfApi(page.request, await batchOf(page)));
  for (const [index, color] of before.entries()) {
    if (color !== null) expect(after[index]).toBe(color);
  }
});

test("a server that is stopped in order says that it will be back, and ends in time", async ({ page, server }) => {
  await launch(page, "8 × 8", { shortest: 20_000, longest: 30_000 });
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  const started = Date.now();
  const ended = server.stop("SIGTERM");
  await expect(root(page)).toHaveAttribute("data-connection", "restarting");
  await expect(page.getByRole("status", { name: "Connection" })).toContainText("back in a moment");
  expect(await ended).toBe(0);
  expect(Date.now() - started).toBeLessThan(10_000);
});

test("a second visitor sees the quilt by its link, and neither lists nor controls it", async ({ page, browser, server }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 8, { failure_rate: 0.5, duration_ms: [50, 200] }, { attempts: 1, concurrency: 4 });
  // The batch is paused, so it does not finish before the checks.
  expect((await page.request.post(`/api/batches/${id}/pause`)).status()).toBe(200);
  await page.goto(`/batches/${id}`);
  const context = await browser.newContext({ baseURL: server.url });
  const visitor = await context.newPage();
  await visitor.goto(page.url());
  await expect(root(visitor)).toHaveAttribute("data-connection", "live");
  await expect(visitor.getByRole("button", { name: "Cancel" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Cancel" })).toHaveCount(1);
  await page.getByRole("button", { name: "Resume" }).click();
  await finished(visitor);
  await finished(page);
  expect(await colorsOnPage(visitor)).toEqual(await colorsOnPage(page));
  await expect(visitor.getByRole("button", { name: "Retry failed" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Retry failed" })).toHaveCount(1);

  for (const action of ["pause", "resume", "cancel", "retry"]) {
    expect((await visitor.request.post(`/api/batches/${id}/${action}`)).status()).toBe(403);
  }
  await visitor.goto("/");
  await expect(visitor.getByRole("region", { name: "Your batches" })).toContainText("No batches yet");
  await context.close();
});
