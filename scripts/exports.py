#!/usr/bin/env python3
"""Opens every export with its real reader and checks that it ranks items as `lacuna recommend` does.

    scripts/exports.py LACUNA_BINARY [--all]

Trains on the sample with integer and with text ids, and exports every format in every layout that it
supports. Each reader ranks all items for some users. The item at place r must have the score of place r
of `lacuna recommend --include-seen`, within the rounding of the number type. --all adds the readers with
large packages: FAISS, hnswlib, gensim, LanceDB, Qdrant, and implicit and Spark if they are installed.
"""

import argparse
import csv
import glob
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import duckdb
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet as pq
import safetensors
import safetensors.numpy
import usearch.index
import usearch.io

ROOT = pathlib.Path(__file__).resolve().parent.parent
K, TOP, USERS = 14, 20, 40
LAYOUTS = {"raw": K, "dot": K + 2, "mips": K + 2, "cosine": K}
SEEN = []


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Model:
    """A trained model, its recommendations and its exports."""

    def __init__(self, binary, work, ids):
        self.binary, self.work, self.ids = binary, work, ids
        self.path = work / f"model-{ids}"
        run(binary, "train", self.ratings(), "-o", self.path, "-k", K, "-i", 4, "--tol", 0)
        tables = [pq.read_table(self.path / f"{side}_factors.parquet") for side in ("user", "item")]
        self.user_ids, self.item_ids = (table.column(0).to_pylist() for table in tables)
        vectors = [np.stack(t["embedding"].to_pylist()).astype(np.float64) for t in tables]
        biases = [t["bias"].to_numpy().astype(np.float64) for t in tables]
        manifest = self.manifest()
        mean = manifest["model"]["global_mean"]
        self.scores = mean + biases[0][:, None] + biases[1][None, :] + vectors[0] @ vectors[1].T
        self.vectors, self.mean, self.biases = vectors, mean, biases
        out = work / f"recommended-{ids}.csv"
        run(binary, "recommend", self.path, "--include-seen", "-n", TOP, "--rank-by", "rating", "-o", out)
        self.best = {}
        with open(out, newline="") as file:
            for row in csv.DictReader(file):
                self.best.setdefault(self.parsed(row["user_id"]), []).append(float(row["score"]))
        step = len(self.user_ids) // USERS
        self.users = list(range(0, len(self.user_ids), step))[:USERS]
        # Without their biases, vectors rank differently. This shows that the check can fail.
        dots = vectors[0] @ vectors[1].T
        assert self.worst(lambda user: [self.item_ids[at] for at in np.argsort(-dots[user])]) > 0.1
        assert len(self.best) == len(self.user_ids) and all(len(b) == TOP for b in self.best.values())

    def ratings(self):
        source = ROOT / "datasets" / "sample.csv"
        if self.ids == "int":
            return source
        # Ids with spaces, quotes, commas and non-ASCII letters.
        named = self.work / "named.csv"
        with open(source, newline="") as rows, open(named, "w", newline="") as out:
            writer = csv.writer(out)
            for nth, row in enumerate(csv.reader(rows)):
                writer.writerow(row if nth == 0 else [f"Zoë {row[0]}", f'a "b", {row[1]}%', *row[2:]])
        return named

    def parsed(self, id):
        return int(id) if self.ids == "int" else id

    def manifest(self):
        return json.loads((self.path / "manifest.json").read_text())

    def export(self, format, layout="raw", *more):
        out = json.loads(run(self.binary, "export", self.path, "--format", format, "--layout", layout, "--force", "--json", *more))
        listed = {entry["path"]: entry for entry in self.manifest()["outputs"]}
        for entry in out["outputs"]:
            assert listed[entry["path"]] == entry, entry
            content = (self.path / entry["path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == entry["sha256"] and len(content) == entry["bytes"], entry
        return self.path / "exports" / pathlib.Path(out["outputs"][0]["path"]).parts[1]

    def worst(self, ranked):
        """The largest difference between the scores of the ranked items and those of lacuna recommend."""
        column = {id: at for at, id in enumerate(self.item_ids)}
        worst = 0.0
        for user in self.users:
            found = list(ranked(user))[:TOP]
            assert len(found) == TOP == len(set(found)), found
            scores = np.array([self.scores[user, column[id]] for id in found])
            worst = max(worst, np.abs(scores - self.best[self.user_ids[user]]).max())
        return worst

    def check(self, reader, format, layout, ranked, tolerance=2e-6):
        """Checks a ranking: `ranked(user position)` gives item ids, best first."""
        worst = self.worst(ranked)
        assert worst < tolerance, (reader, format, layout, worst)
        SEEN.append((reader, format, layout, self.ids))
        print(f"  {reader:<28}{format:<14}{layout:<8}{self.ids:<5} ranks as recommend, largest difference {worst:.1e}", flush=True)

    def check_arrays(self, reader, format, layout, users, items, tolerance=2e-6, biases=None):
        """Checks the vectors and ids of both sides, ranked by the score of the layout."""
        (user_ids, p), (item_ids, q) = ((list(ids), np.asarray(v, dtype=np.float64)) for ids, v in (users, items))
        assert user_ids == self.user_ids and p.shape == (len(user_ids), LAYOUTS[layout]), (reader, format, layout, p.shape)
        assert item_ids == self.item_ids and q.shape == (len(item_ids), LAYOUTS[layout]), (reader, format, layout, q.shape)

        def ranked(user):
            score = q @ p[user]
            if layout == "raw":
                score = score + biases[1]
            if layout == "mips":
                norms = np.linalg.norm(q, axis=1)
                assert norms.max() / norms.min() < 1.01, (norms.min(), norms.max())
                score = score / norms
            return [item_ids[at] for at in np.argsort(-score, kind="stable")[:TOP]]

        self.check(reader, format, layout, ranked, tolerance)


def arrow_vectors(table):
    return np.stack(table.column("embedding").to_pylist())


def parquet(model):
    for layout in ("raw", "dot", "mips"):
        for format in ("parquet", "parquet-list"):
            directory = model.export(format, layout)
            paths = [str(directory / f"{side}_embeddings.parquet") for side in ("user", "item")]
            tables = [pq.read_table(path) for path in paths]
            width = LAYOUTS[layout]
            for table in tables:
                kind = table.schema.field("embedding").type
                if format == "parquet":
                    assert kind == pyarrow.list_(pyarrow.float32(), width), kind
                else:
                    assert pyarrow.types.is_list(kind) and kind.value_type == pyarrow.float32(), kind
                    names = {field.name: field.type for field in table.schema}
                    assert names["model_version"] == pyarrow.utf8(), names
                assert ("bias" in table.column_names) == (layout == "raw")
            biases = [t["bias"].to_numpy() for t in tables] if layout == "raw" else None
            sides = [(t.column(0).to_pylist(), arrow_vectors(t)) for t in tables]
            model.check_arrays("pyarrow", format, layout, *sides, biases=biases)
            frames = [pandas.read_parquet(path) for path in paths]
            sides = [(f.iloc[:, 0].tolist(), np.stack(f["embedding"])) for f in frames]
            model.check_arrays("pandas", format, layout, *sides, biases=biases)
            frames = [polars.read_parquet(path) for path in paths]
            sides = [(f.to_series(0).to_list(), np.stack(f["embedding"].to_list())) for f in frames]
            model.check_arrays("polars", format, layout, *sides, biases=biases)
            score = f"array_inner_product(u.embedding::FLOAT[{width}], i.embedding::FLOAT[{width}])"
            order = {"raw": f"i.bias + {score}", "dot": score,
                     "mips": f"array_cosine_similarity(u.embedding::FLOAT[{width}], i.embedding::FLOAT[{width}])"}[layout]

            def by_sql(user):
                rows = duckdb.execute(
                    f"select i.item_id from read_parquet(?) u, read_parquet(?) i where u.user_id = ? order by {order} desc, i.item_id limit {TOP}",
                    [*paths, model.user_ids[user]]).fetchall()
                return [id for (id,) in rows]

            # DuckDB sums in single precision.
            model.check("DuckDB", format, layout, by_sql, 1e-5)


def ids_of(directory, side):
    numbers = directory / f"{side}_ids.npy"
    return np.load(numbers).tolist() if numbers.exists() else json.loads((directory / f"{side}_ids.json").read_text())


def arrays(model):
    for layout in ("raw", "dot", "mips"):
        for dtype, tolerance in (("f32", 2e-6), ("f16", 1e-2)):
            directory = model.export("npy", layout, "--dtype", dtype)
            sides = [(ids_of(directory, s), np.load(directory / f"{s}_embeddings.npy", mmap_mode="r")) for s in ("user", "item")]
            assert sides[0][1].dtype == {"f32": np.float32, "f16": np.float16}[dtype] and sides[0][1].flags.c_contiguous
            biases = [np.load(directory / f"{s}_biases.npy") for s in ("user", "item")] if layout == "raw" else None
            model.check_arrays(f"numpy {dtype}", "npy", layout, *sides, tolerance, biases)
            directory = model.export("npz", layout, "--dtype", dtype)
            archive = np.load(directory / "embeddings.npz")
            ids = [archive[f"{s}_ids"].tolist() if model.ids == "int" else ids_of(directory, s) for s in ("user", "item")]
            sides = [(ids[n], archive[f"{s}_factors"]) for n, s in enumerate(("user", "item"))]
            assert abs(archive["global_mean"][0] - model.mean) < 1e-6
            model.check_arrays(f"numpy {dtype}", "npz", layout, *sides, tolerance, biases)
            directory = model.export("safetensors", layout, "--dtype", dtype)
            tensors = safetensors.numpy.load_file(directory / "embeddings.safetensors")
            ids = [tensors[f"{s}_ids"].tolist() if model.ids == "int" else ids_of(directory, s) for s in ("user", "item")]
            sides = [(ids[n], tensors[f"{s}_embeddings"]) for n, s in enumerate(("user", "item"))]
            model.check_arrays(f"safetensors {dtype}", "safetensors", layout, *sides, tolerance, biases)
            directory = model.export("fbin", layout, "--dtype", dtype)
            ending = {"f32": "fbin", "f16": "hbin"}[dtype]
            sides = [(ids_of(directory, s), np.array(usearch.io.load_matrix(str(directory / f"{s}_embeddings.{ending}")))) for s in ("user", "item")]
            model.check_arrays(f"usearch.io {dtype}", "fbin", layout, *sides, tolerance, biases)
            if layout == "raw" or dtype == "f16":
                continue
            # The key of an item is its position, because keys are integers from 0.
            (_, p), (item_ids, q) = sides
            index = usearch.index.Index(ndim=q.shape[1], metric={"dot": "ip", "mips": "cos"}[layout], dtype="f32")
            index.add(np.arange(len(q)), np.ascontiguousarray(q))
            near = lambda user: [item_ids[m.key] for m in index.search(np.ascontiguousarray(p[user]), TOP, exact=True)]
            model.check("usearch (exact)", "fbin", layout, near, 1e-4)
    similar(model)


def similar(model):
    """Checks that neighbours by the layout cosine are those of `lacuna similar`."""
    directory = model.export("npy", "cosine")
    ids, q = ids_of(directory, "item"), np.load(directory / "item_embeddings.npy").astype(np.float64)
    assert np.abs(np.linalg.norm(q, axis=1) - 1).max() < 1e-6 and not (directory / "user_embeddings.npy").exists()
    out = model.work / "similar.csv"
    run(model.binary, "similar", model.path, "--all", "-n", 5, "-o", out, "--force")
    rows = pandas.read_csv(out, dtype={0: str})
    keys = [str(id) for id in ids]
    cosines = q @ q.T - 4 * np.eye(len(ids))
    assert len(rows) == 5 * len(ids) and rows.columns.tolist() == ["item_id", "similar_item_id", "rank", "score"]
    for at in range(0, len(ids), 17):
        found = rows[rows["item_id"] == keys[at]]["score"].to_numpy()
        assert np.abs(found - np.sort(cosines[at])[::-1][:5]).max() < 1e-6
    print(f"  {'numpy':<28}{'npy':<14}{'cosine':<8}{model.ids:<5} neighbours as similar", flush=True)


def text(model):
    for layout in ("raw", "dot", "mips"):
        directory = model.export("csv", layout)
        frames = [pandas.read_csv(directory / f"{s}_embeddings.csv") for s in ("user", "item")]
        columns = [f"f{f}" for f in range(LAYOUTS[layout])]
        biases = [f["bias"].to_numpy() for f in frames] if layout == "raw" else None
        sides = [(f.iloc[:, 0].tolist(), f[columns].to_numpy(dtype=np.float32)) for f in frames]
        model.check_arrays("pandas", "csv", layout, *sides, biases=biases)
        directory = model.export("ndjson", layout)
        frames = [duckdb.execute("select * from read_json(?)", [str(directory / f"{s}_embeddings.ndjson")]).df() for s in ("user", "item")]
        sides = [(f.iloc[:, 0].tolist(), np.stack(f["embedding"]).astype(np.float32)) for f in frames]
        model.check_arrays("DuckDB", "ndjson", layout, *sides, biases=biases)
        # Without a server, rank the contents of the bulk requests by the mapping's similarity.
        for format, kind in (("elasticsearch", "dense_vector"), ("opensearch", "knn_vector")):
            directory = model.export(format, layout)
            sides = []
            for side in ("user", "item"):
                lines = [json.loads(line) for line in (directory / f"{side}_bulk.ndjson").read_text().splitlines()]
                actions, documents = lines[::2], lines[1::2]
                assert [a["index"]["_id"] for a in actions] == [str(d[f"{side}_id"]) for d in documents]
                sides.append(([d[f"{side}_id"] for d in documents], np.float32([d["embedding"] for d in documents])))
                mapping = json.loads((directory / f"{side}_mapping.json").read_text())["mappings"]["properties"]["embedding"]
                if layout != "raw":
                    assert mapping["type"] == kind and LAYOUTS[layout] in mapping.values(), mapping
                    named = mapping.get("similarity") or mapping["method"]["space_type"]
                    assert named == {"dot": ("max_inner_product", "innerproduct"), "mips": ("cosine", "cosinesimil")}[layout][format == "opensearch"]
                elif format == "elasticsearch":
                    assert mapping["index"] is False
            model.check_arrays("json", format, layout, *sides, biases=biases)
        if layout != "mips":
            directory = model.export("vespa", layout)
            sides = []
            for side in ("user", "item"):
                lines = [json.loads(line) for line in (directory / f"{side}_feed.jsonl").read_text().splitlines()]
                ids = [line["fields"][f"{side}_id"] for line in lines]
                assert [line["put"] for line in lines] == [f"id:lacuna:{side}::{id}" for id in ids]
                sides.append((ids, np.float32([line["fields"]["embedding"]["values"] for line in lines])))
                assert f"tensor<float>(x[{LAYOUTS[layout]}])" in (directory / f"{side}.sd").read_text()
            model.check_arrays("json", "vespa", layout, *sides, biases=biases)
        directory = model.export("tensorboard", layout)
        sides = []
        for side in ("user", "item"):
            labels = pandas.read_csv(directory / f"{side}_metadata.tsv", sep="\t", quoting=csv.QUOTE_NONE)
            sides.append((labels[f"{side}_id"].tolist(), np.loadtxt(directory / f"{side}_vectors.tsv", dtype=np.float32, delimiter="\t")))
        model.check_arrays("numpy.loadtxt", "tensorboard", layout, *sides, biases=biases)
        directory = model.export("resp", layout)
        sides = [redis_hashes(directory / f"{side}_embeddings.resp", side, model) for side in ("user", "item")]
        model.check_arrays("redis-server" if shutil.which("redis-server") else "RESP by hand", "resp", layout, *sides, biases=biases)


def redis_hashes(path, side, model):
    """The hashes that the commands create, in a Redis server if it is installed."""
    if shutil.which("redis-server"):
        with tempfile.TemporaryDirectory() as work:
            socket = f"{work}/redis.sock"
            server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", work], stdout=subprocess.DEVNULL)
            try:
                while not os.path.exists(socket):
                    assert server.poll() is None
                with open(path, "rb") as commands:
                    out = subprocess.run(["redis-cli", "-s", socket, "--pipe"], stdin=commands, capture_output=True, text=True, check=True).stdout
                ids = model.user_ids if side == "user" else model.item_ids
                assert f"errors: 0, replies: {len(ids)}" in out, out
                cli = lambda *words: subprocess.run(["redis-cli", "-s", socket, *words], capture_output=True, check=True).stdout[:-1]
                return ids, np.stack([np.frombuffer(cli("HGET", f"{side}:{id}", "embedding"), dtype="<f4") for id in ids])
            finally:
                server.terminate()
                server.wait()
    data, at, ids, vectors = path.read_bytes(), 0, [], []

    def line():
        nonlocal at
        end = data.index(b"\r\n", at)
        text, at = data[at:end], end + 2
        return text

    while at < len(data):
        words = []
        for _ in range(int(line()[1:])):
            length = int(line()[1:])
            words.append(data[at:at + length])
            at += length + 2
        assert words[0] == b"HSET" and words[2] == b"embedding"
        ids.append(model.parsed(words[1].decode().split(":", 1)[1]))
        vectors.append(np.frombuffer(words[3], dtype="<f4"))
    return ids, np.stack(vectors)


class PostgreSQL:
    """A private server on a socket in a temporary directory."""

    def __init__(self, work):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.bin = pathlib.Path(found[-1]) if found else pathlib.Path(shutil.which("postgres") or "").parent
        if not (self.bin / "initdb").exists():
            sys.exit("PostgreSQL is not installed: apt-get install postgresql")
        self.home = work / "postgresql"
        self.home.mkdir()
        # The server refuses to run as root.
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.home, "postgres")
            # The temporary directory is private. Let the server's user pass through it.
            work.chmod(0o711)
        run(*self.user, self.bin / "initdb", "-D", self.home / "data", "-A", "trust", "-U", "lacuna", cwd="/")
        options = f"-c listen_addresses= -c unix_socket_directories={self.home} -c fsync=off"
        run(*self.user, self.bin / "pg_ctl", "-D", self.home / "data", "-o", options, "-l", self.home / "log", "-w", "start", cwd="/")

    def psql(self, *arguments, **options):
        return run(self.bin / "psql", "-X", "-q", "-h", self.home, "-U", "lacuna", "-d", "postgres", *arguments, **options)

    def stop(self):
        run(*self.user, self.bin / "pg_ctl", "-D", self.home / "data", "-m", "immediate", "stop", cwd="/")


def postgresql(model, server):
    for layout in ("raw", "dot", "mips"):
        directory = model.export("pgcopy", layout)
        # The second load replaces the tables of the first.
        for _ in range(2):
            server.psql("-f", "load.sql", cwd=directory)
        counts = server.psql("-At", "-c", "select (select count(*) from user_embeddings), (select count(*) from item_embeddings)")
        assert counts.strip() == f"{len(model.user_ids)}|{len(model.item_ids)}", counts
        width = server.psql("-At", "-c", "select min(array_length(embedding, 1)), max(array_length(embedding, 1)), max(trained_at) > '2020-01-01' from item_embeddings")
        assert width.strip() == f"{LAYOUTS[layout]}|{LAYOUTS[layout]}|t", width
        dot = "(select sum(a::float8 * b) from unnest(u.embedding, i.embedding) as t(a, b))"
        order = {"raw": f"i.bias + {dot}", "dot": dot, "mips": f"{dot} / sqrt((select sum(b::float8 * b) from unnest(i.embedding) as t(b)))"}[layout]
        users = ",".join("'" + str(model.user_ids[u]).replace("'", "''") + "'" for u in model.users)
        rows = server.psql("-At", "--csv", "-c", f"""
            select user_id, item_id from (
                select u.user_id, i.item_id, row_number() over (partition by u.user_id order by {order} desc) as place
                from user_embeddings u, item_embeddings i where u.user_id in ({users})) ranked
            where place <= {TOP} order by user_id, place""")
        best = {}
        for user, item in csv.reader(rows.splitlines()):
            best.setdefault(model.parsed(user), []).append(model.parsed(item))
        model.check("PostgreSQL", "pgcopy", layout, lambda user: best[model.user_ids[user]])


def large_readers(model):
    """Readers with large packages."""
    import faiss
    import gensim
    import hnswlib
    import lancedb
    import qdrant_client
    from qdrant_client import models

    for layout in ("dot", "mips"):
        directory = model.export("npy", layout)
        (_, p), (item_ids, q) = ((ids_of(directory, s), np.load(directory / f"{s}_embeddings.npy")) for s in ("user", "item"))
        flat = faiss.IndexFlatIP(q.shape[1]) if layout == "dot" else faiss.IndexFlatL2(q.shape[1])
        flat.add(q)
        near = lambda user: [item_ids[at] for at in flat.search(p[user:user + 1], TOP)[1][0]]
        # Distances are in single precision, and the norms are larger than the scores.
        model.check("faiss " + type(flat).__name__, "npy", layout, near, 1e-5 if layout == "dot" else 1e-3)
        graph = hnswlib.Index(space={"dot": "ip", "mips": "cosine"}[layout], dim=q.shape[1])
        graph.init_index(max_elements=len(q), M=32, ef_construction=400)
        graph.add_items(q, np.arange(len(q)))
        graph.set_ef(len(q))
        near = lambda user: [item_ids[at] for at in graph.knn_query(p[user], k=TOP)[0][0]]
        model.check("hnswlib", "npy", layout, near, 1e-4)
        directory = model.export("parquet", layout)
        database = lancedb.connect(model.work / f"lance-{model.ids}-{layout}")
        table = database.create_table("items", pq.read_table(directory / "item_embeddings.parquet"))
        search = lambda user: table.search(p[user], vector_column_name="embedding").distance_type({"dot": "dot", "mips": "cosine"}[layout])
        near = lambda user: search(user).limit(TOP).to_arrow()["item_id"].to_pylist()
        model.check("LanceDB", "parquet", layout, near, 1e-4)
        client = qdrant_client.QdrantClient(":memory:")
        distance = {"dot": models.Distance.DOT, "mips": models.Distance.COSINE}[layout]
        client.create_collection("items", vectors_config=models.VectorParams(size=q.shape[1], distance=distance))
        points = [models.PointStruct(id=at, vector=v.tolist(), payload={"item_id": id}) for at, (id, v) in enumerate(zip(item_ids, q))]
        client.upsert("items", points)
        near = lambda user: [hit.payload["item_id"] for hit in client.query_points("items", query=p[user].tolist(), limit=TOP).points]
        model.check("Qdrant (local)", "npy", layout, near, 1e-4)
    directory = model.export("word2vec", "mips")
    from urllib.parse import unquote

    keyed = gensim.models.KeyedVectors.load_word2vec_format(directory / "item_embeddings.txt", binary=False)
    users = gensim.models.KeyedVectors.load_word2vec_format(directory / "user_embeddings.txt", binary=False)
    assert len(keyed) == len(model.item_ids)
    near = lambda user: [model.parsed(unquote(key)) for key, _ in keyed.similar_by_vector(users.vectors[user], topn=TOP)]
    model.check("gensim KeyedVectors", "word2vec", "mips", near, 1e-4)
    try:
        import implicit.cpu.als
    except ImportError:
        print("  skipped: implicit is not installed")
    else:
        directory = model.export("npz", "dot")
        als = implicit.cpu.als.AlternatingLeastSquares(factors=K + 2)
        archive = np.load(directory / "embeddings.npz")
        als.user_factors, als.item_factors = archive["user_factors"], archive["item_factors"]
        near = lambda user: [model.item_ids[at] for at in als.recommend(user, None, N=TOP, filter_already_liked_items=False)[0]]
        model.check("implicit", "npz", "dot", near, 1e-5)
    if model.ids == "int":
        spark(model)


def spark(model):
    try:
        from pyspark.ml.recommendation import ALSModel
        from pyspark.sql import SparkSession
    except ImportError:
        print("  skipped: pyspark is not installed")
        return
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    loaded = ALSModel.load(str(model.export("spark-als", "dot")))
    assert loaded.rank == K + 2
    rows = loaded.recommendForUserSubset(session.createDataFrame([(model.user_ids[u],) for u in model.users], ["user"]), TOP).collect()
    best = {row["user"]: [item["item"] for item in row["recommendations"]] for row in rows}
    model.check("Spark ALSModel", "spark-als", "dot", lambda user: best[model.user_ids[user]], 1e-5)
    session.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--all", action="store_true", help="also check the readers with large packages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        server = PostgreSQL(work)
        try:
            for ids in ("int", "text"):
                model = Model(arguments.binary, work, ids)
                parquet(model)
                arrays(model)
                text(model)
                postgresql(model, server)
                if arguments.all:
                    large_readers(model)
        finally:
            server.stop()
    print(f"{len(SEEN)} combinations of reader, format and layout rank items as lacuna recommend does")


if __name__ == "__main__":
    main()
