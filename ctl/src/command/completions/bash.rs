//! The script for bash. That of clap passes the words as bash splits them, at each `=`, `:` and `@` as well, from which
//! no option with a value and no reference of a flake can be told.

/// `ASKED` stands for the environment variable that asks for candidates.
const FUNCTION: &str = r#"_nixos_nspawn_offer() {
    # $1 is the program to ask, $2 is what readline replaces: the part of the word behind the last break.
    local program=$1 replaced=$2 typed=${COMP_LINE:0:COMP_POINT} words=() at part apart whole kept
    # Parts without a blank between them are one word. Those behind the cursor do not matter.
    for ((at = 0; at <= COMP_CWORD; at++)); do
        part=${COMP_WORDS[at]}
        if ((at == 0)); then
            words=("$part") typed=${typed#*"$part"}
            continue
        fi
        apart=${typed%%[![:space:]]*} typed=${typed#"${typed%%[![:space:]]*}"}
        if ((at == COMP_CWORD)); then
            # Before the cursor. The last part may be a break only, behind which nothing is typed.
            part=$typed
            [[ $part == *"$replaced" ]] || part=$replaced
            # Readline leaves an opening quote as it is.
            case ${part%"$replaced"} in [\"\']) part=$replaced ;; esac
        else
            typed=${typed#"$part"}
        fi
        if [[ -n $apart || $part == [\<\>\|\;\&\(\)]* || ${COMP_WORDS[at - 1]} == [\<\>\|\;\&\(\)]* ]]; then
            words+=("$part")
        else
            words[${#words[@]} - 1]+=$part
        fi
    done
    whole=${words[${#words[@]} - 1]} kept=${whole%"$replaced"}

    local space=true
    if compopt +o nospace 2> /dev/null; then space=false; fi
    local IFS=$'\013'
    COMPREPLY=($(
        _CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) _CLAP_COMPLETE_COMP_TYPE=$COMP_TYPE \
            _CLAP_COMPLETE_SPACE=$space ASKED=bash "$program" -- "${words[@]}"
    ))
    if [[ $? != 0 ]]; then
        unset COMPREPLY
        return
    fi
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [[ $space == false && ${COMPREPLY-} =~ [=/:]$ ]]; then compopt -o nospace; fi
}
"#;

/// `NAME` stands for the program as a part of a function's name, `PROGRAM` for the program.
const REGISTERED: &str = r#"_nixos_nspawn_offer_NAME() { _nixos_nspawn_offer PROGRAM "$2"; }
if [[ ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 || ${BASH_VERSINFO[0]} -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _nixos_nspawn_offer_NAME PROGRAM
else
    complete -o nospace -o bashdefault -F _nixos_nspawn_offer_NAME PROGRAM
fi
"#;

/// Returns the script for programs that answer if `variable` is set.
pub(super) fn script(variable: &str, programs: &[&str]) -> String {
    let registered = programs
        .iter()
        .map(|program| REGISTERED.replace("NAME", &program.replace('-', "_")).replace("PROGRAM", program));
    FUNCTION.replace("ASKED", variable) + &registered.collect::<String>()
}
