//! Tables of recommended or similar items.

use super::text::fit;
use crate::serving::{List, Listed};

/// One table of at most 80 columns per list. `head` begins the title of each table.
#[must_use]
pub(crate) fn lists(lists: &[List], head: &str) -> String {
    lists.iter().map(|list| table(list, head)).collect::<Vec<_>>().join("\n")
}

fn text(id: &serde_json::Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), clean)
}

/// Replaces control characters by spaces, because a terminal would obey them.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn table(list: &List, head: &str) -> String {
    let title = list.title.as_ref().map_or_else(String::new, |title| format!("  {}", clean(title)));
    let mut out = fit(&format!("{head} {}{title}", text(&list.id)), 80);
    out.push('\n');
    if list.fallback == Some(true) {
        out += "  unknown user; these are the most rated items\n";
    }
    if list.items.is_empty() {
        return out + "  none\n";
    }
    let ids: Vec<String> = list.items.iter().map(|item| text(&item.id)).collect();
    let width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).clamp(4, 24);
    let titled = list.items.iter().any(|item| item.title.is_some());
    let room = 80 - (2 + 4 + 2 + width + 2 + 9);
    let row = |rank: &str, id: &str, title: &str, score: &str| {
        let id = format!("{:>width$}", fit(id, width));
        match titled {
            true => {
                format!("  {rank:>4}  {id}  {:<w$}{score:>9}\n", fit(title, room - 1), w = room)
            }
            false => format!("  {rank:>4}  {id}{score:>10}\n"),
        }
    };
    // Lists of recommend contain items; those of similar may contain users.
    let what = if titled || list.fallback.is_some() { "item" } else { "id" };
    out += &row("rank", what, "title", "score");
    for (rank, (item, id)) in (1..).zip(list.items.iter().zip(&ids)) {
        let title = clean(item.title.as_deref().unwrap_or_default());
        out += &row(&format!("{rank}"), id, &title, &format!("{:.4}", item.score));
        out += &because(item);
    }
    out
}

/// The lines below an item: the ratings that contributed most to its score.
fn because(item: &Listed) -> String {
    let Some(because) = &item.because else { return String::new() };
    let line = |reason: &crate::serving::Because| {
        let what = reason.title.as_deref().map_or_else(|| text(&reason.id), clean);
        let what = fit(&what, 44);
        format!("          {:+.3} from {what}, rated {}\n", reason.share, reason.rating)
    };
    because.iter().map(line).collect()
}
