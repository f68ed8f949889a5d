import Foundation
import TestSupport
import Testing

/// `make install` into a staging folder, and the manual pages.
@Suite struct InstallTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    private static let commands = [
        "train", "merge", "check", "add", "remove", "rename", "label", "list", "gather", "gallery", "sort", "fit",
        "evaluate", "study", "quantize", "export", "inspect",
    ]

    /// Runs a target of the Makefile with the tested binary, which it does not build.
    private func make(_ target: String) throws {
        let run = try runProgram(
            "/usr/bin/env",
            [
                "make", "-s", "-C", Samples.package, "-o", "build", target, "BIN=\(try mergeVitBinary())",
                "DESTDIR=\(scratch.path("stage"))", "PREFIX=/usr",
            ])
        #expect(run.exitCode == 0 && run.errors.isEmpty && run.output.isEmpty, "\(run.output)\(run.errors)")
    }

    /// Every file below a folder with its mode.
    private func modes(_ folder: String) throws -> [String: Int] {
        var modes: [String: Int] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: scratch.path(folder)) {
            let attributes = try FileManager.default.attributesOfItem(atPath: scratch.path("\(folder)/\(name)"))
            guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
            modes[name] = attributes[.posixPermissions] as? Int
        }
        return modes
    }

    @Test func everythingIsInstalledAndRemoved() throws {
        try make("install")
        var expected = [
            "usr/bin/mergevit": 0o755, "usr/share/bash-completion/completions/mergevit": 0o644,
            "usr/share/zsh/site-functions/_mergevit": 0o644, "usr/share/man/man1/mergevit.1": 0o644,
            "usr/share/fish/vendor_completions.d/mergevit.fish": 0o644,
        ]
        for command in Self.commands { expected["usr/share/man/man1/mergevit-\(command).1"] = 0o644 }
        #expect(try modes("stage") == expected)
        let installed = try runProgram(scratch.path("stage/usr/bin/mergevit"), ["--version"])
        #expect(installed.exitCode == 0)
        #expect(installed.output == (try runMergeVit("--version").output))
        for shell in ["bash-completion/completions/mergevit", "zsh/site-functions/_mergevit"] {
            #expect(scratch.content("stage/usr/share/\(shell)")?.contains("---complete") == true)
        }
        // What others have installed stays.
        try scratch.write("stage/usr/share/man/man1/other.1")
        try make("uninstall")
        #expect(try modes("stage") == ["usr/share/man/man1/other.1": 0o644])
    }

    /// A manual page as text without roff's escapes.
    private func page(_ name: String) throws -> String {
        let run = try runMergeVit("---manual", name)
        try #require(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
        try scratch.write("\(name).1", run.output)
        return ["\\fB", "\\fI", "\\fR", "\\&"].reduce(run.output) { $0.replacing($1, with: "") }
            .replacing("\\-", with: "-").replacing("\\e", with: "\\")
    }

    @Test func thePageNamesCommandsFilesAndExitCodes() throws {
        let text = try page("mergevit")
        for command in Self.commands { #expect(text.contains("mergevit-\(command)(1)")) }
        for heading in ["NAME", "SYNOPSIS", "COMMANDS", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"] {
            #expect(text.contains(".SH \(heading)\n"), "\(heading)")
        }
        // The title has the version and its day, as the changelog has.
        let title = try #require(text.firstMatch(of: /\.TH MERGEVIT 1 (\S+) "mergevit (\S+)"/))
        let changelog = String(decoding: try readBytes(Samples.package + "/CHANGELOG.md"), as: UTF8.self)
        #expect(changelog.contains("\n## \(title.2) - \(title.1)\n"))
        let pages = try runMergeVit("---manual").output.split(separator: "\n").map(String.init)
        #expect(pages == ["mergevit"] + Self.commands.map { "mergevit-\($0)" })
        let none = try runMergeVit("---manual", "mergevit-nothing")
        #expect(none.exitCode == 2 && none.output.isEmpty)
    }

    @Test(arguments: commands) func thePageOfACommandHasAllItsOptions(_ command: String) throws {
        let text = try page("mergevit-\(command)")
        let help = try runMergeVit(command, "--help").output
        let options = help.matches(of: /\n  (?:-[a-zA-Z0-9], )?(--[a-z-]+)/).map { String($0.1) }
        #expect(options.count > 3)
        for option in options { #expect(text.contains(option), "\(option)") }
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"] {
            #expect(text.contains(".SH \(heading)\n"), "\(heading)")
        }
    }

    /// Checkers of manual pages, where they are installed.
    @Test(arguments: [["mandoc", "-T", "lint", "-W", "warning"], ["man", "--warnings", "-l"]])
    func pagesAreWellFormed(_ checker: [String]) throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/\(checker[0])") else { return }
        for name in ["mergevit"] + Self.commands.map({ "mergevit-\($0)" }) {
            _ = try page(name)
            let run = try runProgram(
                "/usr/bin/\(checker[0])", Array(checker.dropFirst()) + [scratch.path("\(name).1")],
                environment: ["MANPAGER": "cat", "PAGER": "cat", "LC_ALL": "C", "MANWIDTH": "100"])
            #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.output)\(run.errors)")
        }
    }
}
