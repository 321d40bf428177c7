# Completion of tokenkeeperd for fish.

complete --command tokenkeeperd --no-files
complete --command tokenkeeperd --long-option config --require-parameter --force-files --description 'Read FILE instead of the usual configuration'
complete --command tokenkeeperd --long-option check --description 'Check the configuration, say what it would do, and end'
complete --command tokenkeeperd --long-option user --description 'Run for one user'
complete --command tokenkeeperd --long-option init --description 'Seal the store key to this machine, and end'
complete --command tokenkeeperd --long-option rekey --description 'Change the store key, and end'
complete --command tokenkeeperd --long-option recovery-recipient --exclusive --description 'Seal a copy of the key to this public key of age'
complete --command tokenkeeperd --long-option recovery-output --require-parameter --force-files --description 'Write that copy to FILE'
complete --command tokenkeeperd --long-option dry-run --description 'Say what would be done to the key, and do nothing'
complete --command tokenkeeperd --long-option json --description 'Print JSON of the key'
complete --command tokenkeeperd --short-option h --long-option help --description 'Print help'
complete --command tokenkeeperd --short-option V --long-option version --description 'Print the version'
