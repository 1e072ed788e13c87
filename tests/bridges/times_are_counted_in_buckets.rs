//! The arithmetic of the histograms: each time is in the bucket whose bounds enclose it.

use std::time::Duration;

use crate::buckets::{BUCKETS, bound, bucket, cumulative, percentile};

#[test]
fn each_time_is_between_the_bounds_of_its_bucket() {
    for exponent in 0..50 {
        let power = 1_u64 << exponent;
        for nanos in [power, power + 1, power + power / 3, power + power / 2, power + power / 2 + 1] {
            let at = bucket(nanos);
            assert!(at == BUCKETS - 1 || u128::from(nanos) <= bound(at).as_nanos(), "{nanos} in {at}");
            assert!(at == 0 || u128::from(nanos) > bound(at - 1).as_nanos(), "{nanos} in {at}");
        }
    }
    assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
}

#[test]
fn a_bound_belongs_to_its_bucket_and_the_next_nanosecond_to_the_next() {
    for at in 0..BUCKETS - 1 {
        let nanos = u64::try_from(bound(at).as_nanos()).expect("36 minutes");
        assert_eq!((bucket(nanos), bucket(nanos + 1)), (at, at + 1));
    }
}

#[test]
fn a_percentile_is_the_bound_of_the_bucket_that_holds_it() {
    let mut counts = [0; BUCKETS];
    assert_eq!(percentile(&counts, 50), None, "of nothing");
    (counts[10], counts[20], counts[30]) = (98, 1, 1);
    assert_eq!(percentile(&counts, 50), Some(bound(10)));
    assert_eq!(percentile(&counts, 99), Some(bound(20)));
    assert_eq!(percentile(&counts, 100), Some(bound(30)));
}

#[test]
fn published_buckets_add_up_and_double() {
    let counts = [1; BUCKETS];
    let (bounds, all) = cumulative(&counts);
    assert_eq!((bounds[0], all), ((Duration::from_micros(16), 9), 64));
    assert!(bounds.windows(2).all(|two| two[1].0 == two[0].0 * 2 && two[1].1 == two[0].1 + 2));
}
