#!/usr/bin/env python3
"""Computes recall@20 of users that training never saw, and compares it with what lacuna reports.

    python3 scripts/strong_generalisation.py LACUNA [RATINGS.csv ...]

Runs `lacuna train -a ials --holdout user` with two confidences on each file (datasets/sample.csv by
default). Takes only the item vectors and the settings in the manifest from the model. The definition of
the hash (reference.py) gives the held-out users and splits their ratings into those for the fold-in and
those to predict. A dense solve in double precision gives the vectors, and a sort gives the lists. lacuna
works in single precision, so items whose scores agree to seven digits may change places.
"""

import collections
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq

from reference import key, mix

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATIO, FOLD_IN, SALT = 0.1, 0.8, "lacuna"
CONFIDENCES = {
    "unit": [],
    "linear": ["--confidence", "linear", "--alpha", "5", "--reg-exponent", "0.5", "-r", "1"],
}


def share(h):
    return (h >> 11) / (1 << 53)


def recall(model, rows, k=20):
    """The mean over held-out users of the share of their relevant items among the first k."""
    manifest = json.loads((model / "manifest.json").read_text())
    config, fitted = manifest["config"], manifest["model"]
    table = pq.read_table(model / "item_factors.parquet")
    ids = {str(i): n for n, i in enumerate(table["item_id"].to_pylist())}
    q = np.array(table["embedding"].to_pylist(), dtype=np.float64)
    alpha_0 = fitted["unobserved_weight"]
    gram = alpha_0 * q.T @ q
    given, relevant = collections.defaultdict(list), collections.defaultdict(list)
    users = {u for u, _, _ in rows if share(mix(key(f"{SALT}/held-out-user", u))) < RATIO}
    domain = f"{SALT}/fold-in"
    item_keys = {i: mix(key(domain + "/item", i)) for i in {i for _, i, _ in rows}}
    for user, item, value in rows:
        if user in users:
            in_given = share(mix(key(domain + "/user", user) ^ item_keys[item])) < FOLD_IN
            (given if in_given else relevant)[user].append((item, value))
    values, unknown = [], 0
    for user in sorted(relevant):
        seen = [(ids[i], v) for i, v in given[user] if i in ids]
        if not seen:
            unknown += 1
            continue
        at = [n for n, _ in seen]
        counts = np.array([v for _, v in seen])
        y = q[at]
        if config["confidence"] == "unit":
            w, t = np.ones(len(at)), np.ones(len(at))
        else:
            c = 1 + config["alpha"] * counts
            w, t = c - alpha_0, c
        ridge = fitted["lambda_users"] * (len(at) + alpha_0 * len(ids)) ** fitted["reg_exponent"]
        p = np.linalg.solve(gram + (y.T * w) @ y + ridge * np.eye(q.shape[1]), y.T @ t)
        scores = q @ p
        scores[at] = -np.inf
        best = np.lexsort((np.arange(len(scores)), -scores))[:k]
        liked = [ids.get(i) for i, _ in relevant[user]]
        values.append(sum(n in set(best) for n in liked if n is not None) / len(liked))
    return float(np.mean(values)), len(values), unknown


def main():
    lacuna, files = sys.argv[1], sys.argv[2:] or [str(ROOT / "datasets/sample.csv")]
    for path in files:
        with open(path, newline="") as file:
            rows = [(r[0], r[1], float(r[2])) for r in list(csv.reader(file))[1:]]
        for name, flags in CONFIDENCES.items():
            with tempfile.TemporaryDirectory() as work:
                model = pathlib.Path(work) / "model"
                subprocess.run([lacuna, "train", path, "-o", str(model), "-a", "ials", "-k", "24", "--holdout", "user",
                                "--quiet", *flags], check=True)
                out = subprocess.check_output([lacuna, "evaluate", str(model), "--json", "--quiet", "--metrics", "recall@20"])
                found = json.loads(out)["ranking"]
                expected, users, unknown = recall(model, rows)
                reported = json.loads((model / "metrics.json").read_text())["ranking"]["recall@20"]
            assert (found["users"], found["unknown_users"]) == (users, unknown), (found, users, unknown)
            assert abs(found["recall@20"] - reported) < 1e-9, (found, reported)
            difference = abs(found["recall@20"] - expected)
            assert difference < 1e-4, (found, expected)
            print(f"{pathlib.Path(path).name}, {name}: recall@20 {found['recall@20']:.6f} of {users} users, "
                  f"independently {expected:.6f}")


if __name__ == "__main__":
    main()
