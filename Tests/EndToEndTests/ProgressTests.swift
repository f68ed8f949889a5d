import Foundation
import TestSupport
import Testing

/// The status line of every long command, in a terminal of 80 columns and of 40.
@Suite struct ProgressTests {
    let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(Samples.folder + "/images", to: "images")
    }

    /// Runs a command that goes well, and checks that all of its phases are told.
    ///
    /// - Parameters:
    ///   - phases: parts of status lines, each of which has to be seen. Only the first line of a phase always is:
    ///     others are shown a few times per second.
    ///   - kept: beginnings of the lines that stay, in order; nothing else is left on the terminal.
    private func check(_ columns: Int, _ arguments: [String], phases: [String], kept: [String]) throws {
        let (terminal, run) = try Terminal.run(columns, arguments, folder: scratch.url)
        #expect(run.exitCode == 0, "\(run.errors)")
        for phase in phases {
            #expect(
                terminal.statusLines.contains { $0.contains(phase) }, "no \(phase) in \(terminal.statusLines)")
        }
        // Lines that stay may take several rows; each begins in the first column.
        var rest = terminal.text.replacingOccurrences(of: "\n", with: "")[...]
        for line in kept {
            guard let found = rest.range(of: line) else {
                Issue.record("no \"\(line)\" in \(rest)")
                continue
            }
            rest = rest[found.upperBound...]
        }
        let first = terminal.text.split(separator: "\n").first.map(String.init) ?? ""
        #expect(first.hasPrefix(String((kept.first ?? "").prefix(columns))), "\(terminal.text)")
    }

    @Test(arguments: [80, 40]) func merge(_ columns: Int) throws {
        try check(
            columns,
            ["merge", "--base", Samples.base, "--calibration", "images", "--tune", "--align"]
                + adapters("traffic", "aerial") + ["-o", "out"],
            phases: [
                "reading adapters: 0 of 2", "reading tasks: 0 of 2", "single adapters: 0 of 2",
                "trying scales: 0 of 6", "aligning heads: 0 of 2", "writing tensors: ",
            ],
            kept: ["mergevit: warning: fewer than 50 held-out images", "traffic, aerial: scale ", "merged 2 adapters"])
    }

    @Test(arguments: [80, 40]) func distill(_ columns: Int) throws {
        try check(
            columns,
            ["merge", "--base", Samples.base, "--method", "distill", "--calibration", "images"]
                + DistillScene.short + adapters("traffic", "aerial") + ["-o", "out"],
            phases: [
                "reading tasks: 0 of 2", "measuring adapters: 0 of 2", "single adapters: 0 of 2",
                "step ",
            ], kept: ["step 3 of 34: features ", "step 34 of 34: features ", "merged 2 adapters by distill"])
    }

    @Test(arguments: [80, 40]) func train(_ columns: Int) throws {
        let scene = try TrainingScene()
        let arguments = ["train", "--base", Samples.base, "--data", "stripes=\(scene.scratch.path("d"))"]
        let images = "training on 24 images of 2 classes: across 12, down 12; 8 for validation"
        try check(
            columns, arguments + TrainingScene.short + ["-o", "out"],
            phases: [
                "reading images: 0 of 32", "preparing layers: ", "step 1 of 12, epoch 1 of 4",
                "validating epoch 1: 0 of 8",
            ],
            kept: [
                images, "epoch 1: loss ", "epoch 2: loss ", "epoch 3: loss ", "epoch 4: loss ",
                "trained stripes into out",
            ])
        try check(
            columns, arguments + ["--head-only", "--epochs", "40", "-o", "head"],
            phases: ["reading images: 0 of 32", "computing features: 0 of 56"],
            kept: [images, "epoch 4: loss ", "epoch 8: loss ", "epoch 40: loss ", "trained stripes into head"])
    }

    @Test(arguments: [80, 40]) func label(_ columns: Int) throws {
        try check(
            columns, ["label", "--bundle", try Samples.six(), "images", "-o", "out.csv", "--batch-size", "4"],
            phases: ["preparing layers: ", " images"], kept: ["labelled 34 of 34 images"])
    }

    @Test(arguments: [80, 40]) func evaluate(_ columns: Int) throws {
        try check(
            columns,
            [
                "evaluate", "--bundle", try Samples.six(), "--data", "aerial=\(Samples.folder)/labels-aerial.csv", "-o",
                "out", "--batch-size", "1",
            ],
            phases: ["preparing layers: ", "1 ", "resampling: 0 of 1000"],
            kept: ["mergevit: warning: aerial: 3 of 7 classes ", "evaluated "])
    }

    @Test(arguments: [80, 40]) func quantize(_ columns: Int) throws {
        try check(
            columns, ["quantize", "--bundle", try Samples.six(), "--calibration", "images", "-o", "out"],
            phases: ["reading folders", "measuring images: 0 of ", "rounding layers: "],
            kept: ["rounded for 34 images, wrote out"])
    }

    @Test(arguments: [80, 40]) func study(_ columns: Int) throws {
        for task in ["corn", "aerial"] { try scratch.writeStudyData(task) }
        try check(
            columns,
            ["study", "--base", Samples.base, "-o", "study", "--bootstrap", "20", "--methods", "sum,sum+tune"]
                + ["corn", "aerial"].flatMap(Samples.studyTask),
            phases: ["reading images: 0 of ", "head-only: corn+aerial", "single: corn", "sum: corn+aerial"],
            kept: ["1 of 6: head-only: corn ", "5 of 6: sum: corn ", "6 of 6: sum+tune at scale "])
    }

    @Test func aTerminalThatCannotMoveGetsNoControlCharacters() throws {
        for name in ["dumb", ""] {
            let (terminal, run) = try Terminal.run(
                80, ["label", "--bundle", try Samples.six(), "images", "-o", "out.csv"], folder: scratch.url,
                environment: ["TERM": name])
            #expect(run.exitCode == 0 && terminal.statusLines.isEmpty && !run.errors.contains("\u{1B}"))
            #expect(run.errors.hasPrefix("labelled 34 of 34 images") && run.errors.hasSuffix("images/s)\r\n"))
        }
    }

    @Test func quietMeansQuiet() throws {
        let (_, run) = try Terminal.run(
            80,
            ["merge", "-q", "--base", Samples.base, "--calibration", "images", "--align", "-o", "out"]
                + adapters("aerial"), folder: scratch.url)
        #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
    }
}
