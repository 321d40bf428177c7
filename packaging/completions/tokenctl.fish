# Completion of tokenctl for fish: the program itself says what may stand next.

function __tokenctl_next
    set -l before (commandline --tokens-expanded --cut-at-cursor 2>/dev/null; or commandline --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l found (tokenctl __complete "$current" $before[2..] 2>/dev/null)
    if test "$found" = ":files"
        __fish_complete_path "$current"
    else
        printf '%s\n' $found
    end
end

complete --command tokenctl --no-files --arguments '(__tokenctl_next)'
