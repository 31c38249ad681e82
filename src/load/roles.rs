//! Finds the column of a file for each role.

use std::path::Path;

use super::options::{LoadOptions, TimeUse};
use super::reports::ColumnReport;
use super::sample::Sample;
use super::time::{TimeForm, TimeUnit};
use crate::error::{Error, Result};
use crate::pair::Pair;

/// What the reports and the id columns need to know of one input.
#[derive(Debug, Clone, Default)]
pub(super) struct InputColumns {
    /// The format, and the roles of the columns, for people.
    pub described: String,
    /// Names of the id columns, or numbers from 1 without header.
    pub names: Pair<String>,
    /// Whether the types of the id columns are integers; `None` if the format has no types.
    pub integers: Option<Pair<bool>>,
    /// The columns that are read.
    pub columns: Vec<ColumnReport>,
    /// The unit of the times, if times are read and are numbers.
    pub time_unit: Option<TimeUnit>,
    /// Why a column of times is not read.
    pub warning: Option<String>,
}

impl InputColumns {
    /// Those of a file without any text.
    pub(super) fn empty() -> Self {
        Self { described: EMPTY.to_owned(), ..Self::default() }
    }
}

/// The layout of a file without any text.
pub(super) const EMPTY: &str = "empty";

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

/// What the cells of a role are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Users or items.
    Ids,
    /// Ratings or weights.
    Numbers,
    /// Times.
    Times,
}

impl Roles {
    /// The columns that are read, and what they hold.
    pub(super) fn columns(&self) -> Vec<(usize, Kind)> {
        let Self { user, item, rating, time, weight } = *self;
        let all = [
            (Some(user), Kind::Ids),
            (Some(item), Kind::Ids),
            (rating, Kind::Numbers),
            (time, Kind::Times),
            (weight, Kind::Numbers),
        ];
        all.into_iter().filter_map(|(at, kind)| Some((at?, kind))).collect()
    }
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
    "animeid",
    "businessid",
    "articleid",
    "gameid",
    "recipeid",
    "showid",
    "videoid",
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

/// Describes roles: `user=userId item=movieId rating=rating time=timestamp (ms)`.
pub(super) fn describe_roles(names: &[String], roles: &Roles, time: Option<&TimeForm>) -> String {
    let name = |column: usize| names.get(column).map_or("?", String::as_str);
    let mut text = format!("user={} item={}", name(roles.user), name(roles.item));
    let form = describe_times(time);
    let rest =
        [("rating", roles.rating, ""), ("time", roles.time, &form), ("weight", roles.weight, "")];
    for (role, column, form) in rest {
        if let Some(column) = column {
            text += &format!(" {role}={}{form}", name(column));
        }
    }
    text
}

/// The form of the times as a part of a description: ` (ms)`. ISO 8601 and seconds go without.
fn describe_times(form: Option<&TimeForm>) -> String {
    match form {
        Some(TimeForm { format: Some(format), .. }) => format!(" ({format})"),
        Some(form) if form.unit.name() != "s" => format!(" ({})", form.unit.name()),
        _ => String::new(),
    }
}

/// The columns that are read, with examples.
pub(super) fn column_reports(
    names: &[String],
    roles: &Roles,
    sample: &Sample,
) -> Vec<ColumnReport> {
    let Roles { user, item, rating, time, weight } = *roles;
    [
        ("user", Some(user)),
        ("item", Some(item)),
        ("rating", rating),
        ("time", time),
        ("weight", weight),
    ]
    .into_iter()
    .filter_map(|(role, at)| {
        let at = at?;
        Some(ColumnReport { role, name: names[at].clone(), examples: sample.examples(at) })
    })
    .collect()
}

/// The form in which names are compared: lower case, without `_`, `-` and spaces, and without the
/// type that RecBole writes after a colon.
pub(super) fn plain(name: &str) -> String {
    let name = name.split(':').next().unwrap_or_default();
    name.trim().to_lowercase().replace(['_', '-', ' '], "")
}

/// Value of a flag for a role that no column has.
pub(super) const NO_COLUMN: &str = "none";

/// One role while its column is looked for.
struct Sought<'o> {
    name: &'static str,
    flag: &'static str,
    /// The column that the user specified.
    wanted: Option<&'o str>,
    known: Vec<&'static str>,
    /// Place in a file without header.
    place: Option<usize>,
}

impl<'o> Sought<'o> {
    fn new(
        name: &'static str,
        flag: &'static str,
        wanted: Option<&'o String>,
        known: &[&'static str],
        place: Option<usize>,
    ) -> Self {
        Self { name, flag, wanted: wanted.map(String::as_str), known: known.to_vec(), place }
    }
}

/// Finds the column of each role by its specified name, a known name or, without header, its place.
///
/// `sample` holds the cells of some rows. Without header, a role whose usual column was specified
/// for another role may take a freed column. Columns of times and ratings must look like their
/// role.
pub(super) fn roles(
    path: &Path,
    names: &[String],
    header: bool,
    sample: &Sample,
    options: &LoadOptions,
) -> Result<Roles> {
    let columns = &options.columns;
    let values =
        if options.counts { [RATING_NAMES, COUNT_NAMES].concat() } else { RATING_NAMES.to_vec() };
    let all = [
        Sought::new("user", "--user-col", columns.user.as_ref(), USER_NAMES, Some(0)),
        Sought::new("item", "--item-col", columns.item.as_ref(), ITEM_NAMES, Some(1)),
        Sought::new("rating", "--rating-col", columns.rating.as_ref(), &values, Some(2)),
        Sought::new("time", "--time-col", columns.time.as_ref(), TIME_NAMES, Some(3)),
        Sought::new("weight", "--weight-col", columns.weight.as_ref(), &[], None),
    ];
    let missing = |role: &Sought<'_>| Error::MissingColumn {
        path: path.to_owned(),
        role: role.name,
        wanted: role.wanted.or(role.known.first().copied()).unwrap_or_default().to_owned(),
        present: names.to_vec(),
        flag: role.flag,
    };
    let read = |role: &Sought<'_>| match role.name {
        "user" | "item" => true,
        "time" if options.time == TimeUse::Ignore => false,
        _ => !options.ids_only && role.wanted != Some(NO_COLUMN),
    };
    let mut found = [None; 5];
    // Specified columns first: they decide which names and places are left.
    for (found, role) in found.iter_mut().zip(&all).filter(|(_, role)| read(role)) {
        if let Some(wanted) = role.wanted {
            let at = names.iter().position(|name| name == wanted);
            *found = Some(at.ok_or_else(|| missing(role))?);
        }
    }
    let specified = found;
    for (found, role) in found.iter_mut().zip(&all).filter(|(_, role)| header && read(role)) {
        let free = |at: &usize| !specified.contains(&Some(*at));
        let known = |k: &&str| (0..names.len()).filter(free).find(|&at| plain(&names[at]) == **k);
        *found = found.or_else(|| role.known.iter().find_map(known));
        refuse_doubled(path, names, *found, role.flag)?;
    }
    if !header {
        place(&mut found, &all, names.len(), read);
        let specified = |role: usize| all[role].wanted.is_some();
        if found[3].is_some_and(|at| !specified(3) && !sample.holds_times(at, options)) {
            found[3] = None;
        }
        if let Some(at) = found[2].filter(|_| !specified(2)) {
            refuse_as_ratings(path, &names[at], at, sample, options)?;
        }
    }
    for (nth, one) in all.iter().enumerate() {
        for (later, other) in all.iter().enumerate().skip(nth + 1) {
            if found[nth].is_some() && found[nth] == found[later] {
                return Err(Error::Usage(format!(
                    "{}: column \"{}\" cannot be both the {} and the {}; pass {} or {}",
                    path.display(),
                    found[nth].map_or("", |at| &names[at]),
                    one.name,
                    other.name,
                    one.flag,
                    other.flag
                )));
            }
        }
    }
    let [user, item, rating, time, weight] = found;
    let need = |found: Option<usize>, role: usize| found.ok_or_else(|| missing(&all[role]));
    if options.time == TimeUse::Required && time.is_none() {
        return Err(missing(&all[3]));
    }
    Ok(Roles {
        user: need(user, 0)?,
        item: need(item, 1)?,
        rating: match options.counts || options.ids_only {
            true => rating,
            false => Some(need(rating, 2)?),
        },
        time,
        weight,
    })
}

/// Gives the roles without a specified column their usual places, or one that a specified column
/// has left.
fn place(
    found: &mut [Option<usize>; 5],
    all: &[Sought<'_>; 5],
    columns: usize,
    read: impl Fn(&Sought<'_>) -> bool,
) {
    let taken = found.iter().flatten().copied().collect::<Vec<usize>>();
    let moved = all.iter().filter(|role| role.wanted.is_some()).filter_map(|role| role.place);
    let mut freed = moved.filter(|at| !taken.contains(at) && *at < columns);
    for (found, role) in found.iter_mut().zip(all) {
        let Some(place) = role.place.filter(|_| role.wanted.is_none() && read(role)) else {
            continue;
        };
        *found = match taken.contains(&place) {
            false => (place < columns).then_some(place),
            true => freed.next(),
        };
    }
}

/// Refuses a column whose name another column has as well.
fn refuse_doubled(path: &Path, names: &[String], at: Option<usize>, flag: &str) -> Result<()> {
    let Some(at) = at else { return Ok(()) };
    let same = |other: &usize| names[*other] == names[at];
    let places: Vec<String> =
        (0..names.len()).filter(same).map(|at| (at + 1).to_string()).collect();
    if places.len() == 1 {
        return Ok(());
    }
    Err(Error::Format {
        path: path.to_owned(),
        message: format!(
            "{} columns have the name \"{}\" ({}): rename one of them, or pass another column as \
             {flag}",
            places.len(),
            names[at],
            places.join(", ")
        ),
    })
}

/// Refuses a column without a name whose cells are surely no ratings.
fn refuse_as_ratings(
    path: &Path,
    name: &str,
    at: usize,
    sample: &Sample,
    options: &LoadOptions,
) -> Result<()> {
    let (held, flag) = match () {
        () if sample.holds_times(at, options) => ("times", format!("--time-col {name}, and ")),
        () if sample.holds_text(at) => ("text", String::new()),
        () if !options.counts && sample.holds_ids(at) => {
            ("large whole numbers, as ids or counts are", String::new())
        }
        () => return Ok(()),
    };
    Err(Error::Usage(format!(
        "{}: column {name} holds {held}, not ratings: pass {flag}--rating-col COLUMN. If every row \
         is an event, pass --rating-col none and -a ials",
        path.display()
    )))
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
