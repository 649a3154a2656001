//! Output: results on standard output, progress on standard error.

/// Prints a result.
#[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
pub(crate) fn report(line: &str) {
    println!("{line}");
}

/// Prints the name of the next step.
pub(crate) fn say(step: &str) {
    eprintln!("\x1b[1m==>\x1b[0m {step}");
}
