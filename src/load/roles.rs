//! Finds the column of a file for each role.

use std::path::Path;

use super::options::{LoadOptions, TimeUse};
use crate::error::{Error, Result};
use crate::pair::Pair;

/// What the reports and the id columns need to know of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputColumns {
    /// The format, and the roles of the columns, for people.
    pub described: String,
    /// Names of the id columns, or numbers from 1 without header.
    pub names: Pair<String>,
    /// Whether the types of the id columns are integers; `None` if the format has no types.
    pub integers: Option<Pair<bool>>,
}

/// The names of the columns with the ids.
pub(super) fn id_names(names: &[String], roles: &Roles) -> Pair<String> {
    Pair::new(names[roles.user].clone(), names[roles.item].clone())
}

/// The positions of the columns that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    pub user: usize,
    pub item: usize,
    /// `None` only if values are counts, or if only the ids are read.
    pub rating: Option<usize>,
    pub time: Option<usize>,
    pub weight: Option<usize>,
}

/// Names by which columns of user ids are recognised, in the form that [`plain`] returns.
pub(super) const USER_NAMES: &[&str] =
    &["userid", "user", "uid", "memberid", "customerid", "customer", "reviewerid", "visitorid"];
pub(super) const ITEM_NAMES: &[&str] = &[
    "movieid",
    "itemid",
    "item",
    "movie",
    "iid",
    "productid",
    "product",
    "bookid",
    "book",
    "isbn",
    "asin",
    "artistid",
    "trackid",
    "songid",
    "contentid",
];
pub(super) const RATING_NAMES: &[&str] =
    &["rating", "ratings", "score", "stars", "value", "overall", "bookrating"];
/// Further names of the rating column if values are counts.
pub(super) const COUNT_NAMES: &[&str] = &[
    "count",
    "counts",
    "plays",
    "playcount",
    "listens",
    "views",
    "clicks",
    "purchases",
    "quantity",
    "frequency",
    "events",
];
pub(super) const TIME_NAMES: &[&str] =
    &["timestamp", "time", "ts", "unixtime", "unixreviewtime", "date", "datetime"];

/// Describes roles: `user=userId item=movieId rating=rating time=timestamp`.
pub(super) fn describe_roles(names: &[String], roles: &Roles) -> String {
    let name = |column: usize| names.get(column).map_or("?", String::as_str);
    let mut text = format!("user={} item={}", name(roles.user), name(roles.item));
    let rest = [("rating", roles.rating), ("time", roles.time), ("weight", roles.weight)];
    for (role, column) in rest {
        if let Some(column) = column {
            text += &format!(" {role}={}", name(column));
        }
    }
    text
}

/// The form in which names are compared: lower case, without `_`, `-` and spaces.
pub(super) fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-', ' '], "")
}

/// Finds the column of each role by its specified name, a known name or, without header, its place.
pub(super) fn roles(
    path: &Path,
    names: &[String],
    header: bool,
    options: &LoadOptions,
) -> Result<Roles> {
    let missing = |role, wanted: &str, flag| Error::MissingColumn {
        path: path.to_owned(),
        role,
        wanted: wanted.to_owned(),
        present: names.to_vec(),
        flag,
    };
    let named = |role, flag, wanted: &str| {
        names.iter().position(|n| n == wanted).ok_or_else(|| missing(role, wanted, flag))
    };
    let find = |role, flag, wanted: &Option<String>, known: &[&str], place: usize| match wanted {
        Some(wanted) => named(role, flag, wanted).map(Some),
        None if header => Ok(known.iter().find_map(|k| names.iter().position(|n| plain(n) == *k))),
        None => Ok((place < names.len()).then_some(place)),
    };
    let columns = &options.columns;
    let need = |found: Option<usize>, role, known: &[&str], flag| {
        found.ok_or_else(|| missing(role, known[0], flag))
    };
    let user = find("user", "--user-col", &columns.user, USER_NAMES, 0)?;
    let item = find("item", "--item-col", &columns.item, ITEM_NAMES, 1)?;
    let values =
        if options.counts { [RATING_NAMES, COUNT_NAMES].concat() } else { RATING_NAMES.to_vec() };
    if user.is_some() && user == item {
        return Err(Error::Usage(
            "the user column and the item column are the same; pass --user-col or --item-col"
                .into(),
        ));
    }
    if options.ids_only {
        let (user, item) = (
            need(user, "user", USER_NAMES, "--user-col")?,
            need(item, "item", ITEM_NAMES, "--item-col")?,
        );
        return Ok(Roles { user, item, rating: None, time: None, weight: None });
    }
    let rating = find("rating", "--rating-col", &columns.rating, &values, 2)?;
    let time = match options.time {
        TimeUse::Ignore => None,
        _ => find("time", "--time-col", &columns.time, TIME_NAMES, 3)?,
    };
    if options.time == TimeUse::Required && time.is_none() {
        return Err(missing("time", TIME_NAMES[0], "--time-col"));
    }
    let weight = match &columns.weight {
        Some(wanted) => Some(named("weight", "--weight-col", wanted)?),
        None => None,
    };
    Ok(Roles {
        user: need(user, "user", USER_NAMES, "--user-col")?,
        item: need(item, "item", ITEM_NAMES, "--item-col")?,
        rating: match options.counts {
            true => rating,
            false => Some(need(rating, "rating", RATING_NAMES, "--rating-col")?),
        },
        // Without header, the weight may be at the default place of the time.
        time: time.filter(|t| header || Some(*t) != weight),
        weight,
    })
}

/// Finds the column of one role by its specified name or a known name.
pub(super) fn find_column(
    path: &Path,
    names: &[String],
    role: Role,
    wanted: Option<&str>,
    known: &[&str],
) -> Result<usize> {
    let found = match wanted {
        Some(wanted) => names.iter().position(|n| n == wanted),
        None => known.iter().find_map(|k| names.iter().position(|n| plain(n) == *k)),
    };
    found.ok_or_else(|| Error::MissingColumn {
        path: path.to_owned(),
        role: role.name,
        wanted: wanted.unwrap_or(known[0]).to_owned(),
        present: names.to_vec(),
        flag: role.flag,
    })
}

/// A role of a column, and the flag that names the column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    pub name: &'static str,
    pub flag: &'static str,
}
