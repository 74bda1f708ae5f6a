# The C compiler that aws-lc and SQLite need is in the image; Rust's linker uses it too.
FROM rust:1-slim-bookworm AS build
WORKDIR /src

# The dependencies alone, around empty crates: this layer lasts until Cargo.lock or a manifest changes.
# A new member of the workspace goes here as well.
COPY Cargo.toml Cargo.lock ./
COPY entity/Cargo.toml entity/
COPY migration/Cargo.toml migration/
# Not built here, but a workspace knows all of its members.
COPY bench/load/Cargo.toml bench/load/
RUN mkdir -p src entity/src migration/src bench/load/src \
    && touch src/lib.rs entity/src/lib.rs migration/src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs > bench/load/src/main.rs \
    && cargo build --release --locked --bin usersync

COPY . .
# Cargo goes by modification times, and a file just copied may be older than the build of the empty crate before it.
RUN find src entity migration -type f -exec touch {} + \
    && cargo build --release --locked --bin usersync


FROM debian:bookworm-slim
# The certificates are for fetching the providers' keys, wget is for the health check.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin usersync \
    && install -d -o usersync -g usersync /data
COPY --from=build /src/target/release/usersync /usr/local/bin/usersync
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/usersync/

# By number, so that Kubernetes' `runAsNonRoot` can tell.
USER 10001:10001

# The default database, `sqlite://usersync.db?mode=rwc`, is thus /data/usersync.db, and a `usersync.toml` put here is
# found. There is no DATABASE_URL on purpose: a variable would silently win over the file's `[database] url`.
WORKDIR /data
VOLUME /data

# The service listens on this port of all addresses. Hosts that choose the port set the variable themselves.
ENV PORT=8787
EXPOSE 8787

# Liveness, not readiness: an unavailable database is no reason to restart the container.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD wget --quiet --tries=1 --timeout=2 --output-document=/dev/null "http://127.0.0.1:$PORT/healthz"

# No shell in between: SIGTERM reaches the service itself, which drains what it has accepted.
STOPSIGNAL SIGTERM
CMD ["usersync", "serve"]
