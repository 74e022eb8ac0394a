# Completion of retro for fish: `retro completions fish | source`

function __retro_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (command $words[1] __complete fish $words 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path (commandline -ct)
        case folders
            __fish_complete_directories (commandline -ct)
        case '*'
            test (count $lines) -gt 1; and printf '%s\n' $lines[2..-1]
    end
end
complete -c retro -f -k -a '(__retro_complete)'
