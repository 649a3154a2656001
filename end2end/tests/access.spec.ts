// Accessibility: without JavaScript, with the keyboard alone, with assistive technology, on a phone, in dark mode.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { banner, cancel, finished, launch, launchOverApi, root, squares } from "./quilt";
import { expect, test } from "./server";

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("the form launches, and the page follows the batch to its finish line", async ({ page }) => {
    await page.goto("/?work=color");
    await page.getByText("Failures and limits").click();
    await page.getByLabel("Longest task").fill("3");
    await page.getByRole("button", { name: "Launch" }).click();
    await page.waitForURL(/\/batches\//);
    await expect(squares(page)).toHaveCount(64);
    // The page reloads itself until then.
    await finished(page);
    await expect(squares(page, "done")).toHaveCount(64);
    await expect(banner(page)).toContainText("All 64 done");
    await expect(page.locator("meta[http-equiv=refresh]")).toHaveCount(0);
  });

  test("a refused form says why", async ({ page }) => {
    await page.goto("/?work=color");
    await page.getByText("Failures and limits").click();
    await page.getByLabel("Shortest task").fill("5");
    await page.getByLabel("Longest task").fill("2");
    await page.getByRole("button", { name: "Launch" }).click();
    // The section with the field is open on the page that comes back.
    await expect(page.getByText("Shortest task (5 s) must not be longer than Longest task (2 s).")).toBeVisible();
    await expect(page.getByLabel("Shortest task")).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByLabel("Shortest task")).toHaveAccessibleDescription(/must not be longer/);
  });

  test("cancel and retry work as plain forms", async ({ page }) => {
    await page.goto("/");
    const { id } = await launchOverApi(page.request, 8, 8, { duration_ms: [60_000, 60_000] });
    await page.goto(`/batches/${id}`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await expect(root(page)).toHaveAttribute("data-status", "cancelled");
    const failing = await launchOverApi(page.request, 4, 4, { failure_rate: 1 }, { attempts: 1 });
    await page.goto(`/batches/${failing.id}`);
    await finished(page);
    await page.getByRole("button", { name: "Retry failed" }).click();
    await expect(root(page)).toHaveAttribute("data-lap", "2");
  });
});

test("everything can be done with the keyboard alone", async ({ page }) => {
  await page.goto("/?work=color");
  await expect(page.getByRole("button", { name: "Launch" })).toBeEnabled();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  const kinds = page.getByRole("navigation", { name: "What the tasks do" }).getByRole("link");
  await expect(kinds.first()).toBeFocused();
  for (let kind = await kinds.count(); kind > 0; kind--) await page.keyboard.press("Tab");
  await expect(page.getByRole("radio", { name: "8 × 8" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("radio", { name: "32 × 32" })).toBeChecked();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Longest task")).toBeVisible();
  for (let field = 0; field < 3; field++) await page.keyboard.press("Tab");
  await expect(page.getByLabel("Longest task")).toBeFocused();
  await page.keyboard.type("0.2");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/batches\//);
  await finished(page);

  await squares(page).first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await expect(squares(page).nth(9)).toBeFocused();
  await page.keyboard.press("Control+End");
  await expect(squares(page).nth(63)).toBeFocused();
  await expect(squares(page).nth(63)).toHaveAccessibleName(/^Row 7, column 7: done, #[0-9A-F]{6}$/);
  await page.keyboard.press("Home");
  await expect(squares(page).nth(56)).toBeFocused();
  // The quilt is a single tab stop.
  await expect(page.locator("[role=gridcell][tabindex='0']")).toHaveCount(1);
  // The next tab stops are the details of the chosen square, followed by the banner.
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("region", { name: "Square" }).getByRole("button", { name: "Close" })).toBeFocused();
  const lastAcross = page.getByRole("status", { name: "Finish" }).getByRole("button", { name: /^row \d, column \d$/ });
  await lastAcross.focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("[data-last-across]")).toBeFocused();
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, viewport] of Object.entries({ desktop: { width: 1200, height: 900 }, phone: { width: 390, height: 844 } })) {
    test.describe(`${colorScheme}, ${device}`, () => {
      test.use({ colorScheme, viewport, contextOptions: { reducedMotion: "reduce" } });

      test("every state is accessible and fits", async ({ page }) => {
        test.slow();
        const look = async (name: string) => {
          await page.screenshot({ path: `artifacts/screenshots/${name}-${colorScheme}-${device}.png`, fullPage: true });
          const { violations } = await new AxeBuilder({ page }).analyze();
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`), name).toEqual([]);
          expect(await overflow(page), `${name} does not scroll sideways`).toBe(0);
        };
        await page.goto("/");
        await look("home");
        await page.goto("/?work=color");
        await page.getByText("Failures and limits").click();
        await look("form");
        await launch(page, "8 × 8", { failures: 30, attempts: 1, shortest: 100, longest: 5_000 });
        await expect(root(page)).toHaveAttribute("data-connection", "live");
        await expect(squares(page, "done").first()).toBeVisible();
        await look("running");
        await finished(page);
        await look("failed");
        const reason = page.getByRole("region", { name: "Failures" }).getByRole("button", { name: /×/ }).first();
        await reason.click();
        await expect(reason).toHaveAttribute("aria-pressed", "true");
        await squares(page, "failed").first().click();
        await expect(page.getByRole("region", { name: "Square" }).getByRole("button", { name: "Close" })).toBeVisible();
        await look("reason-and-inspector");
        await page.getByRole("region", { name: "Square" }).getByRole("button", { name: "Close" }).click();
        await page.getByRole("heading", { name: "Results" }).click();
        await expect(page.getByRole("table").getByRole("row").nth(1)).toBeVisible();
        await look("results");
        const { id } = await launchOverApi(page.request, 8, 8);
        await page.goto(`/batches/${id}`);
        await finished(page);
        await look("finished");
        const endless = await launchOverApi(page.request, 8, 8, { duration_ms: [60_000, 60_000] });
        await page.goto(`/batches/${endless.id}`);
        await expect(root(page)).toHaveAttribute("data-connection", "live");
        await page.getByRole("button", { name: "Cancel batch" }).click();
        await expect(page.getByRole("dialog")).toBeVisible();
        await look("dialog");
        await page.getByRole("dialog").getByRole("button", { name: "Cancel batch" }).click();
        await expect(root(page)).toHaveAttribute("data-status", "cancelled");
        await look("cancelled");
        await page.goto("/nowhere");
        await look("not-found");
        await page.getByRole("link", { name: "API", exact: true }).click();
        await expect(page.getByRole("heading", { name: "The HTTP API" })).toBeVisible();
        await look("docs");
        await page.goto("/");
        const list = page.getByRole("region", { name: "Your batches" });
        await expect(list.getByRole("listitem")).toHaveCount(3);
        await look("list");
        await list.getByRole("checkbox").first().check();
        await list.getByRole("button", { name: "Delete selected…" }).click();
        await expect(page.getByRole("heading", { name: "Delete 1 batch?" })).toBeVisible();
        await look("delete");
      });
    });
  }
}

async function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
