# The commands one types. `just` without a name lists them. They use the environment that CONTRIBUTING.md sets up.

bin := ".venv/bin"

_list:
    @just --list

# every test
test:
    {{bin}}/python -m pytest -q

# the tests that take under a minute
fast:
    {{bin}}/python -m pytest -q -m fast

# every test with the lines and branches that none of them runs, commands and servers included; takes about twice as long
coverage *flags:
    {{bin}}/coverage erase
    {{bin}}/coverage run -m pytest -q -n 0 {{flags}}
    {{bin}}/coverage combine -q
    {{bin}}/coverage report

# style, format, types
lint:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/mypy

# the web page, at http://127.0.0.1:8000/
page *flags:
    {{bin}}/multiplex serve --ui {{flags}}

# the help texts in docs/cli.md, and the site in site/
docs:
    WRITE_CLI_HELP=1 {{bin}}/python -m pytest -q tests/test_readme.py -k help
    {{bin}}/mkdocs build --strict

# The hashes of constraints-hashes.txt anew, after a change of constraints.txt (needs uv); its first three lines stay.
hashes:
    head -3 constraints-hashes.txt > hashes.new
    uv pip compile pyproject.toml --extra serve --extra parquet -c constraints.txt --generate-hashes --universal --python-version 3.11 --no-annotate --no-header -q >> hashes.new
    mv hashes.new constraints-hashes.txt
