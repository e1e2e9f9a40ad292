# The project's commands. `make` alone lists them.

# Kept outside the clone, so that a second clone builds in minutes.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/davylamp/target

# Kernel tests and the guard need root; a user is asked for a password once.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E env "PATH=$(PATH)")
PREFIX  ?= /usr/local
DAVY    := $(PREFIX)/bin/davy
LAMBDA_DIR := $(CARGO_TARGET_DIR)/lambda
LAMBDA_ZIP := $(LAMBDA_DIR)/davy-lambda-$(shell uname -m).zip

.PHONY: help install up down test test-cluster build lambda fmt test-kernels bench-guard bench-respond bench-hunt bench-investigate bench-detect bench-console bench-record fuzz

help:
	@echo 'make up            install what is missing, build, and guard this machine'
	@echo 'make down          end that: nothing is guarded any more'
	@echo 'make test          install what is missing, and run every test'
	@echo 'make test-cluster  run the hunts on a real Ballista cluster as well'
	@echo 'make build         build the release binary'
	@echo 'make lambda        build the Lambda function and zip it'
	@echo 'make install       build, and put it in $(PREFIX)/bin'
	@echo 'make test-kernels  boot other kernels under emulation and run the kill test there'
	@echo 'make bench-guard   measure the guard against no guard'
	@echo 'make bench-respond measure the responder against one on boto3'
	@echo 'make bench-hunt    measure hunts against bare programs and DuckDB'
	@echo 'make bench-investigate  measure a case of five million events against a plain pass over them'
	@echo 'make bench-detect  measure what the detections find, and how fast'
	@echo 'make bench-console measure the console under load, over ledgers of a million findings in SQLite and PostgreSQL'
	@echo 'make bench-record  measure how large a year of hourly snapshots of an account becomes'
	@echo 'make fuzz          fuzz the parsers for a minute each (needs nightly and cargo-fuzz)'

build:
	@scripts/setup build
	cargo build --release --package davylamp

# The function for the architecture of this machine, with all its optimisations: some minutes and
# gigabytes.
lambda:
	@scripts/setup build
	cargo rustc --profile lambda --package davy-lambda --bin bootstrap -- -C relocation-model=static
	@scripts/zip-lambda $(LAMBDA_DIR)/bootstrap $(LAMBDA_ZIP)

install: build
	@echo 'installing $(DAVY)'
	@$(AS_ROOT) install -D -m 755 $(CARGO_TARGET_DIR)/release/davy $(DAVY)

up: install
	@$(AS_ROOT) $(DAVY) up

down:
	@$(AS_ROOT) $(DAVY) down

test:
	@scripts/setup build test
	scripts/test

# Builds all of DataFusion, which is why it is not part of `make test`.
test-cluster:
	@scripts/setup build test
	cargo nextest run --package davylamp-hunt --features ballista-server \
	    --test lake -E 'test(/^cluster::/)'

test-kernels:
	@scripts/setup build test
	cargo xtask test-kernels --record

bench-guard: build
	$(AS_ROOT) cargo xtask bench-guard --record
	$(AS_ROOT) cargo run --release --package davylamp-guard --example bench_wire

bench-respond: lambda
	@scripts/setup test
	cargo xtask bench-respond --record --zip $(LAMBDA_ZIP)

bench-hunt:
	@scripts/setup build test
	cargo build --release --package davylamp-hunt --example measure
	cargo xtask bench-hunt --record --program $(CARGO_TARGET_DIR)/release/examples/measure

# Makes logs of 6 GB of text, 1 GB on disk, in the target folder, and keeps them there.
bench-investigate: build
	cargo build --release --package davylamp-testkit --bin attack-logs
	cargo xtask bench-investigate --record --davy $(CARGO_TARGET_DIR)/release/davy \
	    --generator $(CARGO_TARGET_DIR)/release/attack-logs

# Half an hour for each database, and 8 GB of disk in the folder for temporary files. `davy` is the console
# that is measured; its database and whoever asks and sends run on the same processors.
bench-console: build
	@scripts/setup test
	cargo build --release --package davylamp-console --example load
	$(CARGO_TARGET_DIR)/release/examples/load $(CARGO_TARGET_DIR)/release/davy \
	    sqlite://$${TMPDIR:-/tmp}/davylamp-load.db 1000000 10000 60
	@rm -f $${TMPDIR:-/tmp}/davylamp-load.db*
	$(CARGO_TARGET_DIR)/release/examples/load $(CARGO_TARGET_DIR)/release/davy \
	    postgres 1000000 10000 60

# A year of hourly snapshots, half an hour, in the folder for temporary files.
bench-record:
	@scripts/setup build
	cargo run --release --package davylamp-recorder --example bench_record -- \
	    --record docs/benchmarks-record.md

bench-detect:
	@scripts/setup build
	cargo run --release --package davylamp-detect --example quality -- --record

fuzz:
	cargo +nightly fuzz run blocklist -- -max_total_time=60
	cargo +nightly fuzz run event -- -max_total_time=60
	cargo +nightly fuzz run finding -- -max_total_time=60
	cargo +nightly fuzz run command -- -max_total_time=60
	cargo +nightly fuzz run wire -- -max_total_time=60
	cargo +nightly fuzz run capture -- -max_total_time=60
	cargo +nightly fuzz run detection -- -max_total_time=60
	cargo +nightly fuzz run indicators -- -max_total_time=60
