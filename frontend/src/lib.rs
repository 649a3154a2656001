//! The WebAssembly entry point that hydrates the app.
