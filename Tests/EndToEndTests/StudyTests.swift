import Foundation
import FoundationXML
import Tensors
import TestSupport
import Testing

/// `mergevit study` on the sample adapters and drawn pictures.
@Suite struct StudyTests {
    let scratch: TemporaryFolder
    let tasks = ["corn", "aerial"]

    /// Two tasks whose pictures are samples: each of them to measure on, and several times over to fit on.
    init() throws {
        scratch = try TemporaryFolder()
        for task in tasks { try scratch.writeStudyData(task) }
    }

    private func arguments(_ options: [String], output: String = "study") -> [String] {
        ["study", "--base", Samples.base, "-o", output, "--bootstrap", "20"]
            + tasks.flatMap(Samples.studyTask) + options
    }

    private func study(_ options: [String], expecting exitCode: Int32 = 0) throws -> Finished {
        let run = try runMergeVit(arguments(options), folder: scratch.url)
        try #require(run.exitCode == exitCode, "\(run.exitCode): \(run.errors)")
        return run
    }

    private func files() throws -> [String: [UInt8]] { try scratch.files("study") }

    @Test func everyMergeIsMeasuredBesideAdaptersAndHeads() throws {
        let run = try study(["--methods", "sum,sum+tune"])
        #expect(
            run.output.hasPrefix(
                "method    tasks  merges   same   kept  worst  above head-only\nsum           2       1"))
        #expect(run.errors.contains("5 of 6: sum: corn ") && run.errors.contains("6 of 6: sum+tune at scale "))
        let rows = table(try scratch.read("study/study.csv"))
        #expect(
            rows.map { $0["method"] } == [
                "head-only", "head-only", "single", "single", "sum", "sum", "sum+tune", "sum+tune",
            ])
        #expect(rows.map { $0["task"] } == ["corn", "aerial", "corn", "aerial", "corn", "aerial", "corn", "aerial"])
        for row in rows.dropFirst(2).prefix(2) { #expect(row["accuracy"] == "1.0" && row["normalised"] == "1.0") }
        for row in rows.dropFirst(4) {
            #expect(row["tasks"] == "corn+aerial" && row["size"] == "2" && row["single"] == "1.0")
            let numbers = ["low", "accuracy", "high"].compactMap { row[$0].flatMap { Double($0) } }
            #expect(numbers.count == 3 && numbers == numbers.sorted())
        }
        let page = try scratch.read("study/study.html")
        let parser = XMLParser(data: Data(page))
        #expect(parser.parse(), "line \(parser.lineNumber)")
        let text = String(decoding: page, as: UTF8.self)
        for forbidden in ["http:", "https:", "<script", "url(", "@import", "<link"] {
            #expect(!text.contains(forbidden))
        }
        // Of what is done nothing is done again.
        let before = try files()
        let again = try study(["--methods", "sum,sum+tune"])
        #expect(again.errors.hasPrefix("6 of 6 results are there\n") && again.output == run.output)
        #expect(try files() == before)
        // Another method is added; another threads' number changes nothing.
        let more = try study(["--methods", "average,sum", "--threads", "3"])
        #expect(more.errors.hasPrefix("5 of 6 results are there\n") && more.errors.contains("6 of 6: average: "))
    }

    @Test func studiesMeasureStreamsAndAgreement() throws {
        _ = try study(["--methods", "sum,base+streams,sum+streams+align"])
        let rows = table(try scratch.read("study/study.csv"))
        #expect(
            rows.map { $0["method"] }.suffix(6).map { $0 ?? "" }
                == ["sum", "sum", "base+streams", "base+streams", "sum+streams+align", "sum+streams+align"])
        for row in rows.prefix(4) { #expect(row["same"] == "" && row["divergence"] == "") }
        func divergences(_ method: String) -> [Double] {
            rows.filter { $0["method"] == method }.compactMap { $0["divergence"].flatMap { Double($0) } }
        }
        // Fitted on the pictures that are measured on, streams are nearer to the single adapters than their sum is.
        let (sum, streams) = (divergences("sum"), divergences("sum+streams+align"))
        #expect(sum.count == 2 && streams.count == 2 && zip(sum, streams).allSatisfy { $0 > $1 && $1 > -1e-9 })
        // The stream of a task over the base does not depend on the other tasks, nor on when it is measured.
        let before = try files()
        #expect(try study(["--methods", "sum,base+streams,sum+streams+align"]).errors.hasPrefix("7 of 7 results"))
        #expect(try files() == before)
    }

    @Test(arguments: [SIGKILL, SIGINT]) func aStudyThatWasStoppedGoesOnToTheSameBytes(_ signal: Int32) throws {
        let options = ["--methods", "sum,average,ties"]
        _ = try study(options)
        let whole = try files()
        try scratch.remove("study")
        let process = try startMergeVit(arguments(options), folder: scratch.url)
        func results() -> Int {
            String(decoding: (try? scratch.read("study/results.jsonl")) ?? [], as: UTF8.self)
                .components(separatedBy: "{\"result\"").count - 1
        }
        let stopped = try process.interrupted(by: signal) { results() >= 3 }
        // A machine that looks away for long may find it finished; then there is only nothing left to do.
        if signal == SIGINT, stopped.exitCode != 0 {
            #expect(stopped.exitCode == 130)
            #expect(stopped.errors.contains("mergevit: stopped by SIGINT with "))
            #expect(stopped.errors.hasSuffix("; to resume, run the same command\n"))
        }
        let run = try study(options)
        #expect(run.errors.contains(" of 7 results are there\n"))
        #expect(try files() == whole)
    }

    @Test func aStudyOfSomethingElseIsRefusedByName() throws {
        _ = try study(["--methods", "sum"])
        let before = try files()
        let options = try study(["--methods", "sum", "--tuning-images", "7"], expecting: 3)
        #expect(
            options.errors
                == "mergevit: error: study/results.jsonl: belongs to another study: options: tuning_images was "
                + "120, now 7\n"
        )
        let name = try #require(try scratch.entries("data/corn/test/healthy").first)
        try scratch.write("data/corn/test/healthy/\(name)", readBytes(Samples.image("leaves/rust.jpg")))
        let images = try study(["--methods", "sum"], expecting: 3)
        #expect(images.errors.contains("belongs to another study: test images of corn: sha256 was "))
        #expect(try files() == before)
        try scratch.write("other/notes.txt", [0x78])
        let other = try runMergeVit(arguments([], output: "other"), folder: scratch.url)
        #expect(other.exitCode == 3)
        #expect(other.errors == "mergevit: error: other: holds \"notes.txt\" but no results.jsonl: not a study\n")
    }

    @Test func imagesThatCannotBeDecodedAreNamedAndLeftOut() throws {
        try scratch.write("data/corn/test/healthy/bad.png", "no picture")
        try scratch.write("data/corn/test/meadow/1.png", "unknown")
        let run = try study(["--methods", "sum"], expecting: 1)
        #expect(run.errors.contains("corn: left out data/corn/test/healthy/bad.png: not a picture but a text file"))
        #expect(run.errors.contains("corn: the head has no class \"meadow\" (1); those images are left out"))
        #expect(table(try scratch.read("study/study.csv"))[0]["images"] == "3")
    }

    @Test func adaptersAndHeadsThatAreMissingAreTrained() throws {
        let scene = try TrainingScene()
        let arguments = [
            "study", "--base", Samples.base, "--data", "stripes=d", "--data", "corn=\(scratch.path("data/corn"))",
            "--adapter", "corn=\(Samples.adapter("corn"))", "--head-alone", "corn=\(Samples.head("corn"))", "-o",
            "study", "--methods", "sum", "--epochs", "2", "--head-epochs", "3",
        ]
        let run = try runMergeVit(arguments, folder: scene.scratch.url)
        try #require(run.exitCode == 0, "\(run.errors)")
        #expect(run.errors.contains("stripes: there is no folder test; it is evaluated on val"))
        #expect(
            run.errors.contains("training an adapter for stripes\n")
                && run.errors.contains("training a head for stripes\n"))
        #expect(try scene.scratch.entries("study/adapters") == ["stripes"])
        #expect(
            try scene.scratch.entries("study/heads/stripes") == ["head.safetensors", "labels.json", "training.json"])
        let rows = table(try scene.scratch.read("study/study.csv"))
        #expect(rows[0]["task"] == "stripes" && rows[0]["images"] == "8" && rows.count == 6)
        let again = try runMergeVit(arguments, folder: scene.scratch.url)
        #expect(again.exitCode == 0 && !again.errors.contains("training"))
        let other = try runMergeVit(arguments.dropLast() + ["4"], folder: scene.scratch.url)
        #expect(other.exitCode == 3 && other.errors.contains("training of the head of stripes: epochs was 3, now 4"))
    }

    @Test(arguments: [
        (["--methods", "sums"], "\"sums\" is not known"),
        (["--methods", "sum+fast"], "expected METHOD, with any of +tune, +streams"),
        (["--sizes", "3"], "3 is not from 1 to 2"), (["--sizes", "2,x"], "\"x\" is not a whole number"),
        (["--data", "corn=x"], "--data corn=... is given twice"), (["--data", "a,b=x"], "task name"),
        (["--head-alone", "maize=x"], "there is no --data of that name; there are corn, aerial"),
        (["--adapter", "corn=x"], "--adapter corn=... is given twice"),
        (["--calibration-images", "5"], "--calibration-images must be from 10"),
        (["--threads", "0"], "--threads must be from 1"),
    ]) func commandLinesThatMakeNoSenseAreExitCodeTwo(_ options: [String], _ message: String) throws {
        let run = try study(options, expecting: 2)
        #expect(run.errors.contains(message), "\(run.errors)")
        #expect(try !scratch.entries().contains("study"))
    }

    @Test func whatCannotBeUsedIsNamed() throws {
        let base = ["study", "--base", Samples.base, "-o", "study"] + Samples.studyTask("aerial")
        for (data, adapter, head, message) in [
            ("gone", Samples.adapter("corn"), Samples.head("corn"), "gone: No such file or directory"),
            ("data/corn", Samples.adapter("flowers"), Samples.head("flowers"), "none of its classes"),
            ("data/corn", Samples.adapter("corn"), Samples.head("trash"), "6 classes; the adapter of corn has 4"),
            ("data/corn", Samples.adapter("corn"), Samples.adapter("corn"), "expected a head alone"),
            ("data/corn", Samples.head("corn"), Samples.head("corn"), "has no class names"),
        ] {
            let task = ["--data", "corn=\(data)", "--adapter", "corn=\(adapter)", "--head-alone", "corn=\(head)"]
            let run = try runMergeVit(base + task, folder: scratch.url)
            #expect(run.exitCode == 3 && run.errors.contains(message), "\(run.errors)")
            try scratch.remove("study")
        }
        try FileManager.default.removeItem(atPath: scratch.path("data/corn/train"))
        let images = try study(["--methods", "sum+tune"], expecting: 3)
        #expect(images.errors.contains("has no folder train beside it"))
        #expect(try study(["--methods", "sum"]).exitCode == 0)
    }
}

extension Samples {
    /// The options that give `study` a task with the data of `writeStudyData`, its sample adapter and head alone.
    static func studyTask(_ name: String) -> [String] {
        [
            "--data", "\(name)=data/\(name)", "--adapter", "\(name)=\(adapter(name))", "--head-alone",
            "\(name)=\(head(name))",
        ]
    }
}

extension TemporaryFolder {
    /// Writes a task's sample pictures as a folder of splits, `data/TASK`: each of them to measure on, and several
    /// times over to fit on.
    func writeStudyData(_ task: String) throws {
        for row in table(try readBytes("\(Samples.folder)/labels-\(task).csv")) {
            guard let path = row["path"], let label = row["label"] else { continue }
            let bytes = try readBytes("\(Samples.folder)/\(path)")
            let name = path.replacingOccurrences(of: "/", with: "-")
            try write("data/\(task)/test/\(label)/\(name)", bytes)
            for copy in 0..<6 { try write("data/\(task)/train/\(label)/\(copy)-\(name)", bytes) }
        }
    }
}
