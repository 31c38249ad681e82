#!/usr/bin/env python3
"""Computes golden values of the ranking metrics with other packages.

    python3 scripts/reference_ranking.py > tests/golden/ranking.json

Needs ranx, scikit-learn and scipy. The cases are random and full of ties. They have users without test
items, test items that are not candidates, and more relevant items than places in a list. ranx gets the
order that lacuna documents (higher scores first, equal scores by item) as unique scores. scikit-learn
computes AUC on the scores themselves. This script computes recall-min and the metrics that do not depend
on hits (coverage, popularity, Gini), the latter by other formulas than lacuna's.
"""

import json
import sys

import numpy as np
from ranx import Qrels, Run, evaluate
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

CUTOFFS = [1, 5, 20, 70]
RANX = {"precision": "precision", "recall": "recall", "ndcg": "ndcg", "map": "map", "mrr": "mrr", "hit-rate": "hit_rate"}


def case(seed, users, items, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels + 1, (users, items)).astype(float)
    popularity = rng.integers(0, 6, items)
    seen = [np.flatnonzero(rng.random(items) < rng.choice([0, 0.2, 0.6])) for _ in range(users)]
    relevant = []
    for u in range(users):
        pool = np.setdiff1d(np.arange(items), seen[u])
        share = rng.choice([0.0, 0.03, 0.3, 0.7])
        relevant.append(pool[rng.random(len(pool)) < share])
    missing = rng.integers(0, 2, users) * rng.integers(0, 4, users)
    counted = [u for u in range(users) if len(relevant[u]) + missing[u] > 0]
    qrels, run, lists, areas = {}, {}, {}, []
    for u in counted:
        pool = np.setdiff1d(np.arange(items), seen[u])
        order = pool[np.lexsort((pool, -scores[u, pool]))]
        lists[u] = order
        # Items that are not candidates are in the judgements but never in the list.
        qrels[str(u)] = {f"i{i}": 1 for i in relevant[u]} | {f"missing{m}": 1 for m in range(missing[u])}
        run[str(u)] = {f"i{i}": float(items - place) for place, i in enumerate(order)}
        if 0 < len(pool) and len(relevant[u]) < len(pool):
            target = np.isin(pool, relevant[u]).astype(int)
            values = scores[u, pool]
            # A missing item ranks below all others.
            target = np.append(target, np.ones(missing[u], int))
            values = np.append(values, np.full(missing[u], -levels - 1.0))
            areas.append(roc_auc_score(target, values))
    expected = {"auc": float(np.mean(areas))}
    for name, theirs in RANX.items():
        for k in CUTOFFS:
            expected[f"{name}@{k}"] = float(np.mean(evaluate(Qrels(qrels), Run(run), f"{theirs}@{k}", return_mean=False)))
    for k in CUTOFFS:
        hits = [np.isin(lists[u][:k], relevant[u]).sum() for u in counted]
        most = [min(k, len(relevant[u]) + missing[u]) for u in counted]
        expected[f"recall-min@{k}"] = float(np.mean(np.array(hits) / most))
        times = np.bincount(np.concatenate([lists[u][:k] for u in counted]), minlength=items)
        expected[f"coverage@{k}"] = float(np.count_nonzero(times) / items)
        # Half the relative mean absolute difference.
        expected[f"gini@{k}"] = float(np.abs(times[:, None] - times[None, :]).mean() / (2 * times.mean()))
        ranks = rankdata(-popularity)
        expected[f"popularity-rank@{k}"] = float((ranks * times).sum() / times.sum())
    return {
        "scores": scores.astype(int).tolist(), "popularity": popularity.tolist(),
        "seen": [s.tolist() for s in seen], "relevant": [r.tolist() for r in relevant],
        "missing": missing.tolist(), "users": len(counted), "expected": expected,
    }


def main():
    cases = [case(1, 40, 60, 3), case(2, 25, 90, 50), case(3, 60, 33, 1)]
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
