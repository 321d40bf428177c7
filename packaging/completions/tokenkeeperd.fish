# Completion of tokenkeeperd for fish.

complete --command tokenkeeperd --no-files
complete --command tokenkeeperd --long-option config --require-parameter --force-files --description 'Read FILE instead of the usual configuration'
complete --command tokenkeeperd --long-option check --description 'Check the configuration, say what it would do, and end'
complete --command tokenkeeperd --long-option user --description 'Run for one user'
complete --command tokenkeeperd --short-option h --long-option help --description 'Print help'
complete --command tokenkeeperd --short-option V --long-option version --description 'Print the version'
