# Completion of retro for bash: `source <(retro completions bash)`

_retro() {
    local mode= line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $mode ]]; then mode=$line; else COMPREPLY+=("$line"); fi
    done < <("$1" __complete bash "$COMP_POINT" "$COMP_WORDBREAKS" "$COMP_LINE" 2>/dev/null)
    type compopt &>/dev/null || return 0
    compopt -o nosort 2>/dev/null
    case $mode in
        words) compopt +o default +o bashdefault 2>/dev/null ;;
        paths)
            compopt +o default +o bashdefault -o filenames 2>/dev/null
            [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
            ;;
        folders) compopt +o default +o bashdefault -o dirnames 2>/dev/null ;;
    esac
    return 0
}
complete -o bashdefault -o default -F _retro retro
