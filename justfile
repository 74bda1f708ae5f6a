# Shorthands; nothing needs them.

# The service on this machine, with a database and a token issuer of its own.
dev:
    cargo run -- dev

test *ARGS:
    cargo test --workspace {{ARGS}}

lint:
    cargo fmt --all --check && cargo clippy --workspace --all-targets -- -D warnings

ci:
    bash .ci/run

bench *ARGS:
    bash bench/run {{ARGS}}
