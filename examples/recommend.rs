//! Shows all of the library's serving side without the command line.
//!
//! It trains on a few ratings in memory, recommends, explains, folds in a new user, finds similar
//! items and exports vectors.
//!
//!     cargo run --release --example recommend

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use lacuna::error::Result;
use lacuna::export::{Dtype, Export, Format, MemoryFiles};
use lacuna::ids::{Axis, Ids};
use lacuna::linalg::simd::Kernels;
use lacuna::model::{
    Asked, Layout, MIPS_HEADROOM, Model, Neighbours, Recommender, Rules, Similarity, largest_norm,
};
use lacuna::objective::Regularization;
use lacuna::ratings::{Cell, Ratings};
use lacuna::store::Stamp;
use lacuna::train::{Algorithm, Als, Problem, SolverChoice, Start, Stored};

const USERS: [&str; 4] = ["ann", "bob", "cy", "dee"];
const ITEMS: [&str; 5] = ["alien", "blade runner", "casablanca", "dr. no", "emma"];

fn main() -> Result<()> {
    let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
    // Sorted by user, then item.
    let cells = [
        cell(0, 0, 5.0),
        cell(0, 1, 4.5),
        cell(0, 4, 1.0),
        cell(1, 0, 4.0),
        cell(1, 3, 4.0),
        cell(2, 2, 4.5),
        cell(2, 4, 5.0),
        cell(3, 1, 2.0),
        cell(3, 2, 5.0),
        cell(3, 4, 4.0),
    ];
    let ratings = Ratings::from_sorted(USERS.len(), ITEMS.len(), &cells);
    let ids = |names: &[&str]| Ids::Text(names.iter().map(|&name| name.into()).collect());
    let (users, items) = (ids(&USERS), ids(&ITEMS));

    let als = Als {
        rank: 2,
        iterations: 20,
        tolerance: 1e-6,
        regularization: Regularization {
            users: 0.1,
            items: 0.1,
            biases: 0.1,
            damping: 0.0,
            exponent: 0.5,
        },
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed: 42,
    };
    let stop = AtomicBool::new(false);
    let fit = als.fit(
        &Problem {
            ratings: &ratings,
            moments: &ratings.moments(),
            user_keys: &users.keys("user"),
            item_keys: &items.keys("item"),
            start: Start::Random,
            stop: &stop,
            kernels: Kernels::detect(),
        },
        &mut |_| ControlFlow::Continue(()),
    )?;
    let mut factors = fit.factors;
    factors.rescale(fit.scale.deviation);
    let model = Model::new(&factors, &users, &items, &ratings, &fit.scale);

    // The best items that ann has not rated, and the rating that contributes most to each score.
    let recommender = Recommender::new(&model, Rules::default());
    let asked = [Asked { row: Some(0), seen: ratings.by_user.row(0).indices }];
    let best = &recommender.recommend(&asked, 3)[0];
    let stored = Stored::fitted_to(&model, fit.scale.deviation, &ratings, &stop);
    let wanted: Vec<Vec<u32>> = (0..USERS.len())
        .map(|user| if user == 0 { best.iter().map(|r| r.item).collect() } else { Vec::new() })
        .collect();
    let shares = stored.explain(&als, &ratings.by_user, &wanted, 1)?;
    for (recommended, share) in best.iter().zip(&shares[0]) {
        let because = ratings.by_user.row(0).indices[share[0].rating as usize];
        println!(
            "ann: {:<14} {:.2}, most of all because of {} ({:+.2})",
            ITEMS[recommended.item as usize],
            recommended.score,
            ITEMS[because as usize],
            share[0].share
        );
    }

    // A new user with two ratings needs one exact solve and no training.
    let new = Ratings::from_sorted(1, ITEMS.len(), &[cell(0, 0, 1.0), cell(0, 2, 5.0)]).by_user;
    let folded = stored.fold_in(&als, Axis::User, &new)?;
    println!("eve: vector {:?}, bias {:+.2}", folded.vectors.row(0), folded.biases[0]);

    let near = Neighbours::new(&model.factors.items, Similarity::Cosine).of(&[0], 1);
    println!("most like alien: {}", ITEMS[near[0][0].item as usize]);

    // This layout is for an index that supports only cosine similarity.
    let norm = MIPS_HEADROOM * largest_norm(&model.factors.items);
    let stamp =
        Stamp { model_version: "example".into(), trained_at: 0, global_mean: model.scale.mean };
    let export = Export::new(&model, &[Axis::User, Axis::Item], Layout::Mips, norm, stamp);
    for format in Format::all().filter(|f| ["npy", "word2vec"].contains(&f.name())) {
        let mut files = MemoryFiles::default();
        format.write(&export, Dtype::F32, &mut files)?;
        let names: Vec<&String> = files.contents.keys().collect();
        println!("{format}: {names:?}");
    }
    Ok(())
}
