# Builder of debian-root: unpacks $tar to $out and makes its programs run from there.
#  - every program gets the store's ld.so as interpreter and DT_RPATH (not RUNPATH: it must also count for what libraries
#    load, such as NSS and PAM modules) with the store's library directories; libraries lose theirs;
#  - the compiler stays as it is (patchelf breaks cc1), stdenv.sh gives it its libraries;
#  - absolute links and the first lines of scripts lead into the store.
set -euo pipefail
# patchelf is beside the archive.
PATH=$PATH:${tar%/*}
mkdir -p "$out"
tar -C "$out" -xf "$tar" --no-same-owner --delay-directory-restore
L=$out/usr/lib/x86_64-linux-gnu
RP=$L:$L/systemd:$L/perl5/auto:$L/libproc:$out/usr/lib/sudo:$out/usr/lib/man-db:$out/usr/libexec/sudo
find "$out" -type l -lname '/*' -printf '%l\t%p\n' | while IFS=$'\t' read -r to link; do
  case $to in "$out"/*|/dev/null|/proc/*|/run/*) ;; *) ln -sfn "$out$to" "$link";; esac
done
find "$out/usr" -type f \( -perm /111 -o -name '*.so*' \) -size +0 > files
: > scripts; : > programs; : > libraries
while read -r f; do
  IFS= read -r -n 4 head < "$f" 2>/dev/null || true
  case $head in
    $'\x7fELF') case $f in */ld-linux-x86-64.so.2|*/libc.so.6|*/libexec/gcc/*|*/bin/x86_64-linux-gnu-*) ;; *.so|*.so.*) echo "$f" >> libraries;; *) echo "$f" >> programs;; esac;;
    '#!'*) echo "$f" >> scripts;;
  esac
done < files 2>/dev/null
patch1() {
  for f; do
    patchelf --print-interpreter "$f" >/dev/null 2>&1 || continue
    patchelf --set-interpreter "$INTERP" --force-rpath --set-rpath "$RP" "$f" || echo "not patched: $f"
  done
}
patch2() { for f; do [ -z "$(patchelf --print-rpath "$f" 2>/dev/null)" ] || patchelf --remove-rpath "$f" || echo "not patched: $f"; done; }
export -f patch1 patch2
export RP INTERP=$L/ld-linux-x86-64.so.2
xargs -a programs -n 100 bash -c 'patch1 "$@"' _
xargs -a libraries -n 200 bash -c 'patch2 "$@"' _
xargs -a scripts -n 200 sed -i -E "1s@^#! ?(/usr)?/s?bin/env (perl|bash|sh|python3)@#!$out/usr/bin/\2@; 1s@^#! ?(/usr)?/(s?)bin/@#!$out/usr/\2bin/@"
