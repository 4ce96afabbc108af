use farrier_runtime::*;
fn rss(what: &str) {
    let s = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let f = |k: &str| s.lines().find(|l| l.starts_with(k)).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    eprintln!("{what}: rss {} anon {} dirty {}", f("Rss:"), f("Anonymous:"), f("Private_Dirty:"));
}
fn main() {
    let args: Vec<_> = std::env::args().collect();
    if args.get(1).map(String::as_str) == Some("serve") { compile::serve_child(std::io::stdin(), std::io::stdout()).unwrap(); return; }
    rss("start");
    let component = std::fs::read("/work/main/plugins/dist/dpkg.wasm").unwrap();
    let cache = ArtefactCache::open("/tmp/rss-cache", [1; 32]).unwrap();
    let profile = if args.get(1).map(String::as_str) == Some("pulley") { Profile::Pulley } else { Profile::Native };
    let t = std::time::Instant::now();
    let runtime = Runtime::new(profile, Limits::default()).unwrap();
    eprintln!("runtime {:?}", t.elapsed()); let t = std::time::Instant::now();
    rss("runtime");
    let plugin = runtime.load(&component, &cache, &Compiler::Child { program: "/proc/self/exe".into(), arguments: vec!["serve".into()] }).unwrap();
    eprintln!("load {:?}", t.elapsed());
    rss("loaded");
    let endpoint = Endpoint::open("/".as_ref()).unwrap();
    let mut scan = plugin.scan(&endpoint, Grants::new(plugin.manifest(), ["/**"], ["/**"]).unwrap());
    let t = std::time::Instant::now();
    scan.scopes().unwrap();
    eprintln!("instantiate+scopes {:?}", t.elapsed()); let t = std::time::Instant::now();
    rss("scopes");
    scan.evaluate(&[2, 0, 0, 0], 1).unwrap();
    eprintln!("open+1 rule {:?}", t.elapsed());
    rss("evaluated");
    let chunk: Vec<u8> = std::iter::repeat_n([2u8, 0, 0, 0], 4096).flatten().collect();
    let t = std::time::Instant::now();
    for _ in 0..20 { scan.evaluate(&chunk, 4096).unwrap(); }
    eprintln!("20 chunks {:?}", t.elapsed());
    rss("chunks");
    drop(scan); drop(plugin); drop(runtime);
    rss("dropped");
    eprintln!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmPeak")).collect::<Vec<_>>().join(" "));
}
