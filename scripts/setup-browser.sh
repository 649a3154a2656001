#!/bin/sh
# Installs the npm packages of the browser tests, and Chromium if the system has none. Prints the path of the system's Chromium, or nothing
# if Playwright's own is used.
. "$(dirname "$0")/lib.sh"
cd "$ROOT/end2end"

"$ROOT/scripts/setup-npm.sh"

has_own_chromium() {
  node -e 'import("@playwright/test").then(({ chromium }) => process.exit(require("fs").existsSync(chromium.executablePath()) ? 0 : 1))'
}

for chromium in "${CHROMIUM:-}" /usr/bin/chromium /usr/bin/google-chrome; do
  if [ -n "$chromium" ] && [ -x "$chromium" ]; then
    echo "$chromium"
    exit
  fi
done
has_own_chromium && exit
say "installing a browser for the tests (a minute or two)"
if npx playwright install chromium-headless-shell chromium >&2 && has_own_chromium; then
  exit
fi
say "Playwright's own browser cannot be downloaded here; installing Debian's"
debian_install chromium fonts-liberation
echo /usr/bin/chromium
