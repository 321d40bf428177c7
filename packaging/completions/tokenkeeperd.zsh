#compdef tokenkeeperd
# Completion of tokenkeeperd for zsh.

_arguments \
    '--config[read FILE instead of the usual configuration]:file:_files' \
    '--check[check the configuration, say what it would do, and end]' \
    '--user[run for one user]' \
    '(- *)'{-h,--help}'[print help]' \
    '(- *)'{-V,--version}'[print the version]'
