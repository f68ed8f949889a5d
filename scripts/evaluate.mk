# One metrics file for each task of a merged model: $(OUT)/TASK.json, with the report it is from in $(OUT)/TASK/.
#
#   make -f evaluate.mk BUNDLE=model DATA=data [TASKS="corn flowers"] [SPLIT=test] [OUT=out/evaluate] [MIN_corn=0.9] \
#       [OPTIONS="--endings jpg,png"]
#
# DATA holds a folder for each task: TASK/SPLIT/CLASS/..., or TASK/CLASS/... where there is no SPLIT. A task is evaluated again
# when a file of the model or of its data has another size or time, or is new or gone; with make -k the others go on when
# one fails. Make cannot name files with spaces, so BUNDLE, DATA, OUT and task folders have none.

MERGEVIT ?= mergevit
SPLIT ?= test
OUT ?= out/evaluate

# What is wrong ends make before anything is run: a target without prerequisites would be up to date.
one-word = $(if $(filter 1,$(words $($(1)))),,$(error $(1)="$($(1))": expected one path without spaces))
$(call one-word,BUNDLE)$(call one-word,DATA)$(call one-word,OUT)$(call one-word,SPLIT)
$(if $(wildcard $(BUNDLE)/.),,$(error BUNDLE=$(BUNDLE): no such folder))
$(if $(wildcard $(DATA)/.),,$(error DATA=$(DATA): no such folder))

TASKS ?= $(shell cd "$(DATA)" && for task in *; do [ -d "$$task" ] && echo "$$task" | sed 's/ /?/g'; done)
$(if $(strip $(TASKS)),,$(error no tasks found in $(DATA): expected a folder for each))
$(foreach task,$(TASKS),$(if $(findstring ?,$(task)),$(error $(DATA)/$(subst ?, ,$(task)): make cannot use a \
	folder with spaces; rename it, or name the others by TASKS),$(if $(wildcard $(DATA)/$(task)/.),,$(error \
	$(DATA)/$(task): no such folder for the task $(task)))))
no-task = $(1): there is no task $(1:MIN_%=%); the tasks are: $(TASKS)
$(foreach limit,$(filter MIN_%,$(.VARIABLES)),$(if $(filter $(limit:MIN_%=%),$(TASKS)),,$(if $(filter \
	environment,$(origin $(limit))),$(warning $(call no-task,$(limit))),$(error $(call no-task,$(limit))))))

.PHONY: evaluate FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $(OUT)/%.inputs

evaluate: $(TASKS:%=$(OUT)/%.json)

$(OUT)/%.json: $(OUT)/%.inputs
	$(MERGEVIT) evaluate --bundle "$(BUNDLE)" --data "$*=$$(sed -n 1p $<)" \
		$(if $(MIN_$*),--min-accuracy $*=$(MIN_$*)) $(OPTIONS) --force -o $(OUT)/$*
	@cp $(OUT)/$*/metrics.json $@

# What the evaluation depends on; the file stays as it is while that does.
$(OUT)/%.inputs: FORCE
	@mkdir -p $(OUT)
	@data="$(DATA)/$*"; if [ -d "$$data/$(SPLIT)" ]; then data="$$data/$(SPLIT)"; fi; \
	{ echo "$$data"; echo "minimum $(MIN_$*)"; echo "options $(OPTIONS)"; \
	  find -L "$(BUNDLE)" "$$data" -type d -name .packed -prune -o -type f -printf '%p %s %T@\n' | LC_ALL=C sort; } >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
