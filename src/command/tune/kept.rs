//! Where times are kept from one run to the next: a file for each adapter and driver in the user's folder for caches.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::gpu::{AdapterInfo, Gpu};
use crate::network::Network;
use crate::tuning::{Batches, FileError, Tuning, network_key};
use crate::weights::hex;

/// `off`, or a file in place of that in the folder for caches.
const VARIABLE: &str = "GRADCAM_TUNING";

/// A file of a thousand layers has a third of that.
const MOST_BYTES: u64 = 4 << 20;

/// Where an adapter's times are.
pub(crate) enum Place {
    /// They are not wanted.
    Off,
    /// There is no folder for caches.
    Nowhere,
    /// In that folder.
    Folder(PathBuf),
    /// In a file that was named.
    Named(PathBuf),
}

/// Why a file gives no times.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cannot be read ({0})")]
    Io(#[from] io::Error),
    #[error(transparent)]
    File(#[from] FileError),
}

/// The place of an adapter's times.
pub(crate) fn place_of(adapter: &AdapterInfo) -> Place {
    match env::var_os(VARIABLE) {
        Some(named) if named == "off" => Place::Off,
        Some(named) if !named.is_empty() => Place::Named(named.into()),
        _ => caches().map_or(Place::Nowhere, |folder| {
            Place::Folder(folder.join("gradcam/tuning").join(file_name(adapter)))
        }),
    }
}

/// The user's folder for caches, where the system says where it is.
fn caches() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty());
    if cfg!(windows) {
        return set("LOCALAPPDATA").map(PathBuf::from);
    }
    let home = || set("HOME").map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library/Caches"));
    }
    // A relative one is to be ignored, by the specification of these folders.
    let named = set("XDG_CACHE_HOME").map(PathBuf::from);
    let named = named.filter(|folder| folder.is_absolute());
    named.or_else(|| home().map(|home| home.join(".cache")))
}

/// Letters, digits and hyphens of an adapter's name, backend and driver, and a number that tells apart what these do not.
fn file_name(adapter: &AdapterInfo) -> String {
    let of_all = [&adapter.name, &adapter.backend, &adapter.driver].map(String::as_str);
    let digest = Sha256::digest(of_all.join("\n"));
    let words: Vec<String> = of_all
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let words = words.join("-");
    let shown = words.get(..80).unwrap_or(&words);
    format!("{shown}-{}.json", hex(&digest[..4]))
}

/// The times at `path` of adapter `here`; `None` where there is no file.
pub(crate) fn read(path: &Path, here: &AdapterInfo) -> Result<Option<Tuning>, ReadError> {
    // What is no file may have no end.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.is_file() || metadata.len() > MOST_BYTES => {
            let what = "it is a folder, a device or longer than any tuning".into();
            return Err(FileError::Broken(what).into());
        }
        Ok(_) => {}
    }
    let mut bytes = vec![];
    fs::File::open(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|error| FileError::Broken(error.to_string()))?;
    Ok(Some(Tuning::of_json(&text, here)?))
}

/// What is kept for a device.
#[derive(Default)]
pub(crate) struct Tuned {
    /// The file that it is from; `None` where there is none.
    pub(crate) file: Option<PathBuf>,
    /// See [`Tuning::batches`].
    batches: Vec<Batches>,
}

impl Tuned {
    /// What was measured of a network by pictures at once.
    pub(crate) fn batches(&self, network: &Network) -> Option<&Batches> {
        if self.batches.is_empty() {
            return None;
        }
        let key = network_key(network);
        self.batches.iter().find(|there| there.network == key)
    }
}

/// The device with the times that are kept for it, and what else is; what is wrong with the file goes to `notes`.
pub(crate) fn tuned(gpu: Gpu, notes: &mut Vec<String>) -> (Gpu, Tuned) {
    let (path, is_named) = match place_of(gpu.info()) {
        Place::Off | Place::Nowhere => return (gpu, Tuned::default()),
        Place::Folder(path) => (path, false),
        Place::Named(path) => (path, true),
    };
    let wrong = match read(&path, gpu.info()) {
        Ok(Some(tuning)) => {
            let tuned = Tuned {
                file: Some(path),
                batches: tuning.batches,
            };
            return (gpu.with_costs(tuning.costs), tuned);
        }
        Ok(None) if is_named => "is not there".to_owned(),
        Ok(None) => return (gpu, Tuned::default()),
        Err(error) => error.to_string(),
    };
    notes.push(format!(
        "{} {wrong}: the built-in model chooses the kernels; `gradcam tune` measures them and writes it",
        path.display()
    ));
    (gpu, Tuned::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, driver: &str) -> AdapterInfo {
        AdapterInfo {
            name: name.into(),
            backend: "vulkan".into(),
            kind: "other",
            driver: driver.into(),
        }
    }

    #[test]
    fn each_adapter_and_driver_has_a_file_of_its_own_with_a_plain_name() {
        let names = [
            adapter("Abacus 9 (beads)", "Mesa 22.3.6"),
            adapter("Abacus 9 (beads)", "Mesa 25.0.7"),
            adapter("Abacus 9 beads", "Mesa 22.3.6"),
            adapter("../../算盤/\0", "Mesa 22.3.6"),
            adapter(&"long".repeat(100), ""),
            adapter("", ""),
        ]
        .map(|adapter| file_name(&adapter));
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name}");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let stem = name.strip_suffix(".json").unwrap();
            assert!(stem.chars().all(plain) && name.len() < 100, "{name}");
        }
        assert!(
            names[0].starts_with("abacus-9-beads-vulkan-mesa-22-3-6-"),
            "{}",
            names[0]
        );
    }
}
