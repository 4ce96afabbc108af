//! A suite's package indices: which of them to fetch, and reading them without trusting their size.

use super::release::{self, Release};
use crate::config::SuiteConfig;
use crate::upstream::{Expected, FetchError, Source};
use anyhow::{Context as _, bail, ensure};
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use std::fs::File;
use std::io::{self, BufReader, Read};

/// One index, compressed and uncompressed, at most.
const MAX_INDEX_BYTES: u64 = 1024 * 1024 * 1024;
/// What an `.xz` file may make its reader allocate; archives compress with dictionaries of up to 64 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 96 * 1024 * 1024;
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// How an index is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Xz,
    Gzip,
    None,
}

/// One index of a release, in the forms it can be had, the best first.
#[derive(Debug)]
pub struct Index {
    forms: Vec<(Compression, String, Expected)>,
    /// How long it is when it is not compressed.
    plain_bytes: Option<u64>,
}

/// An index that is what the release says, on its way to be read.
#[derive(Debug)]
pub struct Downloaded {
    /// Where it came from, for people.
    pub address: String,
    file: File,
    compression: Compression,
    plain_bytes: Option<u64>,
}

impl Compression {
    const BEST_FIRST: [Self; 3] = [Self::Xz, Self::Gzip, Self::None];

    fn extension(self) -> &'static str {
        match self {
            Self::Xz => ".xz",
            Self::Gzip => ".gz",
            Self::None => "",
        }
    }
}

/// The indices of the configured components and architectures. An architecture that the release does not serve is left
/// out with a warning, as the archives' own tools do; a component that it does not have is an error.
///
/// # Errors
/// Names what the release does not have, and what it has.
pub fn choose(config: &SuiteConfig, release: &Release) -> anyhow::Result<Vec<Index>> {
    let serves =
        |name: &&str| release.architectures.is_empty() || release.architectures.iter().any(|known| known == name);
    if config.suite.ends_with('/') {
        let index = Index::of("Packages", release).context("the release names no Packages index")?;
        return Ok(vec![index]);
    }
    let configured = config.architectures.iter().map(String::as_str);
    let (served, missing): (Vec<&str>, Vec<&str>) = configured.partition(serves);
    let known = release.architectures.join(" ");
    ensure!(!served.is_empty(), "the release serves none of the architectures {}, but {known}", missing.join(" "));
    if !missing.is_empty() {
        let missing = missing.join(" ");
        tracing::warn!(suite.name = config.name, missing, known, "The suite does not serve an architecture; left out.");
    }
    let mut indices = Vec::new();
    for component in &config.components {
        let all = release.separate_all.then_some("all");
        let before = indices.len();
        let names = served.iter().copied().chain(all);
        indices.extend(names.filter_map(|name| Index::of(&format!("{component}/binary-{name}/Packages"), release)));
        if indices.len() == before {
            bail!("the release has no component {component:?} for {}, but {}", served.join(" "), release.components);
        }
    }
    Ok(indices)
}

impl Index {
    fn of(path: &str, release: &Release) -> Option<Self> {
        let form = |compression: Compression| {
            let path = format!("{path}{}", compression.extension());
            let expected = *release.files.get(&path)?;
            Some((compression, path, expected))
        };
        let forms: Vec<_> = Compression::BEST_FIRST.into_iter().filter_map(form).collect();
        let plain_bytes = release.files.get(path).map(|plain| plain.size);
        (!forms.is_empty()).then_some(Self { forms, plain_bytes })
    }

    /// How many bytes there are to fetch, as far as one can know beforehand.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.forms.first().map_or(0, |(_, _, expected)| expected.size)
    }

    /// Fetches it in the best form that is there, by its digest where the archive has that: then an archive that is
    /// just being updated still serves what its release names.
    ///
    /// # Errors
    /// When no form of it can be had, or one is not what the release says.
    pub async fn download(
        self,
        source: &Source,
        config: &SuiteConfig,
        by_hash: bool,
        arrived: impl Fn(u64),
    ) -> anyhow::Result<Downloaded> {
        let folder = release::folder(config);
        let mut missing = None;
        for (compression, path, expected) in self.forms {
            let path = format!("{folder}{path}");
            ensure!(expected.size <= MAX_INDEX_BYTES, "{path} has {} bytes, too many for an index", expected.size);
            let hashed = by_hash.then(|| {
                let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
                format!("{folder}by-hash/SHA256/{}", expected.sha256)
            });
            for place in hashed.into_iter().chain([path]) {
                match source.download(&place, expected, &arrived).await {
                    Ok(file) => {
                        let address = source.address(&place);
                        return Ok(Downloaded { address, file, compression, plain_bytes: self.plain_bytes });
                    }
                    Err(FetchError::Missing(address)) => missing = Some(FetchError::Missing(address)),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(missing.map_or_else(|| anyhow::anyhow!("the index has no form"), Into::into))
    }
}

impl Downloaded {
    /// Reads it, unpacked: as many bytes as the release says, never more.
    ///
    /// # Errors
    /// When the decoder cannot be had.
    pub fn open(self) -> io::Result<impl io::BufRead> {
        let packed = BufReader::with_capacity(READ_BUFFER_BYTES, self.file);
        let plain: Box<dyn Read> = match self.compression {
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(packed, stream))
            }
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Compression::None => Box::new(packed),
        };
        let bounded =
            Bounded { plain, left: self.plain_bytes.unwrap_or(MAX_INDEX_BYTES), exact: self.plain_bytes.is_some() };
        Ok(BufReader::with_capacity(READ_BUFFER_BYTES, bounded))
    }
}

/// Refuses the first byte too many and, where the length is known, the first too few.
struct Bounded<R> {
    plain: R,
    left: u64,
    exact: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.plain.read(buffer)?;
        match self.left.checked_sub(bytes as u64) {
            None => Err(io::Error::other("it unpacks to more bytes than the release says")),
            Some(left) if bytes == 0 && !buffer.is_empty() && self.exact && left > 0 => {
                Err(io::Error::other("it unpacks to fewer bytes than the release says"))
            }
            Some(left) => {
                self.left = left;
                Ok(bytes)
            }
        }
    }
}
