#!/usr/bin/env python3
"""Opens every Parquet file that lacuna writes with an old pyarrow (10 and later).

    scripts/old_readers.py LACUNA

Arrow before version 15 has no string views, so texts must be plain UTF-8. scripts/check-readers runs
this script in a separate environment with pyarrow 10.
"""

import pathlib
import subprocess
import sys
import tempfile

import pyarrow
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = {"user_id", "item_id", "model_version"}


def main():
    lacuna = sys.argv[1]

    def run(*arguments):
        done = subprocess.run([lacuna, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}")

    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        sample = ROOT / "datasets/sample.csv"
        model = work / "model"
        run("train", sample, "-o", model, "--id-type", "text", "-k", 8, "-i", 3)
        run("recommend", model, "-o", work / "recommended.parquet")
        pairs = work / "pairs.csv"
        pairs.write_text("user,item\n1,1\n2,7\n")
        run("predict", model, "--pairs", pairs, "-o", work / "predicted.parquet")
        run("fold-in", model, sample, "-o", work / "folded")
        run("generate", work / "generated.parquet", "--users", 50, "--items", 40, "--ratings", 600)
        space = work / "space.toml"
        space.write_text('method = "grid"\n[space]\nfactors = [2, 4]\n')
        run("tune", sample, "--space", space, "-i", 2, "-o", work / "tuning")
        for layout in ("raw", "dot", "mips"):
            run("export", model, "--format", "parquet", "--layout", layout)
        files = sorted(work.rglob("*.parquet"))
        assert len(files) >= 14, files
        for file in files:
            table = pq.read_table(file)
            for field in table.schema:
                text = field.type in (pyarrow.utf8(), pyarrow.large_utf8())
                assert text or field.name not in TEXTS or "generated" in file.name, (file, field)
            assert table.num_rows > 0, file
        print(f"pyarrow {pyarrow.__version__} opens {len(files)} Parquet files")


if __name__ == "__main__":
    main()
