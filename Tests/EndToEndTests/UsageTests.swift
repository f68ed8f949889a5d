import Foundation
import TestSupport
import Testing

@Suite struct UsageTests {
    @Test func helpAndVersionAreResults() throws {
        let help = try runMergeVit("--help")
        #expect(help.exitCode == 0)
        #expect(help.output.contains("USAGE: mergevit"))
        #expect(help.errors.isEmpty)
        #expect(try runMergeVit("label", "--help").output.contains("--files-from"))
        let version = try runMergeVit("--version")
        #expect(version.output.hasPrefix("0.2.0\npictures: PNG, JPEG"))
        #expect(version.exitCode == 0)
    }

    @Test(arguments: [
        (["label", "--bundle", "b"], "No inputs"),
        (["label", "x"], "--bundle"),
        (["label", "--bundle", "b", "-0", "x"], "--files-from"),
        (["label", "--bundle", "b", "--threshold", "1.5", "x"], "--threshold"),
        (["label", "--bundle", "b", "--threshold", "nan", "x"], "--threshold"),
        (["label", "--bundle", "b", "--top-k", "0", "x"], "--top-k"),
        (["label", "--bundle", "b", "--batch-size", "1025", "x"], "--batch-size"),
        (["label", "--bundle", "b", "--threads", "0", "x"], "--threads"),
        (["label", "--bundle", "b", "--max-pixels", "0", "x"], "--max-pixels"),
        (["label", "--bundle", "b", "--alpha", "red", "x"], "red"),
        (["label", "--bundle", "b", "--format", "xml", "x"], "xml"),
        (["label", "--bundle", "b", "--tasks", "a,", "x"], "--tasks"),
        (["label", "--bundle", "b", "--all-scores", "--scores", "none", "x"], "--all-scores"),
        (["label", "--bundle", "b", "--timeout", "0", "x"], "--timeout"),
        (["label", "--bundle", "b", "--fsync", "often", "x"], "often"),
        (["label", "--bundle", "b", "--restart", "x"], "--restart needs -o"),
        (["label", "--bundle", "b", "--csv-safe", "--format", "jsonl", "x"], "--csv-safe"),
        (["bogus"], "bogus"),
    ])
    func wrongUsageIsExitCode2(_ arguments: [String], _ named: String) throws {
        let run = try runMergeVit(arguments.map { Array($0.utf8) })
        #expect(run.exitCode == 2)
        #expect(run.output.isEmpty)
        #expect(run.errors.hasPrefix("mergevit: error: "))
        #expect(run.errors.contains(named))
        #expect(run.errors.contains("Usage: mergevit"))
    }

    @Test func mergeMethodsAreListedWithoutABase() throws {
        let run = try runMergeVit("merge", "--list-methods")
        #expect(run.exitCode == 0 && run.errors.isEmpty)
        #expect(run.output.hasPrefix("sum (default)\n    ΔW = s · Σ w_t ΔW_t\n    source: Ilharco"))
        #expect(
            run.output.contains(
                "    density: share of a task's elements that is kept; a number above 0, up to 1 (default: 0.2)"))
        #expect(run.output.contains("\npeft-magnitude-prune-svd\n") && run.output.contains("    data: none\n"))
        #expect(try runMergeVit("merge").exitCode == 2)
    }

    @Test func unwritableOutputIsKnownBeforeTheModelIsRead() throws {
        let run = try runMergeVit("label", "--bundle", "nowhere", "-o", "/proc/none/x.csv", "/dev/null")
        #expect(run.exitCode == 3)
        #expect(run.errors == "mergevit: error: cannot write /proc/none/x.csv: No such file or directory\n")
    }

    @Test func argumentsThatAreNotUTF8ComeBackAsTheyWere() throws {
        let name = Array("/proc/none/\u{10F8FF}a".utf8) + [0xFF, 0xC3, 0x28, 0x0A]
        let run = try runMergeVit(
            [Array("label".utf8), Array("--bundle".utf8), Array("b".utf8), Array("-o".utf8)] + [
                name, Array("/dev/null".utf8),
            ])
        #expect(run.exitCode == 3)
        // The message is text: what cannot be shown is replaced, once for each byte, and nothing else is.
        #expect(
            run.errors
                == "mergevit: error: cannot write /proc/none/\u{10F8FF}a\u{FFFD}\u{FFFD}(\n: No such file or "
                + "directory\n"
        )
    }

    @Test(arguments: [
        ["inspect"], ["merge", "-o", "out", "--base"], ["merge", "-o", "out", "--base", "b", "--adapter"],
    ])
    func modelsWhoseNamesAreNotUTF8AreRefusedForThat(_ arguments: [String]) throws {
        let run = try runMergeVit(arguments.map { Array($0.utf8) } + [Array("a=/proc/".utf8) + [0xFF]])
        #expect(run.exitCode == 2)
        #expect(run.errors.contains("/proc/\u{FFFD}' is invalid for ") && run.errors.contains(": it must be UTF-8\n"))
    }

    /// `label * > labels.csv` in a folder with such files must not fill the table with the help.
    @Test(arguments: ["-dash.jpg", "-h.jpg", "-qh", "-help", "-Photo.jpg", "-ho"])
    func namesWithADashAreNotTakenForAWishForHelp(_ name: String) throws {
        for arguments in [["label", "--bundle", "b", name], ["list", name], ["gather", "-o", "x", name], [name]] {
            let run = try runMergeVit(arguments)
            #expect(run.exitCode == 2 && run.standardOutput.isEmpty, "\(arguments)")
            #expect(run.errors.contains("Unknown option '"), "\(run.errors)")
        }
        let scratch = try TemporaryFolder()
        try scratch.copy(Samples.image("signs/stop.png"), to: name)
        try scratch.write("-h", [1])
        for after in [["./\(name)"], ["--", name]] {
            let run = try runMergeVit(["list"] + after, folder: scratch.url)
            #expect(run.exitCode == 0 && run.output == "\(after.last ?? "")\n")
        }
        let help = try runMergeVit("list", "-h", folder: scratch.url)
        #expect(help.exitCode == 2 && help.standardOutput.isEmpty && help.errors.contains("There is a file '-h' here"))
        #expect(try runMergeVit("list", "-h").exitCode == 0)
    }

    @Test func aFailedRunLeavesNoFile() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mergevit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let run = try runMergeVit("label", "--bundle", "nowhere", "-o", "out.csv", "/dev/null", folder: folder)
        #expect(run.exitCode == 3)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }
}
