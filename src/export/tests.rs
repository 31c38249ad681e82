use super::*;
use crate::error::Error;
use crate::ids::{Axis, Ids};
use crate::linalg::Matrix;
use crate::model::{
    Embedding, Factors, Layout, MIPS_HEADROOM, Model, Scale, Trained, largest_norm,
};
use crate::store::Stamp;

fn model(ids: &Ids) -> Model {
    let n = ids.len();
    let number = |i: usize| (i * 7919 % 13) as f32 / 7.0 - 0.8;
    let side = |shift: usize| Embedding {
        vectors: Matrix::from_rows(
            n,
            3,
            &(0..n * 3).map(|i| number(i + shift)).collect::<Vec<_>>(),
        ),
        biases: (0..n).map(|i| number(i * 5 + shift)).collect(),
    };
    let trained = || Trained { ids: ids.clone(), counts: (1..=n as u32).collect() };
    Model {
        factors: Factors { users: side(0), items: side(4) },
        users: trained(),
        items: trained(),
        scale: Scale { mean: 3.4, biases: true, ..Scale::preferences() },
        uncertainty: None,
    }
}

fn export(model: &Model, layout: Layout) -> Export {
    let norm = MIPS_HEADROOM * largest_norm(&model.factors.items);
    let stamp = Stamp { model_version: "v".into(), trained_at: 1_600_000_000, global_mean: 3.4 };
    Export::new(model, &[Axis::User, Axis::Item], layout, norm, stamp)
}

fn written(format: &str, export: &Export, dtype: Dtype) -> MemoryFiles {
    let mut files = MemoryFiles::default();
    let format: Format = format.parse().expect("a format");
    format.write(export, dtype, &mut files).expect("writes");
    files
}

#[test]
fn formats_have_unique_kebab_case_names_and_say_who_reads_them() {
    let names: Vec<&str> = Format::all().map(Format::name).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    for format in Format::all() {
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(format.name().chars().all(kebab) && !format.about().is_empty());
        assert!(format.dtypes().contains(&Dtype::F32));
    }
    assert!("nonsense".parse::<Format>().is_err_and(|e| e.to_string().contains("pgcopy")));
}

/// Every format writes every layout and number type that it does not refuse, includes the ids, and
/// writes the same bytes twice.
#[test]
fn every_format_writes_every_layout() {
    for ids in
        [Ids::Int(vec![-5, 7, 4242]), Ids::Text(vec!["a b".into(), "x\"y".into(), "ü".into()])]
    {
        let model = model(&ids);
        for layout in [Layout::Raw, Layout::Dot, Layout::Mips, Layout::Cosine] {
            let export = export(&model, layout);
            for (format, dtype) in
                Format::all().flat_map(|f| f.dtypes().iter().map(move |&d| (f, d)))
            {
                let mut files = MemoryFiles::default();
                let outcome = format.write(&export, dtype, &mut files);
                if format.check(layout, dtype).is_err()
                    || format.name() == "spark-als" && ids.kind() == "text"
                {
                    assert!(matches!(outcome, Err(Error::Usage(_))), "{format} {layout:?}");
                    continue;
                }
                outcome.expect("writes");
                let mut again = MemoryFiles::default();
                format.write(&export, dtype, &mut again).expect("writes");
                assert_eq!(files.contents, again.contents, "{format}");
                let all: Vec<u8> = files.contents.values().flatten().copied().collect();
                let holds = |bytes: &[u8]| all.windows(bytes.len()).any(|w| w == bytes);
                let id = match &ids {
                    Ids::Int(_) => {
                        holds(&4242_i64.to_le_bytes())
                            || holds(&4242_i64.to_be_bytes())
                            || holds(&4242_i32.to_le_bytes())
                            || holds(b"4242")
                    }
                    Ids::Text(_) => holds("ü".as_bytes()),
                };
                assert!(id, "{format} writes no ids");
            }
        }
    }
}

#[test]
fn arrays_hold_rows_without_padding() {
    let model = model(&Ids::Int(vec![1, 2, 3]));
    let files = written("npy", &export(&model, Layout::Raw), Dtype::F32);
    let array = &files.contents["item_embeddings.npy"];
    let head = String::from_utf8_lossy(&array[..128]);
    assert!(head.contains("'descr': '<f4'") && head.contains("(3, 3, )"), "{head}");
    let numbers: Vec<f32> = array[128..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let rows: Vec<f32> = (0..3).flat_map(|r| model.factors.items.vectors.row(r).to_vec()).collect();
    assert_eq!(numbers, rows);
    let half = written("npy", &export(&model, Layout::Raw), Dtype::F16);
    assert_eq!(half.contents["item_embeddings.npy"].len(), 128 + 9 * 2);
    let fbin = &written("fbin", &export(&model, Layout::Dot), Dtype::F32).contents;
    assert_eq!(fbin["user_embeddings.fbin"][..8], [3, 0, 0, 0, 5, 0, 0, 0]);
}

#[test]
fn text_forms_read_back_as_the_same_numbers() {
    let model = model(&Ids::Int(vec![1, 2, i64::MAX]));
    let export = export(&model, Layout::Raw);
    let csv = written("csv", &export, Dtype::F32).contents;
    let csv = String::from_utf8(csv["item_embeddings.csv"].clone()).expect("text");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("item_id,bias,n_ratings,f0,f1,f2"));
    let lines: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    let json = written("ndjson", &export, Dtype::F32).contents;
    let json = String::from_utf8(json["item_embeddings.ndjson"].clone()).expect("text");
    for (row, (fields, document)) in lines.iter().zip(json.lines()).enumerate() {
        let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
        for (f, &value) in model.factors.items.vectors.row(row).iter().enumerate() {
            assert_eq!(fields[3 + f].parse(), Ok(value));
            assert_eq!(document["embedding"][f].as_f64().map(|v| v as f32), Some(value));
        }
    }
    // A double cannot hold the largest id exactly, so it is text.
    assert!(json.contains("\"9223372036854775807\"") && json.contains("\"item_id\":1,"));
}

#[test]
fn what_would_mislead_is_refused() {
    let model = model(&Ids::Int(vec![1, 2, 3]));
    let refused = |format: &str, layout, dtype| {
        let format: Format = format.parse().expect("a format");
        format.check(layout, dtype).map_err(|e| e.to_string())
    };
    assert!(
        refused("word2vec", Layout::Dot, Dtype::F32).is_err_and(|e| e.contains("--layout mips"))
    );
    assert!(refused("vespa", Layout::Mips, Dtype::F32).is_err_and(|e| e.contains("--layout dot")));
    assert!(refused("csv", Layout::Raw, Dtype::F16).is_err_and(|e| e.contains("npy, npz")));
    let mut large = model;
    large.factors.items.vectors.row_mut(1)[0] = 1e6;
    let format: Format = "npy".parse().expect("a format");
    let outcome =
        format.write(&export(&large, Layout::Raw), Dtype::F16, &mut MemoryFiles::default());
    assert!(outcome.is_err_and(|e| e.to_string().contains("item 2")));
}
