//! What a lookup costs. Figures come from
//! `cargo test --release --no-default-features --lib mux::tests::speed -- --nocapture`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::mux::{Match, Mux};

/// In one round.
const LOOKUPS: usize = 5_000;
/// By how much 1,000 routes may cost more than one. A look at each would be 500 times as much.
const AT_MOST: f64 = 20.0;

/// Routes as an API has them, four to a resource.
fn routes(count: usize) -> Mux<usize> {
    let mut mux = Mux::default();
    for at in 0..count {
        let resource = at / 4;
        let pattern = match at % 4 {
            0 => format!("GET /api/v1/resource{resource}"),
            1 => format!("POST /api/v1/resource{resource}"),
            2 => format!("GET /api/v1/resource{resource}/{{id}}"),
            _ => format!("/api/v1/resource{resource}/{{id}}/parts/"),
        };
        mux.handle(&pattern, at).expect("no conflict");
    }
    mux
}

/// 500 routes with a wildcard where 500 others have a literal: each is compared with many.
fn registering_crossed_routes() -> Duration {
    let start = Instant::now();
    let mut mux = Mux::default();
    for at in 0..500 {
        mux.handle(&format!("GET /tenant{at}/page"), at).expect("no conflict");
        mux.handle(&format!("GET /{{tenant}}/page{at}/{{id}}"), at).expect("no conflict");
    }
    start.elapsed()
}

/// Nanoseconds per lookup over paths that lead to all routes in turn.
fn cost(mux: &Mux<usize>, path: impl Fn(usize) -> String) -> f64 {
    let resources = mux.patterns().count().div_ceil(4);
    let paths: Vec<String> = (0..resources).map(|n| path(n * 7919 % resources)).collect();
    let lookups = LOOKUPS.next_multiple_of(paths.len());
    let round = || {
        let start = Instant::now();
        for path in paths.iter().cycle().take(lookups) {
            let found = mux.find(b"GET", b"localhost:8000", black_box(path.as_bytes()));
            assert!(matches!(black_box(found), Match::Handler { .. }));
        }
        start.elapsed().as_nanos() as f64 / lookups as f64
    };
    (0..5).map(|_| round()).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_lookup_does_not_compare_all_routes() {
    let start = Instant::now();
    let many = routes(1000);
    println!("registering 1,000 routes: {:?}", start.elapsed());
    println!("and as many that share prefixes: {:?}", registering_crossed_routes());
    let mut few = Mux::default();
    few.handle("GET /api/v1/resource0", 0).expect("no conflict");
    few.handle("GET /api/v1/resource0/{id}", 0).expect("no conflict");
    let plain = |n: usize| format!("/api/v1/resource{n}");
    let valued = |n: usize| format!("/api/v1/resource{n}/4711");
    let both = |path: fn(usize) -> String| (cost(&few, path), cost(&many, path));
    for (what, (one, all)) in [("plain path", both(plain)), ("one value", both(valued))] {
        println!("{what}: {one:.1} ns with few routes, {all:.1} ns with 1,000");
        assert!(all < AT_MOST * one, "{what}: {all:.0} ns is much more than {one:.0} ns");
    }
}
