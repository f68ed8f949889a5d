import Files
import Foundation
import TestSupport
import Testing

/// `mergevit fit`, and what `label` makes of it.
@Suite struct FitTests {
    private let scratch: TemporaryFolder

    /// A bundle of corn and trash, and fourteen pictures for each.
    init() throws {
        scratch = try TemporaryFolder()
        try scratch.writeTwoTasks(Samples.imageNames())
        try done(["merge", "-q", "--base", Samples.base, "-o", "b", "--scale", "0.5"] + adapters("corn", "trash"))
    }

    private func run(_ arguments: [String]) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    @discardableResult
    private func done(_ arguments: [String]) throws -> Finished {
        let run = try run(arguments)
        try #require(run.exitCode == 0, "\(arguments): \(run.errors)")
        return run
    }

    private let fit = ["fit", "--bundle", "b", "--images", "corn=one", "--images", "trash=two"]

    private func rows(_ bundle: String = "b", _ arguments: String...) throws -> [UInt8] {
        try done(["label", "-q", "--bundle", bundle] + arguments + ["one", "two"]).standardOutput
    }

    private func refused(_ arguments: [String], code: Int32 = 3, _ error: String) throws {
        let run = try run(arguments)
        #expect(run.exitCode == code && run.standardOutput.isEmpty)
        #expect(run.errors.contains("mergevit: error: \(error)"), "\(arguments): \(run.errors)")
    }

    @Test func rowsHaveTheFitAndTheSameLabels() throws {
        let (before, plain) = (try scratch.entries("b"), table(try rows()))
        let errors = try done(fit).errors
        #expect(errors.contains("fewer than 20 held-out images: corn "), "\(errors)")
        #expect(errors.contains("; wrote b/fit.safetensors\n"), "\(errors)")
        #expect(try Set(scratch.entries("b")).subtracting(before) == ["fit.safetensors"])
        let bytes = try rows()
        #expect(
            cells(bytes).first == [
                "path", "status", "corn", "corn_score", "corn_fit", "trash", "trash_score", "trash_fit",
            ])
        let rows = table(bytes)
        #expect(rows.count == 28)
        for (row, old) in zip(rows, plain) {
            for name in ["path", "status", "corn", "corn_score", "trash", "trash_score"] {
                #expect(row[name] == old[name])
            }
            for task in ["corn", "trash"] {
                let value = try #require(row["\(task)_fit"].flatMap(Double.init))
                #expect(value > 0 && value <= 1)
            }
        }
        // Pictures that a task was fitted on fit it better than others.
        func mean(_ task: String, _ range: Range<Int>) -> Double {
            rows[range].reduce(0) { $0 + (Double($1["\(task)_fit"] ?? "") ?? 0) } / Double(range.count)
        }
        #expect(mean("corn", 0..<14) > mean("corn", 14..<28))
        #expect(mean("trash", 14..<28) > mean("trash", 0..<14))
    }

    @Test func theSameBytesForAnyBatchThreadsAndTasks() throws {
        try done(fit + ["--threads", "1"])
        let file = try scratch.read("b/fit.safetensors")
        try done(fit + ["--threads", "3"])
        #expect(try scratch.read("b/fit.safetensors") == file)
        let all = try rows("b", "--threads", "1", "--batch-size", "1")
        #expect(try rows("b", "--threads", "3", "--batch-size", "7") == all)
        let alone = table(try rows("b", "--tasks", "trash"))
        #expect(alone.map { $0["trash_fit"] } == table(all).map { $0["trash_fit"] })
    }

    @Test func shardsAndAResumedRunGiveTheSameRows() throws {
        try done(fit)
        let options = ["--min-fit", "0.5", "--best-task"]
        let label = ["label", "-q", "--bundle", "b", "one", "two"] + options
        try done(label + ["-o", "whole.csv"])
        for part in ["1/2", "2/2"] { try done(label + ["--shard", part, "-o", "part-\(part.prefix(1)).csv"]) }
        try done(["gather", "-q", "part-1.csv", "part-2.csv", "-o", "gathered.csv"])
        #expect(try scratch.read("gathered.csv") == scratch.read("whole.csv"))
        let rows = table(try scratch.read("whole.csv"))
        #expect(rows.contains { $0["status"]?.hasPrefix("below fit: ") == true })
        for row in rows {
            let status = try #require(row["status"])
            for task in ["corn", "trash"] {
                let isBelow = try #require(row["\(task)_fit"].flatMap(Double.init)) < 0.5
                #expect(status.contains(" \(task)") == isBelow && row[task]?.isEmpty == isBelow)
            }
            let fits = ["corn", "trash"].filter { row[$0]?.isEmpty == false }
            let best = fits.max { (Double(row["\($0)_fit"] ?? "") ?? 0) < (Double(row["\($1)_fit"] ?? "") ?? 0) }
            #expect(row["best_task"] == best ?? "" || fits.count == 2)
        }
    }

    @Test func aTaskThatIsFittedAgainLeavesTheOthersAsTheyWere() throws {
        try done(fit)
        let before = table(try rows())
        try done(["fit", "-q", "--bundle", "b", "--images", "trash=one"])
        let after = table(try rows())
        #expect(before.map { $0["corn_fit"] } == after.map { $0["corn_fit"] })
        #expect(before.map { $0["trash_fit"] } != after.map { $0["trash_fit"] })
    }

    @Test func otherCommandsKeepTheFits() throws {
        try done(fit)
        let before = table(try rows())
        try done(["remove", "-q", "--bundle", "b", "--task", "corn", "-o", "less"])
        #expect(try table(rows("less")).map { $0["trash_fit"] } == before.map { $0["trash_fit"] })
        try done(["fit", "-q", "--bundle", "less", "--images", "trash=two"])
        try done(["remove", "-q", "--bundle", "b", "--task", "trash", "-o", "corn"])
        try done(["quantize", "-q", "--bundle", "b", "--calibration", "one", "--images", "2", "-o", "int8"])
        #expect(try scratch.read("int8/fit.safetensors") == scratch.read("b/fit.safetensors"))
        try done(
            ["merge", "-q", "--base", Samples.base, "--streams", "--method", "base", "-o", "s"] + adapters("corn"))
        try done(["fit", "-q", "--bundle", "s", "--images", "corn=one"])
        let corn = table(try rows("s")).map { $0["corn_fit"] }
        try done(["add", "-q", "--bundle", "s", "-o", "more"] + adapters("trash"))
        let more = table(try rows("more"))
        #expect(more.map { $0["corn_fit"] } == corn && more[0]["trash_fit"] == nil && more[0]["trash"] != nil)
    }

    @Test func whatCannotBeDoneIsRefused() throws {
        try refused(
            ["label", "--bundle", "b", "--min-fit", "0.05", "one"],
            "no task that is written has a fit; make one from images of the task: mergevit fit")
        try refused(["label", "--bundle", "b", "--best-task", "one"], "no task that is written has a fit")
        try refused(["label", "--bundle", "b", "--min-fit", "2", "one"], code: 2, "")
        try refused(["fit", "--bundle", "b"], code: 2, "")
        try refused(["fit", "--bundle", "b", "--images", "dogs=one"], code: 2, "")
        try refused(["fit", "--bundle", "b", "--images", "corn=none"], "")
        try refused(["fit", "--bundle", Samples.base, "--images", "corn=one"], "")
        try scratch.write("few/1.png", scratch.read("one/1.png"))
        try refused(
            ["fit", "--bundle", "b", "--images", "corn=few"], "corn: 1 images; at least 10 are needed for a fit")
        #expect(try !scratch.entries("b").contains { $0.contains("fit") })
        try done(fit)
        try scratch.write("b/fit.safetensors", scratch.read("b/fit.safetensors").prefix(1000))
        try refused(["label", "--bundle", "b", "one"], "b/fit.safetensors: ")
    }
}

extension TemporaryFolder {
    /// Writes fourteen pictures for each of two tasks, into `one` and `two`.
    func writeTwoTasks(_ names: [String]) throws {
        for (index, name) in names.prefix(28).enumerated() {
            try write("\(index < 14 ? "one" : "two")/\(index).png", readBytes(Samples.image(name)))
        }
    }
}
