//! The directory of a Spark `ALSModel`.

use std::io::Write;

use serde_json::json;

use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::model::Layout;
use crate::store::write_spark_factors;

/// `metadata/`, `userFactors/` and `itemFactors/` as `ALSModel.load` reads them.
pub(super) struct SparkAls;

impl Exporter for SparkAls {
    fn name(&self) -> &'static str {
        "spark-als"
    }

    fn about(&self) -> &'static str {
        "Spark: ALSModel.load; ids must be 32-bit integers"
    }

    fn refuses(&self, layout: Layout) -> Option<&'static str> {
        match layout {
            Layout::Dot => None,
            _ => Some("an ALSModel scores by plain dot products; use --layout dot"),
        }
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        let [users, items] = &export.sides[..] else {
            return Err(Error::Usage(
                "--format spark-als holds both sides; use --side both".into(),
            ));
        };
        let (user_ids, item_ids) = (ids(users)?, ids(items)?);
        let metadata = json!({
            "class": "org.apache.spark.ml.recommendation.ALSModel",
            "timestamp": export.stamp.trained_at * 1000,
            "sparkVersion": "3.0.0",
            "uid": format!("lacuna_{}", export.stamp.model_version),
            "paramMap": {},
            "defaultParamMap": {
                "userCol": "user", "itemCol": "item", "predictionCol": "prediction",
                "coldStartStrategy": "nan", "blockSize": 4096,
            },
            "rank": users.vectors.cols(),
        });
        let text = format!("{metadata}\n");
        let empty = &mut |_: &mut dyn Write| Ok(());
        files.file("metadata/part-00000", 0, "JSON", &mut |to| to.write_all(text.as_bytes()))?;
        files.file("metadata/_SUCCESS", 0, "empty", empty)?;
        for (name, side, ids) in
            [("userFactors", users, &user_ids), ("itemFactors", items, &item_ids)]
        {
            let content = &mut |to: &mut dyn Write| write_spark_factors(ids, &side.vectors, to);
            let file = format!("{name}/part-00000.parquet");
            files.file(&file, side.rows(), "id: int32, features: list<f32>", content)?;
            files.file(&format!("{name}/_SUCCESS"), 0, "empty", empty)?;
        }
        Ok(())
    }
}

fn ids(side: &ExportSide) -> Result<Vec<i32>> {
    let wrong = |id: &dyn std::fmt::Display| {
        Error::Usage(format!(
            "--format spark-als: the {} id {id} is not a 32-bit integer, and Spark's ALS supports \
             no other ids",
            side.axis.name()
        ))
    };
    match &side.ids {
        Ids::Int(ids) => ids.iter().map(|&id| i32::try_from(id).map_err(|_| wrong(&id))).collect(),
        Ids::Text(ids) => match ids.first() {
            Some(id) => Err(wrong(id)),
            None => Ok(Vec::new()),
        },
    }
}
