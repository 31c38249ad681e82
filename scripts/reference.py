#!/usr/bin/env python3
"""An independent transcription of lacuna's definitions in numpy, for golden tests.

Everything follows the definitions in double precision, without regard to speed: the hash that
chooses the holdout, standardisation, the explicit objective, alternating least squares with joint
biases, and clipped errors with the fallback for cold cells.

    scripts/reference.py hash                       the holdout of the split test
    scripts/reference.py synthetic > tests/golden/synthetic.json
    scripts/reference.py movielens RATINGS.csv > tests/golden/movielens.json
"""

import csv
import hashlib
import json
import sys

import numpy as np

MASK = (1 << 64) - 1


def mix(h):
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
    return h ^ (h >> 31)


def key(domain, text):
    digest = hashlib.sha256(domain.encode() + b"\0" + text.encode()).digest()
    return int.from_bytes(digest[:8], "big")


def hash_holdout(cells, ratio, salt):
    """Whether each cell, a (user, item) pair of texts, is held out."""
    held_out = []
    for user, item in cells:
        h = mix(key(salt + "/user", user) ^ mix(key(salt + "/item", item)))
        held_out.append((h >> 11) / (1 << 53) < ratio)
    return np.array(held_out)


def start(ids, rank):
    """Starting vectors that lacuna's test computes too: a sine of id and position."""
    i, d = np.array(ids, dtype=float)[:, None], np.arange(rank)[None, :]
    return (0.1 * np.sqrt(2 / max(rank, 1)) * np.sin(0.7 * i * (d + 1) + d)).astype(np.float32).astype(float)


class Explicit:
    """The objective of objective/explicit.rs."""

    def __init__(self, users, items, values, weights, rank, lam, lam_b, exponent, biases=True, mean=True):
        self.users, self.items, self.weights = users, items, weights
        self.rank, self.lam, self.lam_b, self.biases = rank, lam, lam_b, biases
        self.mu = np.average(values, weights=weights) if mean else 0.0
        deviation = np.sqrt(np.average((values - self.mu) ** 2, weights=weights)) if mean else 1.0
        self.s = deviation if deviation > 0 else 1.0
        self.range = values.min(), values.max()
        self.fallback = np.average(values, weights=weights)
        self.values = values
        self.z = (values - self.mu) / self.s
        self.m, self.n = users.max() + 1, items.max() + 1
        self.counts = np.bincount(users, minlength=self.m), np.bincount(items, minlength=self.n)
        self.rho = []
        for count in self.counts:
            mean_count = count.sum() / (count > 0).sum()
            with np.errstate(divide="ignore"):
                self.rho.append(np.where(count > 0, mean_count * (count / mean_count) ** exponent, 0))

    def half(self, side, own, own_bias, fixed, fixed_bias):
        rows, cols = (self.users, self.items) if side == 0 else (self.items, self.users)
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], np.arange(len(own) + 1))
        for row in range(len(own)):
            cells = order[bounds[row]:bounds[row + 1]]
            if len(cells) == 0:
                own[row], own_bias[row] = 0, 0
                continue
            y = fixed[cols[cells]]
            ridge = np.full(self.rank, self.lam * self.rho[side][row])
            if self.biases:
                y = np.hstack([y, np.ones((len(cells), 1))])
                ridge = np.append(ridge, self.lam_b * self.rho[side][row])
            w = self.weights[cells]
            target = self.z[cells] - fixed_bias[cols[cells]]
            x = np.linalg.solve((y * w[:, None]).T @ y + np.diag(ridge), y.T @ (w * target))
            own[row] = x[: self.rank]
            if self.biases:
                own_bias[row] = x[self.rank]

    def fit(self, q, iterations):
        p, bu, bi = np.zeros((self.m, self.rank)), np.zeros(self.m), np.zeros(self.n)
        q = q.copy()
        for iteration in range(iterations):
            self.half(0, p, bu, q, bi)
            self.half(1, q, bi, p, bu)
            yield iteration + 1, p, q, bu, bi

    def objective(self, p, q, bu, bi):
        error = self.z - bu[self.users] - bi[self.items] - (p[self.users] * q[self.items]).sum(1)
        penalty = 0.0
        for side, vectors, bias in ((0, p, bu), (1, q, bi)):
            penalty += self.lam * (self.rho[side] * (vectors**2).sum(1)).sum()
            penalty += self.lam_b * (self.rho[side] * bias**2).sum()
        return ((self.weights * error**2).sum() + penalty) / len(self.z)

    def rmse(self, p, q, bu, bi, users, items, values, clip=True):
        warm_u, warm_i = self.counts[0][users] > 0, self.counts[1][items] > 0
        score = self.mu + self.s * (
            np.where(warm_u, bu[users], 0) + np.where(warm_i, bi[items], 0)
            + np.where(warm_u & warm_i, (p[users] * q[items]).sum(1), 0)
        )
        if self.biases:
            score = np.where(~warm_u & ~warm_i, self.fallback, score)
        else:
            score = np.where(~warm_u | ~warm_i, self.fallback, score)
        if clip:
            score = np.clip(score, *self.range)
        return float(np.sqrt(np.mean((values - score) ** 2)))


def curve(model, item_ids, iterations, holdout):
    points = []
    for iteration, p, q, bu, bi in model.fit(start(item_ids, model.rank), iterations):
        train = model.users, model.items, model.values
        points.append({
            "iteration": iteration,
            "objective": model.objective(p, q, bu, bi),
            "train_rmse": model.rmse(p, q, bu, bi, *train),
            "train_rmse_raw": model.rmse(p, q, bu, bi, *train, clip=False),
            "holdout_rmse": model.rmse(p, q, bu, bi, *holdout) if len(holdout[0]) else None,
        })
    return points


def synthetic():
    """A matrix of 30 by 20 cells made of sines, with and without weights, under several settings."""
    u, i = np.meshgrid(np.arange(30), np.arange(20), indexing="ij")
    keep = (u * 7 + i * 13) % 5 < 2
    u, i = u[keep], i[keep]
    values = (3 + np.sin(0.7 * u) * np.cos(0.3 * i) + 0.5 * np.sin(u * i * 0.1)).astype(np.float32).astype(float)
    weights = 0.5 + (u + 2 * i) % 4 * 0.5
    cases = []
    for weighted in (False, True):
        for rank, lam, lam_b, exponent, biases, mean in (
            (3, 0.15, 0.1, 0.5, True, True),
            (8, 0.05, 0.2, 1.0, True, True),
            (5, 0.1, 0.1, 0.0, False, True),
            (4, 0.2, 0.1, 0.5, False, False),
            (0, 0.1, 0.3, 0.25, True, True),
        ):
            w = weights if weighted else np.ones(len(u))
            model = Explicit(u, i, values, w, rank, lam, lam_b, exponent, biases, mean)
            points = curve(model, np.arange(20), 6, (u[:0], i[:0], values[:0]))
            cases.append({
                "weighted": weighted, "rank": rank, "regularization": lam, "bias_reg": lam_b,
                "exponent": exponent, "biases": biases, "mean": mean, "curve": points,
            })
    return {"made_by": "scripts/reference.py synthetic", "cases": cases}


def movielens(path):
    """The hash split and three fits of a MovieLens ratings.csv without duplicates."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    user_ids = sorted({int(r["userId"]) for r in rows})
    item_ids = sorted({int(r["movieId"]) for r in rows})
    user_at = {u: n for n, u in enumerate(user_ids)}
    item_at = {i: n for n, i in enumerate(item_ids)}
    users = np.array([user_at[int(r["userId"])] for r in rows])
    items = np.array([item_at[int(r["movieId"])] for r in rows])
    values = np.array([float(r["rating"]) for r in rows])
    held_out = hash_holdout([(r["userId"], r["movieId"]) for r in rows], 0.1, "lacuna")
    cases = []
    for rank, lam, lam_b, exponent in ((16, 0.15, 0.1, 0.5), (40, 0.18, 0.2, 0.25), (0, 0.15, 0.1, 0.5)):
        train = Explicit(
            users[~held_out], items[~held_out], values[~held_out], np.ones((~held_out).sum()),
            rank, lam, lam_b, exponent,
        )
        # Every user and item keeps its row, with or without training ratings.
        train.m, train.n = len(user_ids), len(item_ids)
        train.counts = (
            np.bincount(train.users, minlength=train.m), np.bincount(train.items, minlength=train.n),
        )
        rho = []
        for count in train.counts:
            mean_count = count.sum() / (count > 0).sum()
            rho.append(np.where(count > 0, mean_count * (np.maximum(count, 1) / mean_count) ** exponent, 0))
        train.rho = rho
        holdout = users[held_out], items[held_out], values[held_out]
        cases.append({
            "rank": rank, "regularization": lam, "bias_reg": lam_b, "exponent": exponent,
            "curve": curve(train, item_ids, 8, holdout),
        })
    return {
        "made_by": "scripts/reference.py movielens (ml-latest-small, release 2018-09)",
        "n_train": int((~held_out).sum()), "n_holdout": int(held_out.sum()), "cases": cases,
    }


def main():
    command = sys.argv[1:2]
    if command == ["hash"]:
        cells = [(str(u), str(i)) for u in range(4) for i in range(5)]
        held_out = hash_holdout(cells, 0.3, "s")
        print([(int(u), int(i)) for (u, i), out in zip(cells, held_out) if out])
    elif command == ["synthetic"]:
        print(json.dumps(synthetic(), indent=1))
    elif command == ["movielens"] and len(sys.argv) == 3:
        print(json.dumps(movielens(sys.argv[2]), indent=1))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
