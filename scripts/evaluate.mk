# One metrics file for each task of a merged model: $(OUT)/TASK.json, with the report it is from in $(OUT)/TASK/.
#
#   make -f evaluate.mk BUNDLE=model DATA=data [TASKS="corn flowers"] [SPLIT=test] [OUT=out/evaluate] [MIN_corn=0.9] \
#       [OPTIONS="--endings jpg,png"]
#
# DATA holds a folder per task: TASK/SPLIT/CLASS/..., or TASK/CLASS/... if there is no SPLIT. A task is evaluated again
# when a file of the model or of its data is new, gone, or has another size or time. With make -k the other tasks
# continue when one fails. Make cannot name files with spaces, so BUNDLE, DATA, OUT and task folders must have none.

MERGEVIT ?= mergevit
SPLIT ?= test
OUT ?= out/evaluate

TASKS ?= $(shell cd "$(DATA)" && for task in *; do [ -d "$$task" ] && echo "$$task" | sed 's/ /?/g'; done)

# What is wrong ends make before anything is run: a target without prerequisites would be up to date.
one-path = $(if $(filter 1,$(words $($(1)))),,$(error $(1)="$($(1))": expected one path without spaces))
a-folder = $(if $(wildcard $($(1))/.),,$(error $(1)=$($(1)): no such folder))
a-task = $(if $(findstring ?,$(1)),$(error $(DATA)/$(subst ?, ,$(1)): make cannot use a folder with spaces; rename it, \
	or name the others by TASKS),$(if $(wildcard $(DATA)/$(1)/.),,$(error $(DATA)/$(1): no such folder for a task)))
no-task = $(1): there is no task $(1:MIN_%=%); the tasks are: $(TASKS)
a-limit = $(if $(filter $(1:MIN_%=%),$(TASKS)),,$(if $(filter environment,$(origin $(1))),$(warning \
	$(no-task)),$(error $(no-task))))
checks = $(foreach name,BUNDLE DATA OUT SPLIT,$(call one-path,$(name)))$(foreach name,BUNDLE DATA,$(call \
	a-folder,$(name)))$(if $(strip $(TASKS)),,$(error no tasks found in $(DATA): expected a folder for each))$(foreach \
	task,$(TASKS),$(call a-task,$(task)))$(foreach limit,$(filter MIN_%,$(.VARIABLES)),$(call a-limit,$(limit)))

.PHONY: evaluate evaluate-checks FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $(OUT)/%.inputs

evaluate: evaluate-checks $(TASKS:%=$(OUT)/%.json)

evaluate-checks:
	@: $(checks)

$(OUT)/%.json: $(OUT)/%.inputs
	$(MERGEVIT) evaluate --bundle "$(BUNDLE)" --data "$*=$$(sed -n 1p $<)" \
		$(if $(MIN_$*),--min-accuracy $*=$(MIN_$*)) $(OPTIONS) --force -o $(OUT)/$*
	@cp $(OUT)/$*/metrics.json $@

# What the evaluation depends on; the file stays as it is while that does.
$(OUT)/%.inputs: FORCE | evaluate-checks
	@mkdir -p $(OUT)
	@data="$(DATA)/$*"; if [ -d "$$data/$(SPLIT)" ]; then data="$$data/$(SPLIT)"; fi; \
	{ echo "$$data"; echo "minimum $(MIN_$*)"; echo "options $(OPTIONS)"; \
	  find -L "$(BUNDLE)" "$$data" -type d -name .packed -prune -o -type f -printf '%p %s %T@\n' | LC_ALL=C sort; } >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
