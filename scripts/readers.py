#!/usr/bin/env python3
"""Opens a model's Parquet files with pyarrow, pandas, polars and DuckDB and checks the contents.

    scripts/readers.py LACUNA_BINARY
"""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(*arguments):
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def check_arrow(path, table, side, k, ids):
    columns = [f"{side}_id"] + (["embedding"] if k else []) + ["bias", "n_ratings", "model_version", "trained_at"]
    assert table.column_names == columns, table.column_names
    assert table.schema.field(f"{side}_id").type in ([pyarrow.int64()] if ids == "int" else [pyarrow.utf8(), pyarrow.large_utf8()]), table.schema
    if k:
        assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.float32(), k), table.schema
    assert table.schema.field("bias").type == pyarrow.float32()
    assert table.schema.field("n_ratings").type == pyarrow.int32()
    assert table.schema.field("trained_at").type == pyarrow.timestamp("us", tz="UTC"), table.schema
    assert all(column.null_count == 0 for column in table.columns)
    footer = pq.read_metadata(path).metadata
    keys = {name.decode(): value.decode(errors="replace") for name, value in footer.items()}
    for name in ("format_version", "model_version", "side", "k", "layout", "global_mean", "score_expr"):
        assert f"lacuna.{name}" in keys, keys
    assert keys["lacuna.side"] == side and int(keys["lacuna.k"]) == k
    return keys


def vectors(table, k):
    return table.column("embedding").combine_chunks().flatten().to_numpy().reshape(-1, k)


def check(binary, work, ratings, k, ids):
    model = work / f"model-{k}-{ids}"
    run(binary, "train", ratings, "-o", model, "-a", "als", "-k", str(k), "-i", "3", "--id-type", "text" if ids == "text" else "auto")
    tables = {}
    for side in ("user", "item"):
        path = str(model / f"{side}_factors.parquet")
        table = tables[side] = pq.read_table(path)
        keys = check_arrow(path, table, side, k, ids)
        mean = float(keys["lacuna.global_mean"])

        frame = pandas.read_parquet(path)
        assert len(frame) == table.num_rows
        typed = pandas.read_parquet(path, dtype_backend="pyarrow")
        read = polars.read_parquet(path)
        assert read.height == table.num_rows
        seen = duckdb.sql(f"select * from '{path}'").fetchnumpy()
        assert seen["bias"].dtype == np.float32
        if k:
            expected = vectors(table, k)
            assert np.array_equal(np.stack(frame["embedding"].to_numpy()), expected)
            assert typed["embedding"].dtype == pandas.ArrowDtype(pyarrow.list_(pyarrow.float32(), k))
            assert read.schema["embedding"] == polars.Array(polars.Float32, k), read.schema
            assert np.array_equal(read["embedding"].to_numpy(), expected)
            # DuckDB reads a list. The cast restores the fixed size.
            cast = duckdb.sql(f"select embedding::FLOAT[{k}] as v from '{path}'")
            assert str(cast.types[0]) == f"FLOAT[{k}]", cast.types
            assert np.array_equal(np.stack(cast.fetchnumpy()["v"]), expected)

    # predict must give the dot product of the two files plus biases and mean.
    users, items = tables["user"], tables["item"]
    user_ids, item_ids = users.column("user_id").to_pylist(), items.column("item_id").to_pylist()
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(len(user_ids), size=200), rng.integers(len(item_ids), size=200)
    pairs, out = work / "pairs.csv", work / "predictions.parquet"
    with open(pairs, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id"])
        writer.writerows((user_ids[r], item_ids[c]) for r, c in zip(rows, cols))
    run(binary, "predict", model, "--pairs", pairs, "-o", out, "--force")
    score = mean + users.column("bias").to_numpy()[rows].astype(float) + items.column("bias").to_numpy()[cols]
    if k:
        p, q = vectors(users, k).astype(float), vectors(items, k).astype(float)
        score = score + (p[rows] * q[cols]).sum(1)
    predicted = pq.read_table(out).column("prediction").to_numpy()
    worst = np.abs(predicted - score).max()
    assert worst < 1e-5, worst
    one = subprocess.run(
        [binary, "predict", model, "--user", str(user_ids[rows[0]]), "--item", str(item_ids[cols[0]]), "--json"],
        check=True, capture_output=True, text=True,
    )
    assert abs(json.loads(one.stdout)["prediction"] - score[0]) < 1e-5
    return worst


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for k, ids in ((0, "int"), (1, "int"), (10, "text"), (64, "int")):
            worst = check(binary, work, ROOT / "datasets" / "sample.csv", k, ids)
            print(f"k={k} {ids} ids: pyarrow {pyarrow.__version__}, pandas {pandas.__version__}, "
                  f"polars {polars.__version__}, duckdb {duckdb.__version__} agree; "
                  f"largest difference from predict {worst:.1e}")


if __name__ == "__main__":
    main()
