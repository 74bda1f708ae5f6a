# usersync as an image: docs/containers.md.

# Where no registry can be reached, `deploy/docker/debian-base` makes both of these from Debian's packages.
# The first needs Rust, a C compiler (aws-lc and SQLite; Rust's linker uses it too) and /etc/ssl/certs/ca-certificates.crt;
# the second glibc and libgcc_s. Both must be of the same release of Debian, or the second of a later one.
ARG BUILD_IMAGE=rust:1-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim


FROM ${BUILD_IMAGE} AS build
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
    && echo 'fn main() {}' > src/main.rs && cp src/main.rs bench/load/src/main.rs \
    && cargo build --release --locked --bin usersync

COPY . .
# Cargo goes by modification times, and a file just copied may be older than the build of the empty crate before it.
RUN find src entity migration -type f -exec touch {} + \
    && cargo build --release --locked --bin usersync

# The last stage runs nothing, so that it is the same for every base and needs no emulator for another architecture.
# The certificates are for fetching the providers' keys.
RUN install -D -t /image/usr/local/bin target/release/usersync \
    && install -D -m 644 -t /image/usr/share/doc/usersync LICENSE-APACHE LICENSE-MIT \
    && install -D -m 644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && mkdir -p /owned/data


FROM ${RUNTIME_IMAGE}
COPY --from=build /image/ /
COPY --from=build --chown=10001:10001 /owned/ /

# By number, so that Kubernetes' `runAsNonRoot` can tell. The user needs no name.
USER 10001:10001

# The default database, `sqlite://usersync.db?mode=rwc`, is thus /data/usersync.db, and a `usersync.toml` put here is
# found. There is no DATABASE_URL on purpose: a variable would silently win over the file's `[database] url`.
# Nothing else is written, so the root file system may be read-only.
WORKDIR /data
VOLUME /data

# The service listens on this port of all addresses. Hosts that choose the port set the variable themselves.
ENV PORT=8787
EXPOSE 8787

# Liveness, not readiness: an unavailable database is no reason to restart the container. Migrations run before the
# service answers, and may take minutes.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5m --retries=3 CMD ["usersync", "health"]

# No shell in between: SIGTERM reaches the service itself, which answers what it has accepted.
STOPSIGNAL SIGTERM
CMD ["usersync", "serve"]

# Last, because they change with every build.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="usersync" \
    org.opencontainers.image.description="Your identity provider's users, in your own database, kept in sync." \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
