//! The columns of files without header.

use super::{Files, repeated};
use crate::support::run;

#[test]
fn columns_without_names_have_one_role_each() {
    let files = Files::new();
    let rows = |line: &dyn Fn(usize) -> String| (0..200).map(line).collect::<String>();
    let (user, item) = (|n: usize| 100 + n % 20, |n: usize| n / 10);
    let time = |n: usize| 1_500_000_000 + n * 1000;
    // A specified column frees its usual place.
    let riu = rows(&|n| format!("{},{},{}\n", n % 5 + 1, item(n), user(n)));
    let riu = files.write("riu.csv", &riu);
    let found = files.trains(&[&riu, "--user-col", "3"]);
    assert_eq!((&found["n_users"], &found["n_ratings"]), (&20.into(), &200.into()));
    let uitr = rows(&|n| format!("{},{},{},{}\n", user(n), item(n), time(n), n % 5 + 1));
    let uitr = files.write("uitr.csv", &uitr);
    files.fails(&[&uitr], 2, &["column 3 holds times", "--time-col 3", "--rating-col"]);
    let (code, out, err) = run(&["inspect", &uitr, "--rating-col", "4"]);
    assert!(code == 0 && out.contains("rating=4 time=3"), "{out} {err}");
    // A flag or a text is no time.
    for last in ["0", "1", "toys"] {
        let flag = rows(&|n| format!("{},{},{},{last}\n", user(n), item(n), n % 5 + 1));
        let flag = files.write("flag.csv", &flag);
        let (code, out, err) = run(&["inspect", &flag]);
        assert!(code == 0 && out.contains("rating=3") && !out.contains("time="), "{out} {err}");
    }
    // Events.
    let times = rows(&|n| format!("{},{},{}\n", user(n), item(n), time(n)));
    let times = files.write("times.csv", &times);
    files.fails(&[&times], 2, &["column 3 holds times", "none", "ials"]);
    let events = ["-a", "ials", "--rating-col", "none", "--time-col", "3"];
    let found = files.trains(&[&[&*times][..], &events].concat());
    assert_eq!(found["n_ratings"], 200);
    let names = rows(&|n| format!("{},{},{}\n", user(n), item(n), ["view", "buy"][n % 2]));
    let names = files.write("events.csv", &names);
    files.fails(&[&names], 2, &["column 3 holds text", "--rating-col none and -a ials"]);
    // One column has one role.
    files.fails(&[&riu, "--user-col", "1", "--item-col", "1"], 2, &["the user and the item"]);
    files.fails(
        &[&uitr, "--rating-col", "4", "--time-col", "4"],
        2,
        &["--rating-col or --time-col"],
    );
    files.fails(&[&riu, "--rating-col", "none"], 3, &["no rating column"]);
}

#[test]
fn large_whole_numbers_are_no_ratings() {
    let files = Files::new();
    let text: String = repeated(200, |n| format!("{},{},{}\n", n % 10, n / 10, 52_000 + n));
    let ids = files.write("ids.csv", &text);
    files.fails(&[&ids], 2, &["column 3 holds large whole numbers", "--rating-col"]);
    assert_eq!(files.trains(&[&ids, "--rating-col", "3"])["n_ratings"], 200);
    // Counts may be large.
    let counts = files.trains(&[&ids, "-a", "ials"]);
    assert_eq!(counts["n_ratings"], 200);
}

#[test]
fn a_column_that_occurs_twice_is_an_error() {
    let files = Files::new();
    let twice = files.write("r.csv", "user_id,item_id,rating,user_id\n1,2,3,4\n2,2,4,5\n");
    files.fails(&[&twice], 3, &["2 columns have the name \"user_id\" (1, 4)", "--user-col"]);
    // One that is not needed may.
    let other = files.write("s.csv", "user_id,item_id,rating,x,x\n1,2,3,4,4\n2,2,4,5,5\n");
    assert_eq!(files.trains(&[&other])["n_ratings"], 2);
}
