#!/usr/bin/env python3
"""Trains one peer on one split. Prints seconds per sweep, seconds of the whole fit and RMSE as JSON.

    peers.py NAME TRAIN.parquet TEST.parquet --rank K --sweeps N --lambda L --threads T

A sweep solves both sides once (LIBMF: one epoch). If the package has a callback or a loop over epochs, the
time of a sweep is the median without the first sweep. Otherwise it comes from the difference of two fits.
Holdout predictions are clipped to the range of the training ratings. Reading the files is not timed.
"""

import argparse
import json
import statistics
import sys
import time

import numpy as np
import pyarrow.parquet as pq


def columns(path):
    table = pq.read_table(path)
    users, items = (table[c].to_numpy().astype(np.int32) for c in ("userId", "movieId"))
    return users, items, table["rating"].to_numpy().astype(np.float32)


def rmse(train, test, predicted):
    clipped = np.clip(predicted, train[2].min(), train[2].max())
    return float(np.sqrt(np.mean((clipped.astype(np.float64) - test[2]) ** 2)))


def timed(work):
    since = time.perf_counter()
    result = work()
    return result, time.perf_counter() - since


def from_two_fits(fit, sweeps):
    """`fit(n)` trains for n sweeps. The time per sweep comes from the difference of two fits."""
    few = max(1, sweeps // 3)
    fit(1)  # Pay for the start-up costs of the first fit of a process (pages, thread pools, compilers).
    _, short = timed(lambda: fit(few))
    model, whole = timed(lambda: fit(sweeps))
    return model, (whole - short) / (sweeps - few), whole


def shape(train, test):
    return tuple(int(max(a.max(), b.max())) + 1 for a, b in zip(train[:2], test[:2]))


def implicit_als(train, test, a, use_cg):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((train[2], (train[0], train[1])), shape=shape(train, test))
    ends = []
    model = AlternatingLeastSquares(
        factors=a.rank, regularization=a.regularization, use_cg=use_cg, iterations=a.sweeps,
        num_threads=a.threads, random_state=42,
    )
    callback = lambda *_: ends.append(time.perf_counter())
    _, whole = timed(lambda: model.fit(matrix, show_progress=False, callback=callback))
    return statistics.median(np.diff(ends)), whole, None


def cmfrec(train, test, a, use_cg):
    """The regularisation of a row is --lambda times its number of ratings, or with --unscaled
    --lambda times the mean number for all rows."""
    from cmfrec import CMF
    from scipy.sparse import coo_matrix

    mean = len(train[2]) * 2 / (len(np.unique(train[0])) + len(np.unique(train[1])))
    strength = a.regularization * mean if a.unscaled else a.regularization

    matrix = coo_matrix((train[2], (train[0], train[1])), shape=shape(train, test))

    def fit(sweeps):
        model = CMF(
            k=a.rank, lambda_=strength, scale_lam=not a.unscaled, use_cg=use_cg, niter=sweeps,
            nthreads=a.threads, precompute_for_predictions=False, verbose=False, random_state=42,
        )
        return model.fit(matrix)

    model, sweep, whole = from_two_fits(fit, a.sweeps)
    return sweep, whole, rmse(train, test, model.predict(test[0], test[1]))


def cmfrec_implicit(train, test, a, use_cg):
    from cmfrec import CMF_implicit
    from scipy.sparse import coo_matrix

    matrix = coo_matrix((train[2], (train[0], train[1])), shape=shape(train, test))

    def fit(sweeps):
        model = CMF_implicit(
            k=a.rank, lambda_=a.regularization, use_cg=use_cg, niter=sweeps, nthreads=a.threads,
            precompute_for_predictions=False, verbose=False, random_state=42,
        )
        return model.fit(matrix)

    _, sweep, whole = from_two_fits(fit, a.sweeps)
    return sweep, whole, None


def lenskit(train, test, a):
    import pandas
    from lenskit.als import BiasedMFScorer
    from lenskit.data import from_interactions_df
    from lenskit.training import TrainingOptions

    frame = pandas.DataFrame({"user_id": train[0], "item_id": train[1], "rating": train[2]})
    data = from_interactions_df(frame)
    scorer = BiasedMFScorer(embedding_size=a.rank, epochs=a.sweeps, regularization=a.regularization)
    since = time.perf_counter()
    trainer = scorer.create_trainer(data, TrainingOptions(rng=42))
    sweeps = [timed(trainer.train_epoch)[1] for _ in range(a.sweeps)]
    trainer.finalize()
    whole = time.perf_counter() - since
    users, items = scorer.users.numbers(test[0]), scorer.items.numbers(test[1])
    p, q = scorer.user_embeddings, scorer.item_embeddings
    bias = scorer.bias
    scores = np.einsum("ij,ij->i", p[users], q[items]) + bias.global_bias
    scores += bias.user_biases[users] + bias.item_biases[items]
    return statistics.median(sweeps[1:] or sweeps), whole, rmse(train, test, scores)


def libmf(train, test, a):
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        from libmf import mf

    # The package expects ids as single-precision numbers.
    data = np.column_stack([c.astype(np.float32) for c in train])

    def fit(sweeps):
        model = mf.MF(
            k=a.rank, nr_threads=a.threads, nr_iters=sweeps, lambda_p2=a.regularization,
            lambda_q2=a.regularization, eta=0.1, quiet=True,
        )
        model.fit(data)
        return model

    model, sweep, whole = from_two_fits(fit, a.sweeps)
    # The package's predict returns values unrelated to its pairs, so compute the dot products here.
    factors = model.model
    p = np.ctypeslib.as_array(factors.P, (factors.m, factors.k))
    q = np.ctypeslib.as_array(factors.Q, (factors.n, factors.k))
    return sweep, whole, rmse(train, test, np.einsum("ij,ij->i", p[test[0]], q[test[1]]))


def spark(train, test, a):
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(f"local[{a.threads}]")
        .config("spark.driver.memory", "8g").config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(4 * a.threads)).getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    frames = [session.read.parquet(path).cache() for path in (a.train, a.test)]
    for frame in frames:
        frame.count()

    def fit(sweeps):
        als = ALS(
            rank=a.rank, maxIter=sweeps, regParam=a.regularization, userCol="userId",
            itemCol="movieId", ratingCol="rating", numUserBlocks=2 * a.threads,
            numItemBlocks=2 * a.threads, seed=42,
        )
        model = als.fit(frames[0])
        model.itemFactors.count()
        return model

    model, sweep, whole = from_two_fits(fit, a.sweeps)
    scored = model.transform(frames[1]).select("rating", "prediction").toPandas().dropna()
    low, high = train[2].min(), train[2].max()
    error = scored["prediction"].clip(low, high).astype(float) - scored["rating"]
    return sweep, whole, float(np.sqrt(np.mean(error**2)))


PEERS = {
    "implicit Cholesky": lambda *x: implicit_als(*x, use_cg=False),
    "implicit CG": lambda *x: implicit_als(*x, use_cg=True),
    "cmfrec Cholesky": lambda *x: cmfrec(*x, use_cg=False),
    "cmfrec CG": lambda *x: cmfrec(*x, use_cg=True),
    "cmfrec implicit Cholesky": lambda *x: cmfrec_implicit(*x, use_cg=False),
    "cmfrec implicit CG": lambda *x: cmfrec_implicit(*x, use_cg=True),
    "LensKit": lenskit,
    "LIBMF (SGD)": libmf,
    "Spark": spark,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--sweeps", type=int, default=6)
    parser.add_argument("--lambda", dest="regularization", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--unscaled", action="store_true", help="cmfrec: lambda does not grow with the ratings of a row")
    a = parser.parse_args()
    sweep, whole, error = PEERS[a.peer](columns(a.train), columns(a.test), a)
    print(json.dumps({"sweep": sweep, "fit": whole, "rmse": error}))


if __name__ == "__main__":
    sys.exit(main())
