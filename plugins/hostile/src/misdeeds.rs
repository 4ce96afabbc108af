pub enum Phase {
    Scopes,
}
pub fn commit(_: &str, _: Phase) -> bool {
    false
}
