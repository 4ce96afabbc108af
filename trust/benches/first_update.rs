//! What a client computes for its first update and for an unchanged one: signatures, digests and JSON, without the
//! network, in repositories of different sizes.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/repository/site.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod site;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use farrier_trust::Client;
use site::Site;

/// A repository in which each of so many delegated roles names 20 targets.
fn site_with(delegations: usize) -> Site {
    let mut site = Site::new();
    let names: Vec<String> = (0..delegations).map(|number| format!("role-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        site.delegate("targets", name, 10 + u8::try_from(number % 200).unwrap(), &[&format!("{name}/*")]);
        (0..20).for_each(|target| site.add_target(name, &format!("{name}/{target}"), name.as_bytes()));
    }
    let mut roles: Vec<&str> = names.iter().map(String::as_str).collect();
    roles.push("targets");
    site.publish(&roles);
    site
}

fn update_and_find(site: &Site, client: &mut Client, path: &str) {
    site.update(client).unwrap();
    assert!(site.search(client, path).0.unwrap().is_some());
}

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("update");
    for delegations in [1, 20, 200] {
        let site = site_with(delegations);
        let path = format!("role-{}/7", delegations - 1);
        let parameter = |name| BenchmarkId::new(name, delegations);
        group.bench_function(parameter("first"), |bencher| {
            bencher.iter(|| update_and_find(&site, &mut site.client(), &path));
        });
        let mut client = site.client();
        update_and_find(&site, &mut client, &path);
        group.bench_function(parameter("unchanged"), |bencher| {
            bencher.iter(|| update_and_find(&site, &mut client, &path));
        });
    }
    group.finish();
}

criterion_group!(benches, updates);
criterion_main!(benches);
