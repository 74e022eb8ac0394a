#compdef retro
# Completion of retro for zsh: `source <(retro completions zsh)`, or this as the file _retro in $fpath

_retro() {
    local -a lines values shown folders
    local line word
    lines=("${(@f)$(${(Q)words[1]} __complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
    case $lines[1] in
        files) _files; return ;;
        folders) _files -/; return ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        word=${line%%$'\t'*}
        if [[ $word == */ ]]; then
            folders+=("$word")
        else
            values+=("$word")
            if [[ $line == *$'\t'* ]]; then shown+=("$word  -- ${line#*$'\t'}"); else shown+=("$word"); fi
        fi
    done
    local ret=1
    (( $#folders )) && compadd -V folders -S '' -- "${folders[@]}" && ret=0
    (( $#values )) && compadd -V values -l -d shown -- "${values[@]}" && ret=0
    return ret
}

if [[ $funcstack[1] == _retro ]]; then
    _retro "$@"
else
    compdef _retro retro
fi
