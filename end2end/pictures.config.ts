import { defineConfig } from "@playwright/test";
import config from "./playwright.config";

// Nothing else may run beside a film.
export default defineConfig(config, { testDir: "pictures", workers: 1, reporter: "list", use: { trace: "off", screenshot: "off" } });
