#!/bin/sh
# Builds what the browser gets into the site folder: WebAssembly, style and assets, as `cargo leptos build` would,
# from the same metadata. cargo-leptos itself is not needed.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# A key of [[workspace.metadata.leptos]].
setting() {
  cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["metadata"]["leptos"][0][sys.argv[1]])' "$1"
}

name=$(setting output-name)
lib=$(setting lib-package)
profile=$(setting lib-profile-release)
site=$ROOT/$(setting site-root)
pkg=$site/$(setting site-pkg-dir)
style=$(setting style-file)
assets=$(setting assets-dir)

say "building the WebAssembly (a few minutes the first time)"
cargo build --package "$lib" --lib --target $WASM_TARGET --profile "$profile"
mkdir -p "$pkg"
module=$(target_dir)/$WASM_TARGET/$profile/$lib.wasm
# Always, because cargo-leptos may have left a debug build here.
"$TOOLS/wasm-bindgen-$(locked_version wasm-bindgen)/bin/wasm-bindgen" "$module" \
  --target web --no-typescript --remove-name-section --out-dir "$pkg" --out-name "$name"
mv "$pkg/${name}_bg.wasm" "$pkg/$name.wasm"
cp "$style" "$pkg/$name.css"
cp -R "$assets/." "$site/"

# What is compressed once need not be compressed for each visitor.
find "$site" -name '*.br' -delete
if have node; then
  node "$ROOT/scripts/compress.mjs" "$pkg/$name.wasm" "$pkg/$name.js" "$pkg/$name.css"
fi
