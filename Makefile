# Each recipe is what a person would type. Without make: see README.md.
PYTHON ?= python3
LESSON ?= 01
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
INSTALLED := .venv/installed

.PHONY: help setup lab test proof bench build site pins teach grade

help:
	@echo "make lab [LESSON=11]   open a lesson's two notebooks side by side"
	@echo "make test              run everything: every notebook, the twin proof, the tools"
	@echo "make proof             how far the twins part in float64, a line a lesson"
	@echo "make bench [LESSON=02] how long the twins take alone, and side by side"
	@echo "make teach LESSON=02   for instructors: an assignment of the lesson's exercises, in both frameworks"
	@echo "make grade LESSON=02 SUBMISSIONS=folder   grade what came back"
	@echo "make build             for authors: rebuild the notebooks whose lessons changed"
	@echo "make site              for authors: the web page, in site/, from lessons/ and notebooks/; runs nothing"
	@echo "make pins              for maintainers: renew constraints.txt from the installed environment"

setup: $(INSTALLED)

lab: $(INSTALLED)
	@$(BIN)/python -m tandem install $(LESSON)
	@$(BIN)/python -m tandem lab $(LESSON)

test: $(INSTALLED)
	@$(BIN)/python -m tandem install
	@$(BIN)/python -m tandem.tools.classroom
	$(BIN)/python -m pytest $(TESTS)

proof: $(INSTALLED)
	@$(BIN)/python -m tandem proof --all

bench: $(INSTALLED)
	@$(BIN)/python -m tandem bench $(LESSON)

teach: $(INSTALLED)
	@$(BIN)/python -m tandem install $(LESSON)
	@$(BIN)/python -m tandem teach $(LESSON) $(if $(SEED),--seed $(SEED))

grade: $(INSTALLED)
	@$(BIN)/python -m tandem grade $(LESSON) "$(SUBMISSIONS)"

build: $(INSTALLED)
	@$(BIN)/python -m tandem install
	$(BIN)/python -m tandem build

site: $(INSTALLED)
	@$(BIN)/python -m tandem site

pins: $(INSTALLED)
	@$(BIN)/python -m tandem install
	$(BIN)/python -m tandem.tools.pins

$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c "import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit('Tandem needs Python 3.11, 3.12 or 3.13; this is ' + sys.version.split()[0] + '. Name another one with: make PYTHON=python3.12')"
	@echo "Installing the environment into .venv, once: a few minutes, 4 GB (on Linux, with PyTorch's CUDA libraries, about 8)."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@$(PYTHON) -c "open('$(INSTALLED)', 'w').close()"
