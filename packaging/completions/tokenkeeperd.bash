# Completion of tokenkeeperd for bash.

_tokenkeeperd() {
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $previous == --config || $previous == --recovery-output ]]; then
        compopt -o default -o filenames
        COMPREPLY=()
        return
    fi
    local options='--config --check --user --init --rekey --recovery-recipient --recovery-output
        --dry-run --json --help --version'
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}
complete -F _tokenkeeperd tokenkeeperd
