//! Which simulated worlds a test runs in.

/// As many worlds as usual, always the same ones, and in CI another one that is drawn anew. `SIMULATION_SEED` asks for one world, and
/// `SIMULATION_RUNS` for so many instead of the usual number.
pub(crate) fn seeds(usual: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("SIMULATION_SEED") {
        return vec![seed];
    }
    let mut seeds: Vec<u64> = (0..number("SIMULATION_RUNS").unwrap_or(usual)).collect();
    if std::env::var_os("CI").is_some() {
        let drawn = rand::random::<u32>().into();
        eprintln!("besides the usual worlds, that of SIMULATION_SEED={drawn}");
        seeds.push(drawn);
    }
    seeds
}
