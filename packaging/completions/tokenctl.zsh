#compdef tokenctl
# Completion of tokenctl for zsh: the program itself says what may stand next.

_tokenctl() {
    local word about
    local -a plain open
    while IFS=$'\t' read -r word about; do
        case $word in
            :files) _files && return ;;
            # A slot of an account follows its dot.
            *.) open+=("$word") ;;
            *) plain+=("${word//:/\\:}${about:+:$about}") ;;
        esac
    done < <(tokenctl __complete "${words[CURRENT]}" "${(@)words[2,CURRENT-1]}" 2>/dev/null)
    (( ${#open} )) && compadd -S '' -a open
    (( ${#plain} )) && _describe tokenctl plain
}

_tokenctl "$@"
