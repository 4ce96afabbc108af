//! What a client says of the versions of its plugins.

use crate::messages::{Golden, bytes, golden};
use farrier_protocol::state_message::{Abilities, Difference, FallBack, ShadowResult, StateMessage, bounded};
use farrier_protocol::{ComplianceState, UpdateId};

pub fn all() -> Vec<Golden> {
    vec![
        golden("StateMessage.Abilities", StateMessage::Abilities(Box::new(abilities()))),
        golden("StateMessage.Shadow", StateMessage::Shadow(Box::new(shadow()))),
        golden("StateMessage.Shadow.gone", StateMessage::Shadow(Box::new(no_shadow()))),
        golden("StateMessage.Difference", StateMessage::Difference(Box::new(difference()))),
        golden("StateMessage.FallBack", StateMessage::FallBack(Box::new(fall_back()))),
        golden("StateMessage.FallBack.over", StateMessage::FallBack(Box::new(no_fall_back()))),
    ]
}

fn abilities() -> Abilities {
    Abilities {
        wit: bounded("1.0.0"),
        engine: bounded("wasmtime-48.0.8/native-x86_64-linux/settings-1"),
        plugin_memory_bytes: 50_331_648,
        component_bytes: 1_048_576,
    }
}

fn shadow() -> ShadowResult {
    ShadowResult {
        plugin: bounded("dpkg"),
        version: bounded("0.1.0"),
        shadow_version: bounded("0.2.0"),
        scanned_at: 1_800_000_030,
        compared: 66_494,
        differing: 300,
        error: bounded("2 of 400 chunks: evaluate: it panicked at src/lib.rs:1:2: no version"),
    }
}

fn no_shadow() -> ShadowResult {
    ShadowResult {
        plugin: bounded("dpkg"),
        version: bounded(""),
        shadow_version: bounded(""),
        scanned_at: 0,
        compared: 0,
        differing: 0,
        error: bounded(""),
    }
}

fn difference() -> Difference {
    Difference {
        plugin: bounded("dpkg"),
        update: UpdateId(bytes(0x10)),
        state: ComplianceState::Required,
        shadow_state: ComplianceState::Installed,
        detail: bounded("libssl3: 3.0.15-1 is older than 3.0.17-1~deb12u2"),
        shadow_detail: bounded("libssl3: 3.0.15-1 is as new as 3.0.17-1~deb12u2"),
    }
}

fn fall_back() -> FallBack {
    FallBack {
        plugin: bounded("dpkg-installer"),
        installer: true,
        failed_version: bounded("0.2.0"),
        version: bounded("0.1.0"),
        since: 1_800_000_031,
        reason: bounded("install: the installer failed: it panicked at src/lib.rs:3:4: no such file"),
    }
}

fn no_fall_back() -> FallBack {
    FallBack {
        plugin: bounded("dpkg"),
        installer: false,
        failed_version: bounded(""),
        version: bounded(""),
        since: 0,
        reason: bounded(""),
    }
}
