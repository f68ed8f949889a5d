import Foundation
import TestSupport
import Testing

/// Ctrl-C in the phases of commands that leave nothing behind.
@Suite struct InterruptionTests {
    let scratch: TemporaryFolder

    /// Enough pictures for phases of some time.
    init() throws {
        scratch = try TemporaryFolder()
        for index in 0..<300 {
            try scratch.write("many/stop/\(index).png", TrainingScene.stripes(index % 2 == 0, index))
            if index < 40 { try scratch.write("few/\(index).png", TrainingScene.stripes(index % 2 == 0, index)) }
        }
        try scratch.write(
            "many.csv", Array(("path,label\n" + (0..<300).map { "many/stop/\($0).png,stop\n" }.joined()).utf8))
    }

    /// Starts a command in a terminal, sends it a signal once its status line says something, and waits for its end.
    private func interrupted(
        _ arguments: [String], at status: String, by signal: Int32 = SIGINT
    ) throws -> (terminal: Terminal, run: Finished) {
        let process = try startMergeVit(
            arguments.map { Array($0.utf8) }, folder: scratch.url, environment: ["TERM": "xterm"], columns: 80)
        let run = try process.interrupted(by: signal) { process.errorsSoFar.contains(status) }
        return (try Terminal(columns: 80, run.errors), run)
    }

    private func check(_ arguments: [String], at status: String) throws {
        let before = try scratch.entries()
        for (signal, name) in [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")] {
            let (terminal, run) = try interrupted(arguments, at: status, by: signal)
            #expect(run.exitCode == 128 + signal, "\(run.errors)")
            let rows = terminal.text.split(separator: "\n")
            #expect(rows.last == "mergevit: stopped by \(name); nothing was written", "\(run.errors)")
            #expect(try scratch.entries() == before)
        }
    }

    @Test(arguments: ["reading tasks", "single adapters", "trying scales"])
    func merge(_ phase: String) throws {
        try check(
            ["merge", "--base", Samples.base, "--calibration", "few", "--tune", "--align", "-o", "out"]
                + adapters("traffic", "aerial"), at: phase)
    }

    @Test func add() throws {
        let run = try runMergeVit(
            ["merge", "-q", "--base", Samples.base, "--method", "base", "--streams", "-o", "b"] + adapters("traffic"),
            folder: scratch.url)
        #expect(run.exitCode == 0, "\(run.errors)")
        try check(["add", "--bundle", "b", "--calibration", "few", "-o", "out"] + adapters("aerial"), at: "fitting")
    }

    @Test func distillBeforeItsFirstStep() throws {
        let (_, run) = try interrupted(
            ["merge", "--base", Samples.base, "--calibration", "few", "--method", "distill", "-o", "out"]
                + DistillScene.short + adapters("traffic", "aerial"), at: "measuring adapters")
        #expect(run.exitCode == 130)
        #expect(run.errors.hasSuffix("stopped by SIGINT before the first step; nothing was written\r\n"))
        #expect(try scratch.entries() == ["few", "many", "many.csv"])
    }

    @Test func trainBeforeItsFirstStep() throws {
        try scratch.write("many/go/0.png", readBytes(Samples.image("signs/stop.png")))
        let (_, run) = try interrupted(
            ["train", "--base", Samples.base, "--data", "t=many", "--val-fraction", "0", "-o", "out"],
            at: "reading images")
        #expect(run.exitCode == 130)
        #expect(run.errors.hasSuffix("stopped by SIGINT before the first step; nothing was written\r\n"))
        #expect(try scratch.entries() == ["few", "many", "many.csv"])
    }

    @Test func quantize() throws {
        try check(
            ["quantize", "--bundle", try Samples.six(), "--calibration", "few", "-o", "out"], at: "reading folders")
    }

    @Test func evaluate() throws {
        try check(
            [
                "evaluate", "--bundle", try Samples.six(), "--data", "traffic=many.csv", "-o", "out", "--batch-size",
                "4",
            ], at: " of 300 images")
    }

    @Test func checkOfManyAdapters() throws {
        try check(
            ["check", "--base", Samples.base]
                + (0..<24).flatMap { ["--adapter", "a\($0)=\(Samples.adapter("aerial"))"] }, at: "comparing layers")
    }

    @Test func labelToStdout() throws {
        let (_, run) = try interrupted(
            ["label", "--bundle", try Samples.six(), "--batch-size", "4", "many"], at: " images/s")
        #expect(run.exitCode == 130)
        #expect(run.errors.hasSuffix("; the output is incomplete\r\n"), "\(run.errors)")
        #expect(run.standardOutput.last == UInt8(ascii: "\n"))
    }

    @Test func labelToAFile() throws {
        let (_, run) = try interrupted(
            ["label", "--bundle", try Samples.six(), "--batch-size", "4", "many", "-o", "out.csv"], at: " images/s")
        #expect(run.exitCode == 130)
        #expect(run.errors.hasSuffix("; to resume, run the same command\r\n"), "\(run.errors)")
    }

    @Test func listThatWaits() throws {
        let process = try startMergeVit(["list", "--files-from", "-"], keepsInputOpen: true, folder: scratch.url)
        usleep(300_000)
        process.send(SIGINT)
        let run = try process.finish()
        #expect(run.exitCode == 130 && run.output.isEmpty)
        #expect(run.errors == "mergevit: stopped by SIGINT; nothing was written\n")
    }
}
