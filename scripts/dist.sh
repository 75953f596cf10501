#!/bin/sh
# Wheel and sdist of what is committed, built twice and compared, and what they are made of. Usage: dist.sh VENV
set -eu
python=$(cd "$1" && pwd)/bin/python
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH PYTHONWARNINGS=ignore

[ -z "$(git status --porcelain)" ] || echo "dist.sh: what is not committed is left out" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for try in first second; do
    mkdir -p "$work/$try/source"
    git archive HEAD | tar -x -C "$work/$try/source"
    "$python" -m build --no-isolation --outdir "$work/$try/dist" "$work/$try/source" >/dev/null
done
for file in "$work"/first/dist/*; do
    cmp "$file" "$work/second/dist/$(basename "$file")" || { echo "dist.sh: two builds differ" >&2; exit 1; }
done
rm -rf dist
mv "$work/first/dist" dist
"$python" -m cyclonedx_py requirements requirements/runtime.lock --pyproject pyproject.toml --mc-type application \
    --output-reproducible --output-format JSON --output-file dist/sbom.cdx.json
ls -l dist
