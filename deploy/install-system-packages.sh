#!/usr/bin/env bash
# Installs the Debian packages that a list names, where their program is missing and we may.
# A list's lines are `PROGRAM PACKAGE [PACKAGE ...]`: a PROGRAM with a slash is a path or pattern.
set -euo pipefail

missing=()
while read -r program packages; do
  [[ -z "$program" || "$program" == \#* ]] && continue
  if [[ "$program" == */* ]]; then
    compgen -G "$program" > /dev/null && continue
  else
    command -v "$program" > /dev/null && continue
  fi
  read -r -a names <<< "$packages"
  missing+=("${names[@]}")
done < "$1"
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $EUID -ne 0 ]]; then
  echo "Missing system packages. Install them and run this again: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing system packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
