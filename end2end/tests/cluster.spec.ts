// Pages of nodes that share their batches, while nodes are killed.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Batch, banner, colorsOfApi, colorsOnPage, finished, launchOverApi, root, squares } from "./quilt";
import { Server, expect, freePort, spawnQuilt, test as base } from "./server";

interface Cluster {
  one: Server;
  other: Server;
  workers: { left: ChildProcess; right: ChildProcess };
}

const test = base.extend<{ cluster: Cluster }>({
  cluster: async ({}, use) => {
    const store = await mkdtemp(join(tmpdir(), "quilt-nats-"));
    const port = await freePort();
    const parameters = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", store];
    const nats = spawn(process.env.NATS_SERVER ?? "nats-server", parameters, { stdio: "ignore" });
    // Nodes wait for NATS at their start.
    const shared = ["--nats", `nats://127.0.0.1:${port}`];
    const work = (name: string) => spawnQuilt(["work", ...shared, "--name", name, "--slots", "3"]);
    const [one, other, left, right] = await Promise.all([
      Server.create([...shared, "--workers", "0", "--name", "one"]),
      Server.create([...shared, "--workers", "0", "--name", "other"]),
      work("left"),
      work("right"),
    ]);
    await use({ one, other, workers: { left, right } });
    for (const child of [left, right, nats]) child.kill("SIGKILL");
    await Promise.all([one.dispose(), other.dispose()]);
    await rm(store, { recursive: true, force: true });
  },
  // The default server of pages.
  server: async ({ cluster }, use) => use(cluster.one),
});

test("a page of one node shows a batch of another, and comes back when its own node does", async ({ page, cluster }) => {
  const { one, other } = cluster;
  // A session is valid on all nodes.
  await page.goto("/");
  const work = { kind: "color", duration_ms: [100, 600] };
  const launched = await page.request.post(`${other.url}/api/batches`, { data: { work, rows: 8, columns: 8 } });
  const batch: Batch = await launched.json();
  await page.goto(`/batches/${batch.id}`);
  await expect(page.getByRole("button", { name: "Cancel" })).toHaveCount(1);
  await expect(squares(page, "done").nth(5)).toBeVisible();
  await one.stop("SIGKILL");
  await expect(root(page)).toHaveAttribute("data-connection", "reconnecting");
  await one.start();
  await expect(root(page)).toHaveAttribute("data-connection", "live");
  await finished(page);
  await expect(banner(page)).toHaveCount(1);
  expect(await colorsOnPage(page)).toEqual(await colorsOfApi(page.request, batch));
  const receipts = await Promise.all(
    [one, other].map(async ({ url }) => (await page.request.get(`${url}/api/batches/${batch.id}/receipt`)).json()),
  );
  expect(receipts[0]).toEqual(receipts[1]);
});

test("workers of all nodes are lanes, and a lost one is shown as lost while the others finish", async ({ page, cluster }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 8, 12, { duration_ms: [300, 900] });
  await page.goto(`/batches/${id}`);
  const lanes = page.getByRole("region", { name: "Workers" }).locator(".lane");
  await expect(lanes.filter({ hasText: "left-" })).toHaveCount(3);
  await expect(lanes.filter({ hasText: "right-" })).toHaveCount(3);
  cluster.workers.left.kill("SIGKILL");
  await expect(lanes.filter({ hasText: "left-" }).filter({ hasText: "not heard of any more" })).toHaveCount(3);
  await page.screenshot({ path: "artifacts/screenshots/lost-worker.png", fullPage: true });
  await finished(page);
  await expect(squares(page, "done")).toHaveCount(96);
});
