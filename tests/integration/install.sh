#!/usr/bin/env bash
# Debian packages that the integration tests need and that this machine lacks. Installs nothing where all are there.
set -euo pipefail

missing=()
command -v slurmctld slurmd sbatch >/dev/null || missing+=(slurm-wlm)
command -v munged >/dev/null || missing+=(munge)
# The explorer's pages, and letters for what they show.
command -v chromium chromium-browser google-chrome >/dev/null || missing+=(chromium)
[[ -d /usr/share/fonts/truetype/noto ]] || missing+=(fonts-noto-core)
compgen -G "/usr/share/fonts/opentype/noto/*CJK*" >/dev/null || missing+=(fonts-noto-cjk)
if ((${#missing[@]})); then
    if [[ $(id -u) -ne 0 ]]; then
        echo "The integration tests need ${missing[*]}: as root, apt-get install ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
