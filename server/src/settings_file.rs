//! The settings file as a figment provider.

use std::path::PathBuf;

use figment::value::{Dict, Map};
use figment::{Error, Metadata, Profile, Provider};

/// A TOML file with settings. It must exist.
pub(crate) struct SettingsFile(pub(crate) PathBuf);

impl Provider for SettingsFile {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", self.0.as_path())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let text = std::fs::read_to_string(&self.0).map_err(|error| error.to_string())?;
        let settings = toml::from_str(&text).map_err(|error| error.to_string())?;
        Ok(Profile::Default.collect(settings))
    }
}
