#compdef tokenkeeperd
# Completion of tokenkeeperd for zsh.

_arguments \
    '--config[read FILE instead of the usual configuration]:file:_files' \
    '--check[check the configuration, say what it would do, and end]' \
    '--user[run for one user]' \
    '--init[seal the store key to this machine, and end]' \
    '--rekey[change the store key, and end]' \
    '*'--recovery-recipient'[seal a copy of the key to this public key of age]:recipient:' \
    '--recovery-output[write that copy to FILE]:file:_files' \
    '--dry-run[say what would be done to the key, and do nothing]' \
    '--json[print JSON of the key]' \
    '(- *)'{-h,--help}'[print help]' \
    '(- *)'{-V,--version}'[print the version]'
