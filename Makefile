# `make help` lists the targets.

PREFIX ?= /usr/local
SWIFT ?= swift
# The Swift runtime is linked in, so that the installed command stands alone.
RELEASE = -c release --static-swift-stdlib
BIN = .build/release/mergevit
TASKS = traffic trash corn flowers clothing aerial
DEMO = out/demo
SWIFT_SOURCES = Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources
SHELL = /bin/sh

.PHONY: help deps build demo label evaluate study test soak fuzz sanitize test-onednn cluster-test check format bench \
	bench-peers merge-table study-backbone train-samples sample-images install uninstall clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 22

deps: ## install the system libraries (apt-get), or say which are missing
	@scripts/install-dependencies

build: deps ## build the command: .build/release/mergevit
	$(SWIFT) build $(RELEASE) --product mergevit

demo: build ## merge the six sample adapters, label the sample pictures and show them on a page
	@mkdir -p $(DEMO)
	$(BIN) merge --project samples/mergevit.json --scale 0.3 --force -o $(DEMO)/bundle
	$(BIN) label --bundle $(DEMO)/bundle samples/images samples/formats -o $(DEMO)/labels.csv \
		--gallery $(DEMO)/gallery.html
	@scripts/show-table $(DEMO)/labels.csv
	@echo "All rows: $(DEMO)/labels.csv. The merged model: $(DEMO)/bundle."
	@echo "The pictures by task and class: $(CURDIR)/$(DEMO)/gallery.html"

label: build ## label a folder with the demo's model: make label DIR=... [OUT=...] [BUNDLE=...]
	@test -n "$(DIR)" || { echo "usage: make label DIR=... [OUT=...] [BUNDLE=...]" >&2; exit 2; }
	@test -n "$(BUNDLE)" -o -e $(DEMO)/bundle/bundle.json || $(MAKE) --no-print-directory demo
	$(BIN) label --bundle "$(or $(BUNDLE),$(DEMO)/bundle)" $(if $(OUT),-o "$(OUT)") "$(DIR)"

evaluate: build ## a metrics file for each task: make evaluate BUNDLE=... DATA=... [SPLIT=test] (docs/evaluation.md)
	@test -n "$(BUNDLE)" -a -n "$(DATA)" || { echo "usage: make evaluate BUNDLE=... DATA=..." >&2; exit 2; }
	@$(MAKE) --no-print-directory -f scripts/evaluate.mk MERGEVIT="$(BIN)" BUNDLE="$(BUNDLE)" DATA="$(DATA)"

study: build ## what merging does to the six sample tasks: make study DATA=... [OUT=out/study] (docs/study.md)
	@test -n "$(DATA)" || { echo "usage: make study DATA=... [OUT=...]" >&2; exit 2; }
	@mkdir -p out
	$(BIN) study --project samples/mergevit.json -o "$(or $(OUT),out/study)" \
		$(foreach task,$(TASKS),--data "$(task)=$(DATA)/$(task)")

test: build ## build and run every test; those of the command run what `make build` made
	$(SWIFT) build --build-tests
	MERGEVIT_BINARY="$(CURDIR)/$(BIN)" SWIFT="$(SWIFT)" scripts/run-tests

soak: build ## a million images in one run and 200 killed runs, for at most TIME=7200 seconds (docs/reliability.md)
	scripts/soak $(BIN) "$(or $(TIME),7200)" "$(or $(KILLS),200)" "$(or $(IMAGES),1000000)"

fuzz: deps ## fuzz every reader of files for TIME=60 seconds each (docs/reliability.md)
	scripts/fuzz "$(or $(TIME),60)"

sanitize: deps ## every test under AddressSanitizer and UndefinedBehaviorSanitizer (docs/reliability.md)
	SWIFT="$(SWIFT)" scripts/sanitize address
	SWIFT="$(SWIFT)" scripts/sanitize undefined

test-onednn: deps ## every operation of oneDNN, built against the system's version and 3.2 (docs/reliability.md)
	scripts/test-onednn

check: deps ## formatting, length of lines, import directions, docs, messages, warnings as errors
	$(SWIFT) format lint --strict --recursive $(SWIFT_SOURCES)
	scripts/test-check-imports
	scripts/check-imports
	scripts/check-docs
	scripts/check-tests
	scripts/check-lines
	scripts/check-messages
	$(SWIFT) build
	$(SWIFT) build $(RELEASE) --package-path Benchmarks

format: ## bring the sources into the project's format
	$(SWIFT) format --in-place --recursive $(SWIFT_SOURCES)

bench: build ## measure the engine against the processor's limit, start-up and memory (out/bench.json)
	$(SWIFT) build $(RELEASE) --package-path Benchmarks
	@mkdir -p out
	MERGEVIT_COMMIT=$$(git describe --always --dirty) Benchmarks/.build/release/Benchmarks --json out/bench.json

bench-peers: build ## time other software in turn with ours: make bench-peers [REFERENCE=...] [ROUNDS=3] (out/peers)
	@mkdir -p out
	scripts/bench-peers "$(or $(REFERENCE),../shared/reference)" out/peers $(or $(ROUNDS),3)

merge-table: build ## every merge method on the six sample adapters: make merge-table DATA=... (docs/merging.md)
	@mkdir -p out
	scripts/merge-table "$(or $(DATA),../shared/data)" out/merge-table.csv

study-backbone: build ## train and study six tasks over another base: make study-backbone BASE=... DATA=... [OUT=...]
	@test -n "$(BASE)" -a -n "$(DATA)" || { echo "usage: make study-backbone BASE=... DATA=... [OUT=...]" >&2; exit 2; }
	scripts/study-backbone "$(BASE)" "$(DATA)" "$(or $(OUT),out/backbone)"

train-samples: build ## train the demo's six adapters: make train-samples DATA=... [OUT=out/adapters] (docs/training.md)
	@test -n "$(DATA)" || \
		{ echo "usage: make train-samples DATA=... [OUT=...]; DATA/<task>/{train,val}/<class>/*" >&2; exit 2; }
	scripts/train-samples "$(DATA)" "$(or $(OUT),out/adapters)"

cluster-test: demo ## shards on Slurm daemons of this machine, one requeued, compared with one run (docs/scaling.md)
	scripts/cluster-test

sample-images: deps ## draw samples/images and samples/formats again
	@mkdir -p out
	clang -O2 samples/draw/*.c -lpng -ljpeg -lwebp -ltiff -lgif -lm -o out/draw-samples
	out/draw-samples samples/images samples/formats

install: build ## install the command, its completions and manual pages under PREFIX (and DESTDIR)
	scripts/install "$(BIN)" "$(DESTDIR)$(PREFIX)"

uninstall: ## remove what make install installed
	scripts/install --remove "$(DESTDIR)$(PREFIX)"

clean: ## remove what was built
	rm -rf .build Benchmarks/.build out
