# docker build -t lacuna --build-arg GIT_SHA=$(git rev-parse HEAD) .
# docker run --rm -v $PWD/ratings:/ratings:ro -v $PWD/runs:/runs lacuna run /ratings -o /runs
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /src
ARG GIT_SHA=""
ENV LACUNA_GIT_SHA=$GIT_SHA
COPY . .
RUN cargo build --release --locked --features cloud && cp target/release/lacuna /lacuna

FROM debian:bookworm-slim
RUN useradd --uid 10001 --create-home lacuna
COPY --from=build /lacuna /usr/local/bin/lacuna
USER 10001
WORKDIR /home/lacuna
# SIGTERM saves a checkpoint; give it time (docker stop --time 60).
STOPSIGNAL SIGTERM
ENTRYPOINT ["lacuna"]
CMD ["--help"]
