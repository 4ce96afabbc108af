//! Components that somebody altered: whatever they are, they are refused or understood, and nobody panics.

use crate::artefacts::{built, compiled};
use farrier_runtime::{Limits, Manifest, Profile, Runtime, inspect};

/// Random changes of each component.
const ROUNDS: u64 = 2_000;

/// Numbers that look random and are the same every time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }
}

#[test]
fn an_altered_component_is_refused_or_understood() {
    for (seed, component) in [(1, built("hostile")), (2, crate::stage::wat("honest")), (3, built("hostile-installer"))]
    {
        let mut numbers = Numbers(seed);
        let mut understood = 0;
        for _ in 0..ROUNDS {
            let mut bytes = component.clone();
            match numbers.below(4) {
                0 => bytes.truncate(numbers.below(bytes.len())),
                1 => {
                    let (from, to) = (numbers.below(bytes.len()), numbers.below(bytes.len()));
                    let piece = bytes[from..bytes.len().min(from + 64)].to_vec();
                    bytes.splice(to..to, piece);
                }
                _ => {
                    for _ in 0..=numbers.below(4) {
                        let at = numbers.below(bytes.len());
                        bytes[at] ^= 1 << numbers.below(8);
                    }
                }
            }
            let manifest = Manifest::read(&bytes);
            let inspection = inspect(&bytes);
            if let Ok(inspection) = inspection {
                understood += 1;
                let sizes = inspection.sizes;
                assert!(sizes.code + sizes.data + sizes.custom <= sizes.total);
                assert_eq!(inspection.manifest, manifest.unwrap());
            }
        }
        assert!(understood > 0, "the changes are too wild to find anything");
    }
}

/// The compiler's own validation stands between an altered component and the engine.
#[test]
fn an_altered_component_is_loaded_or_refused() {
    let runtime = Runtime::new(Profile::Pulley, Limits::default()).unwrap();
    let component = crate::stage::wat("honest");
    let mut numbers = Numbers(4);
    for _ in 0..300 {
        let mut bytes = component.clone();
        let at = numbers.below(bytes.len());
        bytes[at] ^= 1 << numbers.below(8);
        let _ = runtime.load(&bytes, compiled());
    }
}
