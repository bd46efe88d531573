VENV := .venv
requirements.lock: pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --group dev pyproject.toml --generate-hashes --python-version 3.11 --output-file $@
