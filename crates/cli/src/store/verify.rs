//! `sprat verify`: builds an image again from its record, and compares.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use sprat_image::record::{VerifyingKey, find, verify};

use super::CommandError;
use crate::output::say;
use crate::package::watched;

/// Build an image again from its record alone, without the network, and compare to the last byte
#[derive(Args)]
#[command(after_help = "Examples:
    sprat verify firewall            # the latest image of that name
    sprat verify firewall.image      # the record of that file
    sprat verify 3f0a9c --key release.pub")]
pub(crate) struct VerifyCommand {
    /// The image: its file, its name, or the first digits of its digest or of its record's
    image: String,

    /// Refuse it unless this Ed25519 key (PEM, as `openssl pkey -pubout` writes it) has signed it
    #[arg(long, value_name = "KEY")]
    key: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say("verify", self.text())
    }

    fn text(&self) -> Result<String, CommandError> {
        let begin = Instant::now();
        let key = self.key.as_deref().map(VerifyingKey::read).transpose()?;
        let store = super::open()?;
        let image = find(&store, &self.image)?;
        let folder = tempfile::Builder::new()
            .prefix("sprat-verify-")
            .tempdir()
            .map_err(CommandError::Folder)?;
        let verified =
            watched(|progress| verify(&store, &image, key.as_ref(), folder.path(), progress))?;
        if self.json {
            return Ok(serde_json::to_string_pretty(&verified)? + "\n");
        }
        let mut text = format!(
            "{}: {} crates give the same {} bytes again, {}, in {:.1} s\n",
            verified.name,
            verified.crates,
            verified.bytes,
            verified.image,
            begin.elapsed().as_secs_f64()
        );
        text += &match verified.signer {
            Some(signer) if verified.signature_checked => format!("signed by {signer}\n"),
            Some(signer) => format!("signed, it says, by {signer}; --key checks that\n"),
            None => "not signed\n".to_owned(),
        };
        Ok(text)
    }
}
