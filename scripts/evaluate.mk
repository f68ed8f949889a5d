# One metrics file for each task of a merged model: $(OUT)/TASK.json, with the report it is from in $(OUT)/TASK/.
#
#   make -f evaluate.mk BUNDLE=model DATA=data [TASKS="corn flowers"] [SPLIT=test] [OUT=out/evaluate] [MIN_corn=0.9]
#
# DATA holds a folder for each task: TASK/SPLIT/CLASS/..., or TASK/CLASS/... where there is no SPLIT. A task is evaluated again
# when a file of the model or of its data has another size or time, or is new or gone; with make -k the others go on when
# one fails.

MERGEVIT ?= mergevit
SPLIT ?= test
OUT ?= out/evaluate
TASKS ?= $(notdir $(patsubst %/,%,$(wildcard $(DATA)/*/)))

.PHONY: evaluate FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $(OUT)/%.inputs

evaluate: $(TASKS:%=$(OUT)/%.json)

$(OUT)/%.json: $(OUT)/%.inputs
	$(MERGEVIT) evaluate --bundle "$(BUNDLE)" --data "$*=$$(sed -n 1p $<)" \
		$(if $(MIN_$*),--min-accuracy $*=$(MIN_$*)) --force -o $(OUT)/$*
	@cp $(OUT)/$*/metrics.json $@

# What the evaluation depends on; the file stays as it is while that does.
$(OUT)/%.inputs: FORCE
	@mkdir -p $(OUT)
	@data="$(DATA)/$*"; if [ -d "$$data/$(SPLIT)" ]; then data="$$data/$(SPLIT)"; fi; \
	{ echo "$$data"; echo "minimum $(MIN_$*)"; \
	  find -L "$(BUNDLE)" "$$data" -type d -name .packed -prune -o -type f -printf '%p %s %T@\n' | LC_ALL=C sort; } >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
