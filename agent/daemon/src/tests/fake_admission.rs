//! Which certificates the fake site takes of its one client, as a site decides it.

use farrier_protocol::Digest;
use farrier_protocol::enrollment::{EXCLUSION_HEADER, Exclusion};
use rcgen::{CertificateParams, date_time_ymd};

/// Who is let in, and with which certificate.
#[derive(Debug, Default)]
pub(in crate::tests) struct Admission {
    /// The client is kept out, for this reason.
    pub exclusion: Option<Exclusion>,
    /// Half of the time of certificates is over when they are made, by whatever clock.
    pub half_over: bool,
    /// So many answers to renewals are lost.
    pub lost_answers: u32,
    newest: Option<Digest>,
    previous: Option<Digest>,
}

impl Admission {
    pub(super) fn set_validity(&self, params: &mut CertificateParams) {
        if self.half_over {
            (params.not_before, params.not_after) = (date_time_ymd(1975, 1, 1), date_time_ymd(2075, 1, 1));
        }
    }

    pub(super) fn enrolled(&mut self, certificate: &[u8]) {
        (self.newest, self.previous) = (Some(Digest::of(certificate)), None);
    }

    /// Why whoever shows this certificate is kept out, if that is so; the one before it is void from now on.
    pub(super) fn exclusion_of(&mut self, certificate: &Digest) -> Option<Exclusion> {
        if self.newest.as_ref() == Some(certificate) {
            self.previous = None;
        } else if self.previous.as_ref() != Some(certificate) {
            return Some(Exclusion::Superseded);
        }
        self.exclusion
    }

    /// Takes the new certificate, and the one that was used, from now on. False if nobody is to hear of it.
    pub(super) fn renewed(&mut self, used: &Digest, certificate: &[u8]) -> bool {
        (self.newest, self.previous) = (Some(Digest::of(certificate)), Some(*used));
        let is_heard = self.lost_answers == 0;
        self.lost_answers = self.lost_answers.saturating_sub(1);
        is_heard
    }
}

pub(super) fn kept_out(exclusion: Exclusion) -> Vec<u8> {
    let (word, said) = (exclusion.as_str(), format!("This client is {}.", exclusion.as_str()));
    let length = said.len();
    format!("HTTP/1.1 403 Forbidden\r\n{EXCLUSION_HEADER}: {word}\r\ncontent-length: {length}\r\n\r\n{said}")
        .into_bytes()
}
