# Completion of tokenctl for bash: the program itself says what may stand next.

_tokenctl() {
    local word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [[ $word == :files ]]; then
            compopt -o default -o filenames
            return
        fi
        COMPREPLY+=("$word")
        # A slot of an account follows its dot.
        if [[ $word == *. ]]; then compopt -o nospace; fi
    done < <(tokenctl __complete "${COMP_WORDS[COMP_CWORD]#=}" "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
}
complete -F _tokenctl tokenctl
