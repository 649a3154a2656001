"""Holds `cargo leptos` and scripts/build-site.sh together.

Both read [[workspace.metadata.leptos]]. This fails where cargo-leptos would read a setting that the script does not know,
where the names that are compiled in differ from those of the metadata, or where the metadata names what is not there.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What the script reads.
READ = set(re.findall(r"\$\(setting ([a-z-]+)\)", (ROOT / "scripts/build-site.sh").read_text()))

# What has no say in what the site is made of.
WITHOUT_EFFECT = {"name", "bin-package", "bin-target", "bin-exe-name", "site-addr"}

# What the script does without asking. Anything else would need a change of the script.
ASSUMED = {"bin-features": [], "lib-default-features": False}


def problems():
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    projects = metadata["metadata"]["leptos"]
    if len(projects) != 1:
        yield f"there are {len(projects)} [[workspace.metadata.leptos]], and the script builds one"
    site = projects[0]

    for key in sorted(READ - site.keys()):
        yield f"scripts/build-site.sh reads '{key}', which the metadata does not have"
    for key in sorted(site.keys() - READ - WITHOUT_EFFECT - ASSUMED.keys()):
        yield f"cargo-leptos reads '{key}', which scripts/build-site.sh does not know"
    for key, assumed in ASSUMED.items():
        if site.get(key) != assumed:
            yield f"'{key}' is {site.get(key)!r}, and scripts/build-site.sh assumes {assumed!r}"

    targets = {package["name"]: {target["name"] for target in package["targets"]} for package in metadata["packages"]}
    if site["bin-target"] not in targets.get(site["bin-package"], ()):
        yield f"there is no binary '{site['bin-target']}' in the package '{site['bin-package']}'"
    if site["lib-package"] not in targets:
        yield f"there is no package '{site['lib-package']}'"
    for key in ("style-file", "assets-dir"):
        if not (ROOT / site[key]).exists():
            yield f"'{key}' names {site[key]}, which is not there"

    cargo = tomllib.loads((ROOT / ".cargo/config.toml").read_text())
    if cargo["env"]["LEPTOS_OUTPUT_NAME"] != site["output-name"]:
        yield "LEPTOS_OUTPUT_NAME in .cargo/config.toml differs from 'output-name'"
    server = (ROOT / "server/src/server.rs").read_text()
    if f'.output_name("{site["output-name"]}")' not in server:
        yield "the output name in server/src/server.rs differs from 'output-name'"

    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    if not workspace["dependencies"]["wasm-bindgen"].startswith("="):
        yield "wasm-bindgen is not pinned, and its command line tool has to be of the same version"


found = list(problems())
for problem in found:
    print(f"error: {problem}", file=sys.stderr)
sys.exit(1 if found else 0)
