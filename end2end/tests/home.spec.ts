// The front page: first impression, forms that point at what is wrong, and the list of batches.

import { finished, launchOverApi, root } from "./quilt";
import { expect, test } from "./server";

test("a new visitor sees real work first, and a quilt that fills in", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Many tasks, one quilt.");
  await expect(page.getByText("144 tasks, as they finished")).toBeVisible();
  const kinds = page.getByRole("navigation", { name: "What the tasks do" }).getByRole("link");
  await expect(kinds.first()).toHaveText("Check URLs");
  await expect(kinds.first()).toHaveAttribute("aria-current", "page");
  await expect(kinds.last()).toHaveText("Demo");
  await page.getByRole("link", { name: "six example pages" }).click();
  await expect(page.getByLabel("URLs", { exact: true })).toHaveValue(/^https:\/\/example\.org\/\n/);
});

test.describe("on a small laptop", () => {
  test.use({ viewport: { width: 1366, height: 650 } });

  test("every form can be launched without scrolling", async ({ page }) => {
    for (const work of ["fetch", "image", "render", "color"]) {
      await page.goto(`/?work=${work}`);
      await expect(page.getByRole("button", { name: "Launch" }), work).toBeInViewport({ ratio: 1 });
    }
  });
});

test("a wrong value in a closed section opens it, and the reason goes when it is mended", async ({ page }) => {
  await page.goto("/?work=color");
  await page.getByText("Failures and limits").click();
  const rate = page.getByLabel("Simulated failure rate");
  await rate.fill("150");
  await expect(page.getByText("1 changed")).toBeVisible();
  await page.getByText("Failures and limits").click();
  await expect(rate).toBeHidden();
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(rate).toBeFocused();
  await expect(rate).toHaveAttribute("aria-invalid", "true");
  const reason = page.getByText("Enter a number from 0 to 100.").first();
  await expect(reason).toBeVisible();
  await expect(rate).toHaveAccessibleDescription(/from 0 to 100/);
  await rate.fill("0");
  await expect(reason).toBeHidden();
  await expect(rate).not.toHaveAttribute("aria-invalid", "true");
  await expect(page.getByText("1 changed")).toBeHidden();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/batches\//);
});

test("what the browser restores is visible", async ({ page }) => {
  await page.goto("/?work=color");
  await page.getByText("Failures and limits").click();
  await page.getByLabel("Simulated failure rate").fill("33");
  await page.getByLabel("Concurrency limit").fill("4");
  await expect(page.getByText("2 changed")).toBeVisible();
  await page.goto("/healthz");
  await page.goBack();
  const rate = page.getByLabel("Simulated failure rate");
  // Whether or not the browser restores the values: they are never there and hidden.
  if ((await rate.inputValue()) === "33") {
    await expect(rate).toBeVisible();
    await expect(page.getByText("2 changed")).toBeVisible();
  }
});

test("durations that were typed are kept when the size is changed", async ({ page }) => {
  await page.goto("/?work=color");
  await page.getByText("Failures and limits").click();
  await page.getByLabel("Shortest task").fill("0.007");
  await page.getByLabel("Longest task").fill("0.008");
  await page.getByRole("radio", { name: "32 × 32" }).check();
  await page.getByLabel("Title").fill("Typed durations");
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/batches\//);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Typed durations");
  const batch = await (await page.request.get(`/api${new URL(page.url()).pathname}`)).json();
  expect(batch).toMatchObject({ rows: 32, title: "Typed durations", work: { duration_ms: [7, 8] } });
});

test("a custom size has rows and columns", async ({ page }) => {
  await page.goto("/?work=color");
  await expect(page.getByLabel("Rows")).toBeHidden();
  await page.getByRole("radio", { name: "Custom size" }).check();
  await page.getByLabel("Rows").fill("3");
  await page.getByLabel("Columns").fill("5");
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/batches\//);
  await finished(page);
  await expect(root(page)).toHaveAttribute("data-total", "15");
});

test("a file that is too large is refused before it is uploaded", async ({ page }) => {
  await page.goto("/?work=image");
  const file = page.getByLabel("Image (PNG, JPEG or WebP)");
  await file.setInputFiles({ name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(33 * 1024 * 1024) });
  const reason = page.getByText("The file has 33 MiB; the limit is 32 MiB.");
  await expect(reason).toBeVisible();
  let isPosted = false;
  page.on("request", (request) => (isPosted ||= request.method() === "POST"));
  await page.getByRole("button", { name: "Launch" }).click();
  await expect(file).toBeFocused();
  expect(isPosted).toBe(false);
  await file.setInputFiles([]);
  await expect(reason).toBeHidden();
});

test("a batch is run again with changes", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 2, 3, { duration_ms: [10, 20] }, { title: "First", tolerated_failures: 0.25 });
  await page.goto(`/batches/${id}`);
  await finished(page);
  await page.getByRole("link", { name: "Run again with changes" }).click();
  await expect(page.getByLabel("Title")).toHaveValue("First");
  await expect(page.getByLabel("Rows")).toHaveValue("2");
  await expect(page.getByLabel("Longest task")).toHaveValue("0.02");
  await expect(page.getByLabel("Stop if more than")).toHaveValue("25");
  await page.getByLabel("Rows").fill("4");
  await page.getByLabel("Title").fill("Second");
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL((url) => url.pathname.startsWith("/batches/") && !url.pathname.endsWith(id));
  await finished(page);
  await expect(root(page)).toHaveAttribute("data-total", "12");
});

test("running batches come first and are updated where they are", async ({ page }) => {
  await page.goto("/");
  const { id } = await launchOverApi(page.request, 2, 2, { duration_ms: [60_000, 60_000] }, { title: "Endless" });
  await launchOverApi(page.request, 2, 2, {}, { title: "Short" });
  await expect(async () => {
    await page.goto("/");
    await expect(page.getByRole("region", { name: "Your batches" }).getByRole("checkbox")).toHaveCount(1);
  }).toPass();
  const items = page.getByRole("region", { name: "Your batches" }).getByRole("listitem");
  await expect(items.first()).toContainText("Endless");
  await expect(items.first()).toContainText("Running");
  await page.request.post(`/api/batches/${id}/cancel`);
  await expect(items.first()).toContainText("Cancelled");
  await expect(items.first().getByRole("checkbox", { name: "Select Endless" })).toBeVisible();
});

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with JavaScript" : "without JavaScript", () => {
    test.use({ javaScriptEnabled });

    test("batches are found, and several are deleted after a question", async ({ page }) => {
      await page.goto("/");
      for (const title of ["Nightly 1", "Nightly 2", "Other"]) {
        const { id } = await launchOverApi(page.request, 1, 1, {}, { title });
        // The events end with the batch.
        await page.request.get(`/api/batches/${id}/events`);
      }
      await page.goto("/");
      const list = page.getByRole("region", { name: "Your batches" });
      await expect(list.getByRole("listitem")).toHaveCount(3);
      await list.getByLabel("Search", { exact: true }).fill("nightly");
      await list.getByRole("button", { name: "Apply" }).click();
      await expect(list.getByRole("listitem")).toHaveCount(2);
      await expect(list.getByLabel("Search", { exact: true })).toHaveValue("nightly");
      for (const box of await list.getByRole("checkbox").all()) await box.check();
      await list.getByRole("button", { name: "Delete selected…" }).click();
      await expect(page.getByRole("heading", { level: 1 })).toHaveText("Delete 2 batches?");
      await page.getByRole("button", { name: "Delete 2 batches" }).click();
      await expect(page.getByRole("status")).toContainText("2 batches deleted.");
      await expect(list.getByRole("listitem")).toHaveCount(1);
      await expect(list.getByRole("listitem")).toContainText("Other");
    });
  });
}

test.describe("with reduced motion", () => {
  test.use({ contextOptions: { reducedMotion: "reduce" } });

  test("the small quilt is complete at once", async ({ page }) => {
    await page.goto("/");
    const running = await page.evaluate(() => document.getAnimations().length);
    expect(running).toBe(0);
  });
});
