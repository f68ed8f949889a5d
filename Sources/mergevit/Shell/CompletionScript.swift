/// The scripts that teach a shell to complete `mergevit`. They ask the command itself, so that all shells complete
/// alike: `mergevit ---complete WORD...` prints what can replace the last word (`Completion.text`).
enum CompletionScript: String, CaseIterable {
    case bash, zsh, fish

    /// The argument that asks for completions.
    static let request = "---complete"

    /// The script that a command line asks for; nil if it does not.
    ///
    /// - Returns: an empty text for a shell that has no script: the parser says which shells have one.
    static func asked(_ arguments: [String]) -> String? {
        guard arguments.first == "--generate-completion-script", arguments.count == 2 else { return nil }
        return CompletionScript(rawValue: arguments[1])?.text
    }

    var text: String {
        switch self {
        case .bash: Self.bashText
        case .zsh: Self.zshText
        case .fish: Self.fishText
        }
    }

    /// readline splits words at "=" and ":"; the words are put together as they are in the line. It completes names of
    /// files by itself, quotes and all, if the function gives nothing.
    private static let bashText = #"""
        # bash completion for mergevit

        _mergevit() {
            local IFS=$' \t\n' rest=${COMP_LINE:0:COMP_POINT} trimmed piece i
            local -a words=() lines=()
            for ((i = 0; i <= COMP_CWORD; i++)); do
                trimmed=${rest#"${rest%%[![:space:]]*}"}
                piece=${COMP_WORDS[i]}
                ((i == COMP_CWORD)) && piece=$trimmed
                if ((${#words[@]} == 0)) || [[ $trimmed != "$rest" ]]; then
                    words+=("$piece")
                else
                    words[${#words[@]} - 1]+=$piece
                fi
                rest=${trimmed#"$piece"}
            done

            local word=${words[${#words[@]} - 1]} head= line
            mapfile -t lines < <("${words[0]/#\~\//$HOME/}" ---complete "${words[@]:1}" 2>/dev/null)
            [[ $word == *[=:]* && $COMP_WORDBREAKS == *=* ]] && head=${word%"${word##*[=:]}"}
            COMPREPLY=()
            for line in "${lines[@]:2}"; do
                line=${lines[1]}${line%%$'\t'*}
                line=${line#"$head"}
                [[ $line == *= ]] && compopt -o nospace
                printf -v line %q "$line"
                COMPREPLY+=("$line")
            done
            case ${lines[0]} in
                folders) compopt -o plusdirs ;;
                files) compopt -o default ;;
            esac
            # readline does not look behind a comma.
            head=${lines[1]#"$head"}
            if [[ -n $head && ${lines[0]} != none ]]; then
                while IFS= read -r line; do COMPREPLY+=("$head$line"); done < <(compgen -f -- "${word#"${lines[1]}"}")
                compopt -o filenames -o nospace
            fi
        }

        complete -F _mergevit mergevit
        """#

    private static let zshText = #"""
        #compdef mergevit
        compdef _mergevit mergevit

        _mergevit() {
            local -a lines plain open
            local line word summary
            lines=("${(@f)$(${~words[1]} ---complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
            [[ -n $lines[2] ]] && compset -p ${#lines[2]}
            for line in "${(@)lines[3,-1]}"; do
                [[ -n $line ]] || continue
                word=${line%%$'\t'*} summary=${line#*$'\t'}
                if [[ $word == *= ]]; then
                    open+=("$word")
                else
                    plain+=("${word//:/\\:}${summary:+:$summary}")
                fi
            done
            local found=1
            (($#plain)) && _describe -V value plain && found=0
            (($#open)) && compadd -S '' -- "${open[@]}" && found=0
            case $lines[1] in
                folders) _files -/ && found=0 ;;
                files) _files && found=0 ;;
            esac
            return found
        }

        # As a file of fpath this is the function's first call.
        [[ $funcstack[1] == _mergevit ]] && _mergevit
        """#

    private static let fishText = #"""
        # fish completion for mergevit

        function __mergevit_complete
            set -l words (commandline -opc)
            set -l word (commandline -ct)
            set -l lines ($words[1] ---complete $words[2..-1] "$word" 2>/dev/null)
            set -l prefix "$lines[2]"
            for line in $lines[3..-1]
                echo -- $prefix$line
            end
            set -l rest (string sub -s (math 1 + (string length -- "$prefix")) -- "$word")
            switch "$lines[1]"
                case folders
                    for path in (__fish_complete_directories "$rest" '')
                        echo -- $prefix$path
                    end
                case files
                    for path in (__fish_complete_path "$rest")
                        echo -- $prefix$path
                    end
            end
        end

        complete -c mergevit -f -a '(__mergevit_complete)'
        """#
}
