//! `sprat verify`: builds an image again from its record, and compares.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use sprat_image::record::{VerifyingKey, find, verify};

use super::CommandError;
use crate::disk::assemble_recorded;
use crate::output::say;
use crate::package::watched;

/// Builds an image again from its record alone, without the network, and compares to the last byte
#[derive(Args)]
#[command(after_help = "Examples:
    sprat verify firewall            # the latest image of that name
    sprat verify firewall.image      # the record of that file; firewall.elf or firewall.disk as well
    sprat verify 3f0a9c --key release.pub")]
pub(crate) struct VerifyCommand {
    /// The image: its file, its name, or the first digits of its digest or of its record's
    image: String,

    /// Refuses it unless this Ed25519 key (PEM, as `openssl pkey -pubout` writes it) has signed it
    #[arg(long, value_name = "KEY")]
    key: Option<PathBuf>,

    /// Prints JSON
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say(self.text())
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
        let verified = watched(|progress| {
            let key = key.as_ref();
            verify(
                &store,
                &image,
                key,
                folder.path(),
                &assemble_recorded,
                progress,
            )
        })?;
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
        if let Some(boot) = &verified.boot {
            text += &format!(
                "it boots by itself: with the boot monitor, built again, it is the same elf of {} \
                 bytes, {}, and the same disk of {} bytes, {}\n",
                boot.elf_bytes, boot.elf, boot.disk_bytes, boot.disk
            );
        }
        let key = self.key.as_deref().filter(|_| verified.signature_checked);
        text += &signature(verified.signer.as_deref(), key);
        Ok(text)
    }
}

/// What is said of a signature: by which key, and with which key it was checked.
fn signature(signer: Option<&str>, checked_with: Option<&Path>) -> String {
    match (signer, checked_with) {
        (Some(signer), Some(key)) => {
            format!(
                "signed by {}, signature good; the key is {signer}\n",
                key.display()
            )
        }
        (Some(signer), None) => format!("signed, it says, by {signer}; --key checks that\n"),
        (None, _) => "not signed\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signature_that_was_checked_is_called_good() {
        let key = Path::new("release.pub");
        let checked = signature(Some("sha256:ab"), Some(key));
        assert!(
            checked.starts_with("signed by release.pub, signature good"),
            "{checked}"
        );
        for unchecked in [signature(Some("sha256:ab"), None), signature(None, None)] {
            assert!(!unchecked.contains("good"), "{unchecked}");
        }
    }
}
