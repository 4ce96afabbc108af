//! Names of processor architectures: what distributions call them, and what kernels do.

/// A distribution's name, and the kernel's.
const NAMES: [(&str, &str); 6] = [
    ("amd64", "x86_64"),
    ("arm64", "aarch64"),
    ("armhf", "armv7l"),
    ("i386", "i686"),
    ("ppc64el", "ppc64le"),
    ("x64", "x86_64"),
];

/// The architecture as kernels name it; a name that is not known stays.
#[must_use]
pub fn kernel_name(architecture: &str) -> &str {
    let known = NAMES.iter().find(|(name, _)| architecture.eq_ignore_ascii_case(name));
    known.map_or(architecture, |(_, kernel)| kernel)
}
