//! `owl config check`, `owl config show` and `owl config schema`.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::{Config, Effective, Environment, Overrides, Problems, Terms, schema_text};

/// The exit code for a configuration that is wrong.
pub const BAD_CONFIGURATION: u8 = 2;

/// Looks at the configuration.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Says what is wrong with the configuration, all at once
    #[command(after_help = "Examples:\n  owl config check\n  owl config check --config /etc/owl/owl.json5")]
    Check(Overrides),
    /// Prints the configuration that is in effect, and where each value comes from; secrets as ****
    #[command(after_help = "Examples:\n  owl config show\n  OWL_BASE_URL=http://127.0.0.1:8000 owl config show")]
    Show(Overrides),
    /// Prints the JSON Schema of the configuration
    #[command(after_help = "Examples:\n  owl config schema > owl.schema.json")]
    Schema,
}

impl ConfigCommand {
    /// Runs the command. The result goes to `out`, problems and warnings to `err`.
    ///
    /// # Errors
    /// `out` or `err` cannot be written.
    pub fn run(&self, environment: &Environment, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
        match self {
            Self::Check(overrides) => check(overrides, environment, out, err),
            Self::Show(overrides) => show(overrides, environment, out, err),
            Self::Schema => write!(out, "{}", schema_text()).map(|()| ExitCode::SUCCESS),
        }
    }
}

/// `owl config check`: one line when all is well.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn check(
    overrides: &Overrides,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    match Config::load_with(overrides, environment) {
        Ok(config) => {
            write_warnings(&config, err)?;
            let source = config.source.as_ref().map_or("the environment".to_owned(), |path| path.display().to_string());
            let providers: Vec<_> = config.providers.iter().map(|provider| provider.upstream.name.as_str()).collect();
            let (keys, listen) = (config.gateway.keys.len(), config.gateway.listen);
            writeln!(
                out,
                "{source} is right: providers: {}; client keys: {keys}; listens on {listen}",
                providers.join(", ")
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => write_problems(&problems, err),
    }
}

/// `owl config show`.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn show(
    overrides: &Overrides,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    match Effective::load(overrides, environment, Terms::TOOLS) {
        Ok(effective) => {
            write_warnings(&effective.config, err)?;
            write!(out, "{}", effective.show())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => write_problems(&problems, err),
    }
}

/// Writes what is wrong, and returns the exit code for it. Every command that loads the configuration ends so.
///
/// # Errors
/// `err` cannot be written.
pub fn write_problems(problems: &Problems, err: &mut dyn Write) -> io::Result<ExitCode> {
    writeln!(err, "{problems}")?;
    Ok(ExitCode::from(BAD_CONFIGURATION))
}

/// Writes what is worth a word.
///
/// # Errors
/// `err` cannot be written.
pub fn write_warnings(config: &Config, err: &mut dyn Write) -> io::Result<()> {
    config.warnings.iter().try_for_each(|warning| writeln!(err, "warning: {warning}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_to_out_and_problems_to_err() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("owl.json5");
        let check =
            |command: fn(Overrides) -> ConfigCommand, text: &str, code: ExitCode, in_out: &str, in_err: &str| {
                std::fs::write(&file, text).expect("a file");
                let overrides = Overrides { config: Some(file.clone()), ..Overrides::default() };
                let (mut out, mut err) = (Vec::new(), Vec::new());
                let variables = Environment::these([("OWL_AUTH", "none"), ("OWL_API_KEY", "canary")]);
                let found = command(overrides).run(&variables, &mut out, &mut err).expect("written");
                let (out, err) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
                assert_eq!(found, code, "{out}{err}");
                assert!(out.contains(in_out) && out.is_empty() == in_out.is_empty(), "{out}");
                assert!(err.contains(in_err) && err.is_empty() == in_err.is_empty(), "{err}");
                assert!(!out.contains("canary") && !err.contains("canary"));
            };
        let right = "{ models: { providers: { owl: { baseUrl: \"https://llm.corp.example\" } } } }";
        let bad = ExitCode::from(BAD_CONFIGURATION);
        let unused = "warning: OWL_API_KEY: models.providers.owl.apiKey: this key is not used";
        check(ConfigCommand::Check, right, ExitCode::SUCCESS, "is right: providers: owl; client keys: 0", unused);
        check(ConfigCommand::Show, right, ExitCode::SUCCESS, "auth: \"none\", // OWL_AUTH", unused);
        check(ConfigCommand::Check, "{ modles: {} }", bad, "", "owl.json5:1:3: modles: this key is not known here");
        check(ConfigCommand::Show, "{", bad, "", "owl.json5:1:2: expected a key");
        let text_as_ca = "{ models: { providers: { owl: { baseUrl: \"https://llm.corp.example\",\n  tls: { ca: \"owl.json5\" } } } } }";
        let place = "owl.json5:2:14: models.providers.owl.tls.ca: ";
        check(ConfigCommand::Check, text_as_ca, bad, "", place);
        check(|_| ConfigCommand::Schema, right, ExitCode::SUCCESS, "\"$schema\"", "");
    }
}
