# Sourced by the demos: the bundled bookshop as a project of its own, in a git repository of its own.

say() { printf '\033[1m==>\033[0m %s\n' "$1"; }

# copied FOLDER: a fresh copy of what is tracked, and into it.
copied() {
  rm -rf "$1"
  mkdir "$1"
  git ls-files examples/bookshop | while read -r file; do
    mkdir -p "$1/$(dirname "${file#examples/}")"
    cp "$file" "$1/${file#examples/}"
  done
  cd "$1/bookshop"
}

# committed: all of it as the first commit.
committed() {
  git init --quiet --initial-branch=main
  git add --all
  git -c user.name=perfcrew -c user.email=perfcrew@localhost commit --quiet --no-verify --message "the bookshop, with its faults"
}

# found STATUS: 1 means findings, which is what a demo is for.
found() {
  if [ "$1" -ne 0 ] && [ "$1" -ne 1 ]; then exit "$1"; fi
}
