# What derivations of NixOS's modules expect of a builder: the functions for substitutions, phases, and what is asked for.
set -eo pipefail
shopt -s nullglob
export HOME=/homeless-shelter
# visudo checks nothing without one.
export EDITOR=/bin/true
export PATH=$stubPath:/usr/bin:/bin:/usr/sbin:/sbin
for i in $stubInputs; do [ -d "$i/bin" ] && PATH=$i/bin:$PATH; done
TMP=$(mktemp -d "${TMPDIR:-/tmp}/b.XXXXXX"); cd "$TMP"; TMPDIR=$TMP
runHook() { :; }
substitute() { # FILE OUT (--replace[-fail|-warn|-quiet] A B | --subst-var NAME | --subst-var-by NAME VALUE)...
  local in=$1 to=$2 text; shift 2
  text=$(cat "$in"; printf x); text=${text%x}
  while [ $# -gt 0 ]; do
    case $1 in
      --replace*) text=${text//"$2"/"$3"}; shift 3;;
      --subst-var) text=${text//"@$2@"/"${!2}"}; shift 2;;
      --subst-var-by) text=${text//"@$2@"/"$3"}; shift 3;;
      *) echo "substitute: $1?" >&2; return 1;;
    esac
  done
  printf %s "$text" > "$to.new"; [ ! -x "$in" ] || chmod +x "$to.new"; mv "$to.new" "$to"
}
substituteInPlace() { local f=$1; shift; substitute "$f" "$f" "$@"; }
installShellCompletion() { :; }; installManPage() { :; }
makeWrapper() { # ORIGINAL WRAPPER [--set A B] [--prefix VAR SEP VALUE] [--add-flags X] ...
  local o=$1 w=$2; shift 2; mkdir -p "$(dirname "$w")"; echo "#!$SHELLPATH" > "$w"
  while [ $# -gt 0 ]; do
    case $1 in
      --set|--set-default) printf 'export %s=%q\n' "$2" "$3" >> "$w"; shift 3;;
      --prefix) printf 'export %s=%q${%s:+%s$%s}\n' "$2" "$4" "$2" "$3" "$2" >> "$w"; shift 4;;
      --suffix) printf 'export %s=${%s:+$%s%s}%q\n' "$2" "$2" "$2" "$3" "$4" >> "$w"; shift 4;;
      --add-flags) f="$f $2"; shift 2;;
      *) shift;;
    esac
  done
  printf 'exec %q%s "$@"\n' "$o" "$f" >> "$w"; chmod +x "$w"
}
wrapProgram() { mv "$1" "$(dirname "$1")/.$(basename "$1")-wrapped"; local p=$1; shift; makeWrapper "$(dirname "$p")/.$(basename "$p")-wrapped" "$p" "$@"; }
# The compiler runs with the building machine's loader, and so with its C library, which may be newer.
mkdir cc-libraries
for lib in isl mpc mpfr gmp z zstd bfd opcodes ctf jansson sframe; do
  for file in "$root"/usr/lib/x86_64-linux-gnu/lib$lib[.-]*; do ln -s "$file" cc-libraries/; done
done
CC="env LD_LIBRARY_PATH=$TMP/cc-libraries $root/usr/bin/x86_64-linux-gnu-gcc-14 --sysroot=$root -static"
if [ -n "$buildCommandPath" ]; then . "$buildCommandPath"
elif [ -n "$buildCommand" ]; then eval "$buildCommand"
elif [ -n "$installPhase" ]; then eval "$buildPhase"; eval "$installPhase"
else for o in ${outputs:-out}; do mkdir -p "${!o}"; done
fi
cd /; rm -rf "$TMP"
