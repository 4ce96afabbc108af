//! The example configurations document every setting, so they have to load.

use farrier::config::Config;
use std::path::Path;

#[test]
fn the_example_site_loads() {
    let site = Config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../site.example.toml")).unwrap();
    assert_eq!(site.software_update_point.suites.len(), 3);
    assert_eq!(site.database_url(), "sqlite:///var/lib/farrier/site.db");
}

#[test]
fn a_misspelt_setting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    std::fs::write(&file, "name = \"x\"\ndata = \"d\"\n[management_point]\nlistn = \"0.0.0.0:1\"\n").unwrap();
    let error = format!("{:#}", anyhow::Error::new(Config::load(&file).unwrap_err()));
    assert!(error.contains("listn") && error.contains("line 4"), "{error}");
}
