//! A repository and its owners.

use crate::random::Random;
use crate::site::{LATER, NOW, Site, key};
use farrier_trust::{Answer, Client, Draft, Request, RoleKeys, Signed, TrustError};
use std::collections::{BTreeMap, BTreeSet};

pub const DELEGATED: [&str; 3] = ["native", "plugins", "policies"];
pub const TOP: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];
pub const ONLINE: [&str; 2] = ["timestamp", "snapshot"];

pub struct World {
    pub random: Random,
    pub site: Site,
    /// What the owners ever signed, by role and signed bytes, and by which keys.
    pub signed: BTreeMap<(String, Vec<u8>), BTreeSet<u8>>,
    /// Every file that was ever published, by name.
    pub published: BTreeMap<String, Vec<Vec<u8>>>,
    /// Keys that the attacker has: of no role, at no time, as many as must sign...
    pub stolen: BTreeSet<u8>,
    /// ...but for these: all keys of timestamp and snapshot.
    pub owns_online: bool,
    next_key: u8,
    pub now: i64,
    /// Whether the last update came as far as the timestamp.
    pub found_newest_root: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random(seed),
            site: Site::new(),
            signed: BTreeMap::new(),
            published: BTreeMap::new(),
            stolen: BTreeSet::new(),
            owns_online: seed.is_multiple_of(3),
            next_key: 30,
            now: NOW,
            found_newest_root: false,
        };
        world.site.hashed = world.random.one_in(2);
        for role in DELEGATED {
            world.site.delegate("targets", role, 20, &[&format!("{role}/*")]);
        }
        for role in TOP.into_iter().chain(DELEGATED) {
            world.rekey(role);
        }
        world.site.root.version = 0;
        world.site.files.clear();
        world.publish_root();
        world.publish(&["targets", "native", "plugins", "policies"]);
        world
    }

    /// New keys for a role, some of which the attacker steals.
    fn rekey(&mut self, role: &str) {
        let threshold = 1 + self.random.below(3);
        let count = threshold + self.random.below(2);
        let keep = if self.random.one_in(2) { self.site.signers[role].clone() } else { Vec::new() };
        let mut numbers: Vec<u8> = keep.into_iter().take(count - 1).filter(|number| *number >= 30).collect();
        while numbers.len() < count {
            numbers.push(self.next_key);
            self.next_key += 1;
        }
        if self.owns_online && ONLINE.contains(&role) {
            self.stolen.extend(&numbers);
            return self.site.rekey(role, &numbers, threshold as u64);
        }
        for number in &numbers {
            let stolen = numbers.iter().filter(|number| self.stolen.contains(number)).count();
            if stolen + 1 < threshold && self.random.one_in(2) {
                self.stolen.insert(*number);
            }
        }
        // Keys that are kept may have been stolen when more of them had to sign.
        let threshold = threshold.max(1 + numbers.iter().filter(|number| self.stolen.contains(number)).count());
        if TOP.contains(&role) {
            self.site.rekey(role, &numbers, threshold as u64);
        } else {
            self.rekey_delegation(role, &numbers, threshold as u64);
        }
    }

    fn rekey_delegation(&mut self, role: &str, numbers: &[u8], threshold: u64) {
        let delegations = self.site.roles.get_mut("targets").unwrap().delegations.as_mut().unwrap();
        for number in numbers {
            delegations.keys.insert(key(*number).key_id(), key(*number).public().to_key());
        }
        let keyids = numbers.iter().map(|number| key(*number).key_id()).collect();
        delegations.roles.iter_mut().find(|delegation| delegation.name == role).unwrap().keys =
            RoleKeys::new(keyids, threshold);
        self.site.signers.insert(role.into(), numbers.to_vec());
    }

    /// The next root, signed by the keys of the one before it too.
    fn publish_root(&mut self) {
        let before = self.site.files.get(&format!("{}.root.json", self.site.root.version));
        let old_signers = before.map(|bytes| self.signed[&("root".into(), signed_bytes(bytes))].clone());
        let new_signers = self.site.signers["root"].clone();
        let both = new_signers.iter().copied().chain(old_signers.into_iter().flatten()).collect::<BTreeSet<u8>>();
        self.site.signers.insert("root".into(), both.into_iter().collect());
        self.site.publish_root();
        self.note("root", &format!("{}.root.json", self.site.root.version));
        self.site.signers.insert("root".into(), new_signers);
    }

    fn publish(&mut self, roles: &[&str]) {
        for role in roles {
            let content = self.random.next().to_le_bytes();
            self.site.add_target(role, &format!("{role}/{}", self.random.below(3)), &content);
            self.site.publish_role(role);
            self.note(role, &format!("{}.{role}.json", self.site.roles[*role].version));
        }
        self.site.publish_snapshot();
        self.note("snapshot", &format!("{}.snapshot.json", self.site.snapshot.version));
        self.publish_timestamp();
    }

    fn publish_timestamp(&mut self) {
        self.site.publish_timestamp();
        self.note("timestamp", "timestamp.json");
    }

    fn note(&mut self, role: &str, file: &str) {
        let bytes = self.site.files[file].clone();
        let signers = self.site.signers[role].iter().copied().collect();
        self.signed.insert((role.into(), signed_bytes(&bytes)), signers);
        self.published.entry(file.into()).or_default().push(bytes);
    }

    /// Something that the owners do.
    pub fn go_on(&mut self) {
        let every_role: Vec<&str> = ["targets"].into_iter().chain(DELEGATED).collect();
        match self.random.below(10) {
            0 => {
                let role = *self.random.pick(&TOP);
                self.rekey(role);
                self.publish_root();
                // Whatever the new keys must sign is signed by them, and the repository is whole again.
                self.publish(&every_role);
            }
            1 => {
                let role = *self.random.pick(&DELEGATED);
                self.rekey(role);
                self.publish(&["targets", role]);
            }
            2 => {
                self.now += 86_400;
                let expires = self.now + 86_400 * (1 + i64::try_from(self.random.below(40)).unwrap());
                self.site.timestamp.expires = expires;
                self.site.snapshot.expires = LATER.max(expires);
                self.site.roles.values_mut().for_each(|role| role.expires = LATER.max(expires));
                self.site.root.expires = LATER.max(expires);
                self.publish_root();
                self.publish(&every_role);
            }
            3 => self.publish(&[]),
            4 | 5 => self.publish_timestamp(),
            _ => {
                let role = *self.random.pick(&every_role);
                self.publish(&[role]);
            }
        }
    }

    /// Brings a client up to date and has it search for a few targets.
    pub fn update(&mut self, client: &mut Client, is_attacked: bool) -> Result<(), TrustError> {
        let now = self.now;
        self.found_newest_root = false;
        let mut refresh = client.refresh(now);
        while let Some(request) = refresh.next()? {
            self.found_newest_root |= request.file == "timestamp.json";
            let answer = self.answer(&request, is_attacked);
            refresh.receive(answer.as_deref().map_or(Answer::Missing, Answer::Found))?;
        }
        for role in DELEGATED {
            let path = format!("{role}/{}", self.random.below(3));
            let mut search = client.search(&path, now);
            while let Some(request) = search.next()? {
                let answer = self.answer(&request, is_attacked);
                search.receive(answer.as_deref().map_or(Answer::Missing, Answer::Found))?;
            }
            if let Some(target) = search.finish()? {
                assert_eq!(target.role, role);
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: &Request, is_attacked: bool) -> Option<Vec<u8>> {
        let answer = if is_attacked { self.attack(request) } else { self.site.files.get(&request.file).cloned() };
        answer.filter(|bytes| bytes.len() as u64 <= request.max_bytes)
    }
}

pub fn signed_bytes(bytes: &[u8]) -> Vec<u8> {
    Draft::from_bytes("", bytes).unwrap().signed_bytes()
}

pub fn read<S: Signed>(bytes: &[u8]) -> S {
    Draft::from_bytes("", bytes).unwrap().content().unwrap()
}
