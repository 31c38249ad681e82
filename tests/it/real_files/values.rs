//! Ratings that may not be what they seem, and one count of millions.

use super::{Files, inspects, item, stars, table, user, warned};
use crate::support::run;

fn with(header: &str, rating: impl Fn(usize) -> String) -> String {
    table(header, |n| format!("{},{},{}", user(n), item(n), rating(n)))
}

#[test]
fn values_that_mean_not_rated_are_named_and_dropped() {
    let files = Files::new();
    for (odd, every) in [("-1", 3), ("0", 2), ("99", 10), ("-1", 20)] {
        let rating =
            |n: usize| if n.is_multiple_of(every) { odd.into() } else { stars(n).to_string() };
        let path = files.write("r.csv", &with("user_id,item_id,rating", rating));
        let found = files.trains(&[&path]);
        assert!(warned(&found).contains(&format!("--drop-rating {odd}")), "{odd}: {found}");
        assert!(warned(&inspects(&[&path])).contains("not rated"));
        let kept = files.trains(&[&path, "--drop-rating", odd]);
        assert_eq!(kept["n_ratings"], 200 - 200_usize.div_ceil(every), "{odd}");
        assert!(!warned(&kept).contains("drop"), "{kept}");
    }
    let rating = |n: usize| ["-1", "0", "3", "4"][n % 4].to_owned();
    let path = files.write("r.csv", &with("user_id,item_id,rating", rating));
    assert_eq!(files.trains(&[&path, "--drop-rating", "-1,0"])["n_ratings"], 100);
    assert_eq!(files.trains(&[&path, "-a", "ials", "--drop-rating", "-1"])["n_ratings"], 100);
    files.fails(&[&path, "-a", "ials"], 3, &["negative count"]);
    files.fails(&[&path, "--drop-rating", "x"], 2, &["--drop-rating"]);
    let rating = |n: usize| stars(n).to_string();
    let path = files.write("r.csv", &with("user_id,item_id,rating", rating));
    files.fails(&[&path, "--drop-rating", "1,2,3,4,5"], 3, &["--drop-rating"]);
}

#[test]
fn files_on_another_scale_are_named() {
    let files = Files::new();
    let five = files.write("a.csv", &with("user_id,item_id,rating", |n| stars(n).to_string()));
    let ten = with("user_id,item_id,rating", |n| (2 * stars(n)).to_string());
    let ten = files.write("b.csv", &ten);
    let found = files.trains(&[&five, &ten]);
    assert!(warned(&found).contains("bring them to one scale"), "{found}");
    // New ratings outside the range of a training.
    let model = files.path("model");
    files.trains(&[&five]);
    let (code, _, err) = run(&["fold-in", &model, &ten, "-o", &files.path("next"), "--force"]);
    assert!(
        code == 0 && err.contains("outside the range of the training ratings (1 to 5)"),
        "{err}"
    );
}

#[test]
fn one_count_of_millions_is_no_obstacle() {
    let files = Files::new();
    let count = |n: usize| match n {
        77 => "100000".to_owned(),
        n if n % 20 == 3 => "90000".to_owned(),
        n => (n % 7 + 1).to_string(),
    };
    let path = files.write("r.csv", &with("user_id,item_id,plays", count));
    for rest in [&[][..], &["--solver", "subspace"], &["--solver", "cg"], &["-k", "16"]] {
        let linear = ["-a", "ials", "--confidence", "linear", "--alpha", "4000", "-i", "8"];
        let model = files.path("model");
        let arguments = [&["train", &path, "-o", &model, "--force"], &linear[..], rest].concat();
        let (code, _, err) = run(&arguments);
        assert_eq!(code, 0, "{rest:?}: {err}");
    }
}
