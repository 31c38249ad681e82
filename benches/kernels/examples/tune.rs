use lacuna::linalg::simd::{Kernels, Level};
use lacuna::linalg::{Matrix, NormalEquations};
use lacuna::split::mix;
use std::time::Instant;
fn fixed(rows: usize, rank: usize) -> Matrix {
    let mut m = Matrix::zeros(rows, rank);
    for row in 0..rows {
        for (d, v) in m.row_mut(row).iter_mut().enumerate() {
            *v = (mix((row * 4096 + d) as u64) >> 40) as f32 * 1e-7 - 0.8;
        }
    }
    m
}
fn best(mut f: impl FnMut()) -> f64 {
    let mut b = f64::INFINITY;
    let t0 = Instant::now();
    f();
    let one = t0.elapsed().as_secs_f64();
    let reps = ((3e-4 / one) as usize).max(1);
    for _ in 0..600 {
        let t = Instant::now();
        for _ in 0..reps {
            f();
        }
        b = b.min(t.elapsed().as_secs_f64() / reps as f64);
    }
    b
}
fn main() {
    let only: Option<String> = std::env::args().nth(1);
    {
        use faer::{Accum, Mat, Par, linalg::matmul::matmul};
        let o = 384;
        let a = Mat::<f32>::from_fn(o, o, |i, j| (i * 7 + j) as f32 % 3.0);
        let mut c = Mat::<f32>::zeros(o, o);
        let t = std::thread::spawn(move || {
            let s = best(|| matmul(&mut c, Accum::Replace, &a, &a, 1.0f32, Par::Seq));
            s
        })
        .join()
        .unwrap();
        println!("sgemm {:.1}", 2.0 * (o as f64).powi(3) / t / 1e9);
    }
    if only.as_deref() == Some("gather") {
        let k = Kernels::detect();
        for rank in [32usize, 64, 128] {
            for (rows, cells, skew) in [
                (60_000usize, 138usize, 3),
                (60_000, 138, 1),
                (160_000, 420, 1),
                (160_000, 8000, 1),
            ] {
                let f = fixed(rows, rank);
                let lists: Vec<Vec<u32>> = (0..(200_000 / cells) as u64)
                    .map(|l| {
                        let mut v: Vec<u32> = (0..cells as u64)
                            .map(|i| {
                                let u = (mix(l << 32 | i) >> 11) as f64 / (1u64 << 53) as f64;
                                (u.powi(skew) * rows as f64) as u32
                            })
                            .collect();
                        v.sort_unstable();
                        v
                    })
                    .collect();
                let t = vec![0.5; cells];
                let mut s = NormalEquations::new(rank);
                let run = |s: &mut NormalEquations| {
                    for l in 0..lists.len() {
                        let next: &[u32] = lists.get(l + 1).map_or(&[], |v| v);
                        s.set(k, &f, (&lists[l], next), None, &t);
                    }
                };
                let mut b = f64::INFINITY;
                for _ in 0..60 {
                    let t0 = Instant::now();
                    run(&mut s);
                    b = b.min(t0.elapsed().as_secs_f64());
                }
                print!(
                    "  k={rank} {rows}x{cells}^{skew}: {:.1}",
                    (lists.len() * cells * rank * (rank + 1)) as f64 / b / 1e9
                );
            }
            println!();
        }
        return;
    }
    for level in Level::available().into_iter().rev() {
        let k = Kernels::with_level(level).unwrap();
        if only.as_ref().is_some_and(|o| o != level.name()) {
            continue;
        }
        for rank in [16usize, 32, 64, 128] {
            print!("{:8} k={rank:3}", level.name());
            let f = fixed(256, rank);
            for cells in [16usize, 32, 64, 138, 1024] {
                let list: Vec<u32> = (0..cells as u64).map(|i| (mix(i) % 256) as u32).collect();
                let t = vec![0.5; cells];
                let mut s = NormalEquations::new(rank);
                let b = best(|| s.set(k, &f, (&list, &[]), None, &t));
                print!("  {cells}:{:6.1}", (cells * rank * (rank + 1)) as f64 / b / 1e9);
            }
            let mut s = NormalEquations::new(rank);
            let list: Vec<u32> = (0..152u64).map(|i| (mix(i) % 256) as u32).collect();
            s.set(k, &f, (&list, &[]), None, &vec![0.5; 152]);
            s.add_ridge(100.0, 1.0);
            let n = s.stride();
            let orig = s.gram().to_vec();
            let mut m = orig.clone();
            let (mut g, mut a) = (vec![0.5f32; n], vec![0.25f32; n]);
            let b = best(|| {
                m.copy_from_slice(&orig);
                g.fill(0.5);
                a.fill(0.25);
                k.cholesky(&mut m, n, rank, [&mut g[..], &mut a[..]]).unwrap();
                k.solve(&m, n, rank, &mut g);
            });
            let c = best(|| m.copy_from_slice(&orig));
            println!(
                "  chol {:.2}us (copy {:.2}) = {:.1}",
                b * 1e6,
                c * 1e6,
                (rank * rank * rank / 3 + 2 * rank * rank) as f64 / (b - c) / 1e9
            );
        }
    }
}
