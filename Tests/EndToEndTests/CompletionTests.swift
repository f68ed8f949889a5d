import Foundation
import TestSupport
import Testing

/// What shells offer for an unfinished command line.
@Suite struct CompletionTests {
    let scratch: TemporaryFolder

    /// A folder with a name that needs quotes, a file, and a bundle.
    init() throws {
        scratch = try TemporaryFolder()
        try scratch.createFolder("adapters/my birds")
        try scratch.write("labels.txt")
        try scratch.copy(Samples.six(), to: "bundle")
    }

    /// The answer of the command to the words after its name: the kind of paths, the prefix, and the candidates.
    private func completed(_ words: String...) throws -> (paths: String, prefix: String, candidates: [String]) {
        let run = try runMergeVit(["---complete"] + words, folder: scratch.url)
        try #require(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
        let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        try #require(lines.count >= 2, "\(run.output)")
        return (lines[0], lines[1], lines.dropFirst(2).map { String($0.prefix { $0 != "\t" }) })
    }

    @Test func subcommandsAndTheirOptions() throws {
        #expect(try completed("").candidates.prefix(3) == ["train", "merge", "check"])
        #expect(try completed("l").candidates == ["label", "list"])
        #expect(try completed("help", "stu").candidates == ["study"])
        #expect(try completed("nonsense", "--").candidates == ["--version", "--help"])
        let options = try completed("label", "--").candidates
        for name in ["--bundle", "--format", "--help", "--quiet"] { #expect(options.contains(name), "\(options)") }
        // Each once, unless it may be repeated; none behind "--".
        let merge = try completed("merge", "--base", "x", "-q", "--adapter", "a=b", "--").candidates
        #expect(merge.contains("--adapter") && !merge.contains("--base") && !merge.contains("--quiet"))
        #expect(try completed("label", "--", "--").candidates.isEmpty)
        #expect(try completed("label", "-").candidates.contains("-q"))
    }

    @Test func valuesOfOptions() throws {
        #expect(try completed("label", "--precision", "").candidates == ["f32", "bf16", "int8", "auto"])
        #expect(try completed("label", "--precision=b") == ("none", "--precision=", ["bf16"]))
        #expect(try completed("merge", "--method", "kn").candidates == ["knots-ties", "knots-dare-ties"])
        #expect(try completed("merge", "--method", "ties", "--set", "den").candidates == ["density="])
        #expect(try completed("merge", "--method", "distill", "--set", "fl").candidates == ["flip="])
        #expect(
            try completed("merge", "--method", "distill", "--set", "flip=") == ("none", "flip=", ["yes", "no"]))
        #expect(try completed("merge", "--from", "di").candidates.isEmpty)
        #expect(try completed("label", "--bundle", "bundle", "--tasks", "corn,fl") == ("none", "corn,", ["flowers"]))
        let activation = try completed("merge", "--adapter", "birds=x", "--activation", "")
        #expect(activation.candidates == ["birds="])
        #expect(try completed("merge", "--activation", "birds=s").candidates == ["softmax", "sigmoid"])
        #expect(try completed("study", "--methods", "sum,tie").prefix == "sum,")
        #expect(try completed("label", "--batch-size", "").candidates.isEmpty)
    }

    @Test func filesAndFolders() throws {
        #expect(try completed("label", "--bundle", "").paths == "folders")
        #expect(try completed("label", "").paths == "files")
        #expect(try completed("label", "--", "a").paths == "files")
        #expect(try completed("merge", "--adapter", "birds=").paths == "files")
        #expect(try completed("merge", "--calibration", "").paths == "folders")
        #expect(try completed("study", "--data", "a=da") == ("files", "a=", []))
        #expect(try completed("merge", "--adapter", "birds=ad").prefix == "birds=")
        #expect(try completed("merge", "--adapter", "bi").paths == "none")
        #expect(try completed("merge", "--labels", "birds=").paths == "files")
    }

    /// What a shell is told to run before it completes: the script, and the command under its name.
    private func script(_ shell: String) throws -> String {
        let run = try runMergeVit("--generate-completion-script", shell)
        #expect(run.exitCode == 0 && run.errors.isEmpty && run.output.contains("---complete"))
        return try scratch.write("script", run.output)
    }

    /// A PATH with the tested command under its name.
    private func environment() throws -> [String: String] {
        if !FileManager.default.fileExists(atPath: scratch.path("bin/mergevit")) {
            try scratch.createFolder("bin")
            try scratch.link("bin/mergevit", to: try mergeVitBinary())
        }
        return ["PATH": scratch.path("bin") + ":/usr/local/bin:/usr/bin:/bin", "HOME": scratch.path, "TERM": "dumb"]
    }

    /// Drives bash's function as readline does: words split at "=" and ":", and the cursor at the end of the line.
    private func bash(_ line: String, words: [String]) throws -> [String] {
        try scratch.write(
            "drive",
            """
            source "$1"
            compopt() { for name; do [[ $name == -o ]] || echo "compopt $name"; done; }
            COMP_LINE=$2 COMP_POINT=${#2}
            shift 2
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _mergevit
            printf '%s\\n' "${COMPREPLY[@]}"
            """)
        let run = try runProgram(
            "/bin/bash", ["--norc", scratch.path("drive"), try script("bash"), line] + words, folder: scratch.url,
            environment: try environment())
        #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
        return run.output.split(separator: "\n").map(String.init)
    }

    @Test func bashPutsWordsTogether() throws {
        #expect(try bash("mergevit la", words: ["mergevit", "la"]) == ["label"])
        #expect(try bash("mergevit  help  stu", words: ["mergevit", "help", "stu"]) == ["study"])
        #expect(
            try bash("mergevit merge --method kn", words: ["mergevit", "merge", "--method", "kn"])
                == ["knots-ties", "knots-dare-ties"])
        #expect(
            try bash("mergevit label --precision=b", words: ["mergevit", "label", "--precision", "=", "b"]) == ["bf16"])
        #expect(
            try bash(
                "mergevit merge --adapter birds=ad", words: ["mergevit", "merge", "--adapter", "birds", "=", "ad"])
                == ["compopt default"])
        #expect(
            try bash("mergevit label --bundle ", words: ["mergevit", "label", "--bundle", ""]) == ["compopt plusdirs"])
        #expect(
            try bash(
                "mergevit study --head-alone a=lab",
                words: ["mergevit", "study", "--head-alone", "a", "=", "lab"])
                == ["compopt default"])
        #expect(
            try bash(
                "mergevit merge --labels birds=", words: ["mergevit", "merge", "--labels", "birds", "="])
                == ["compopt default"])
        #expect(
            try bash(
                "mergevit merge --adapter b=x --weight ",
                words: ["mergevit", "merge", "--adapter", "b", "=", "x", "--weight", ""])
                == ["compopt nospace", "b="])
    }

    /// Presses TAB in a real bash.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script")))
    func bashCompletesAtATerminal() throws {
        // C-a goes to the beginning of the line, to print the words instead of running them.
        let keys = """
            source \(try script("bash"))
            mergevit merge --meth\tkn\tt\t--adapter b=adapters/m\tx > out\u{1}printf '[%s]'\u{20}
            exit

            """
        let shell = try ChildProcess(
            "/usr/bin/script", ["-qec", "bash --norc --noprofile", "/dev/null"].map { Array($0.utf8) },
            input: Array(keys.utf8), folder: scratch.url,
            environment: try environment().merging(["INPUTRC": "/dev/null"]) { $1 })
        let run = try shell.finish()
        #expect(
            scratch.content("out") == "[mergevit][merge][--method][knots-ties][--adapter][b=adapters/my birds/x]",
            "\(run.output)")
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/fish")))
    func fishCompletes() throws {
        func completed(_ line: String) throws -> [String] {
            let command = "source \(try script("fish")); complete -C '\(line)'"
            let run = try runProgram(
                "/usr/bin/fish", ["--no-config", "-c", command], folder: scratch.url, environment: try environment())
            #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
            return run.output.split(separator: "\n").map { String($0.prefix { $0 != "\t" }) }
        }
        #expect(try completed("mergevit la") == ["label"])
        #expect(try completed("mergevit merge --method kn") == ["knots-dare-ties", "knots-ties"])
        #expect(try completed("mergevit merge --adapter birds=ad") == ["birds=adapters/"])
        #expect(try completed("mergevit label --precision=b") == ["--precision=bf16"])
        #expect(try completed("mergevit merge --labels birds=lab") == ["birds=labels.txt"])
    }

    /// Completes in an interactive zsh inside another one (`zpty`).
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/zsh")))
    func zshCompletes() throws {
        try scratch.createFolder("functions")
        try scratch.copy(try script("zsh"), to: "functions/_mergevit")
        let line = "mergevit merge --meth\tkn\tt\t--adapter b=adapters/m\tx > out\u{1}printf '[%s]' "
        try scratch.write(
            "drive",
            #"""
            zmodload zsh/zpty
            zpty shell zsh -f -i
            zpty -w shell "PS1= fpath=($PWD/functions \$fpath); autoload -Uz compinit; compinit -u -D; bindkey -e"
            zpty -w shell "$1"
            zpty -w shell exit
            while zpty -r shell line; do print -r -- $line; done
            """#)
        let run = try runProgram(
            "/usr/bin/zsh", ["-f", scratch.path("drive"), line], folder: scratch.url, environment: try environment())
        #expect(
            scratch.content("out") == "[mergevit][merge][--method][knots-ties][--adapter][b=adapters/my birds/x]",
            "\(run.output)\(run.errors)")
    }

    @Test func aShellWithoutAScriptIsNamed() throws {
        let run = try runMergeVit("--generate-completion-script", "tcsh")
        #expect(run.exitCode == 2 && run.output.isEmpty && run.errors.contains("tcsh"), "\(run.errors)")
    }
}
