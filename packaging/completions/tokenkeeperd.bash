# Completion of tokenkeeperd for bash.

_tokenkeeperd() {
    local current=${COMP_WORDS[COMP_CWORD]}
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == --config ]]; then
        compopt -o default -o filenames
        COMPREPLY=()
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W '--config --check --user --help --version' -- "$current")
}
complete -F _tokenkeeperd tokenkeeperd
