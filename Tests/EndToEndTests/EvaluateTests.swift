import Files
import Foundation
import FoundationXML
import Tensors
import TestSupport
import Testing

/// `mergevit evaluate` on the samples: drawn pictures with the labels that samples/labels-*.csv give them.
@Suite struct EvaluateTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    private static func labels(_ task: String) -> String { "\(Samples.folder)/labels-\(task).csv" }

    /// Every task with its labels.
    private static let allData = Samples.tasks.flatMap { ["--data", "\($0)=\(labels($0))"] }

    private func evaluate(_ arguments: [String], expecting exitCode: Int32 = 0) throws -> Finished {
        let run = try runMergeVit(["evaluate"] + arguments, folder: scratch.url)
        try #require(run.exitCode == exitCode, "\(run.exitCode): \(run.errors)")
        return run
    }

    private func metrics(_ report: String) throws -> JSONObject {
        try #require(JSON(contentsOf: scratch.path("\(report)/metrics.json")).objectValue)
    }

    private func tasks(_ report: String) throws -> [String: JSONObject] {
        let tasks = try #require(metrics(report)["tasks"]?.arrayValue)
        return Dictionary(
            tasks.compactMap { task in
                task.objectValue.flatMap { object in object["name"]?.stringValue.map { ($0, object) } }
            }, uniquingKeysWith: { $1 })
    }

    private func value(_ task: JSONObject?, _ metric: String) -> Double? {
        task?[metric]?.objectValue?["value"]?.doubleValue
    }

    // MARK: What is measured

    @Test func adaptersOneByOneKnowTheirPictures() throws {
        let run = try evaluate(["--base", Samples.base] + adapters(Samples.tasks) + Self.allData + ["-o", "report"])
        let found = try tasks("report")
        for task in Samples.tasks {
            #expect(value(found[task], "top1") == 1 && value(found[task], "balanced_accuracy") == 1, "\(task)")
        }
        #expect(run.output.contains("traffic       15  100.0"))
        #expect(run.errors.contains("traffic: 28 of 43 classes have no images"))
        #expect(try scratch.entries("report") == ["metrics.csv", "metrics.json", "predictions.csv", "report.html"])
        #expect(table(try scratch.read("report/predictions.csv")).count == Samples.imageCount)
    }

    /// The bundle's recipe names the adapters, whose accuracies are those of `--base --adapter`.
    @Test func whatMergingCostsIsMeasuredAgainstOwnAdapters() throws {
        let data = ["traffic", "corn"].flatMap { ["--data", "\($0)=\(Self.labels($0))"] }
        let run = try evaluate(["--bundle", try Samples.six(), "--own"] + data + ["-o", "report"])
        _ = try evaluate(["--bundle", try Samples.six()] + data + ["-o", "plain"])
        let own = try #require(try metrics("report")["own"]?.objectValue)
        let merged = try tasks("plain")
        let compared = try #require(own["tasks"]?.arrayValue).compactMap(\.objectValue)
        #expect(compared.map { $0["name"]?.stringValue } == ["traffic", "corn"])
        for task in compared {
            let name = try #require(task["name"]?.stringValue)
            #expect(value(task, "own_top1") == 1, "the samples' adapters know their pictures")
            #expect(value(task, "merged_top1") == value(merged[name], "top1"))
            let kept = try #require(task["kept"]?.doubleValue)
            #expect(kept == value(task, "merged_top1"))
            #expect(abs(try #require(value(task, "difference")) - (kept - 1)) < 1e-12)
            let wrong = Int(((1 - kept) * Double(task["images"]?.intValue ?? 0)).rounded())
            #expect(task["only_own_right"]?.intValue == wrong && task["only_merged_right"]?.intValue == 0)
            #expect(task["mcnemar"]?.objectValue?["p_value"]?.doubleValue == min(1, pow(0.5, Double(wrong - 1))))
        }
        #expect(run.output.contains("task     images    own  merged   kept  difference"), "\(run.output)")
        #expect(run.output.contains("mean kept: "))
        #expect(run.errors.split(separator: "\n").count { $0.hasPrefix("evaluated ") } == 3)
        let page = try #require(scratch.content("report/report.html"))
        #expect(page.contains("<h2>What merging costs</h2>") && page.contains("Own adapters"))
        let rows = table(try scratch.read("report/metrics.csv"))
        #expect(rows.contains { $0["task"] == "corn" && $0["metric"] == "own_top1" && $0["value"] == "1.0" })
        #expect(try metrics("plain")["own"] == nil)
    }

    @Test func ownAdaptersThatAreNotThereAreNamed() throws {
        let bundle = try Samples.six()
        let data = ["--data", "corn=\(Self.labels("corn"))"]
        let other = try evaluate(
            ["--bundle", bundle, "--own", "--adapter", "corn=\(Samples.adapter("trash"))"] + data, expecting: 3)
        #expect(other.errors.contains("not the file that was merged"))
        let gone = try evaluate(["--bundle", bundle, "--own", "--base", "nowhere"] + data, expecting: 3)
        #expect(gone.errors.contains("nowhere/model.safetensors: No such file or directory"))
        let unknown = try evaluate(
            ["--bundle", bundle, "--own", "--adapter", "x=\(Samples.adapter("corn"))"] + data, expecting: 2)
        #expect(unknown.errors.contains("the recipe has no such adapter"))
        let alone = try evaluate(["--own", "--predictions", "rows"] + data, expecting: 2)
        #expect(alone.errors.contains("--own needs --bundle, without --predictions or --compare."))
        let plain = try evaluate(["--bundle", Samples.base, "--own", "--data", "label=x"], expecting: 3)
        #expect(plain.errors.contains("bundle.json"))
    }

    @Test func aHeadAloneIsEvaluatedToo() throws {
        let labels = "\(Samples.adapter("corn"))/labels.json"
        _ = try evaluate([
            "--base", Samples.base, "--adapter", "corn=\(Samples.head("corn"))", "--labels", "corn=\(labels)", "--data",
            "corn=\(Self.labels("corn"))", "-o", "report",
        ])
        #expect(try tasks("report")["corn"]?["answered"]?.intValue == 3)
    }

    @Test func predictionsAndModelGiveTheSameMetrics() throws {
        let bundle = try Samples.six()
        let data = ["--data", "traffic=\(Self.labels("traffic"))"]
        _ = try evaluate(["--bundle", bundle] + data + ["-o", "model"])
        for options in [[], ["--layout", "long", "--format", "tsv"], ["--scores", "logit"]] {
            let rows = try label(bundle, options + ["--all-scores", "--tasks", "traffic", Samples.image("signs")])
            try scratch.write("rows", rows)
            _ = try evaluate(["--predictions", "rows"] + data + ["-o", "rows-report", "--force"])
            let (model, read) = (try tasks("model")["traffic"], try tasks("rows-report")["traffic"])
            #expect(model?["confusion_matrix"] != nil || options.isEmpty)
            for metric in ["top1", "top5", "macro_f1", "balanced_accuracy"] {
                let expected = value(model, metric)
                // A long file names its classes by their ranks, so their order, and that of sums, may be another.
                #expect(abs((value(read, metric) ?? .nan) - (expected ?? .nan)) < 1e-12, "\(options) \(metric)")
            }
            for metric in ["expected_calibration_error", "log_loss"] {
                let difference = (value(read, metric) ?? .nan) - (value(model, metric) ?? .nan)
                #expect(abs(difference) < 1e-4, "\(options) \(metric)")
            }
        }
    }

    @Test func whatLabelsAloneDoNotTellIsSaid() throws {
        let rows = try label(try Samples.six(), ["--scores", "none", Samples.image("leaves")])
        try scratch.write("rows.csv", rows)
        let run = try evaluate([
            "--predictions", "rows.csv", "--data", "corn=\(Self.labels("corn"))", "-o", "report",
        ])
        #expect(run.errors.contains("log loss needs the scores of all classes: label with --all-scores"))
        let corn = try tasks("report")["corn"]
        #expect(corn?["log_loss"] == .null && corn?["expected_calibration_error"] == .null)
        #expect(corn?["missing"]?.arrayValue?.count == 3)
        #expect(value(corn, "top1") == 1)
    }

    @Test func twoModelsAreCompared() throws {
        let alone = try Samples.only("flowers")
        let data = ["--data", "flowers=\(Self.labels("flowers"))"]
        let run = try evaluate(["--compare", try Samples.six(), alone] + data + ["-o", "report"])
        #expect(run.output.contains("exact binomial"))
        #expect(
            try scratch.entries("report") == ["disagreements.csv", "metrics.csv", "metrics.json", "report.html"])
        let task = try #require(tasks("report")["flowers"])
        let counts = ["both_right", "only_a_right", "only_b_right", "both_wrong"].compactMap { task[$0]?.intValue }
        #expect(counts.count == 4 && counts.reduce(0, +) == 5)
        let differing = table(try scratch.read("report/disagreements.csv"))
        #expect(differing.count == task["different_labels"]?.intValue)
        // A model and itself do not differ.
        _ = try evaluate(["--compare", alone, alone] + data + ["-o", "same"])
        let same = try #require(tasks("same")["flowers"])
        #expect(same["different_labels"]?.intValue == 0)
        #expect(same["mcnemar"]?.objectValue?["p_value"]?.doubleValue == 1)
    }

    // MARK: Bytes

    @Test func threadsAndBatchesDoNotChangeAByte() throws {
        let bundle = try Samples.six()
        _ = try evaluate(
            ["-q", "--bundle", bundle] + Self.allData + ["-o", "a", "--threads", "1", "--batch-size", "1"])
        for (threads, batch) in [("3", "5"), ("2", "64")] {
            _ = try evaluate(
                ["-q", "--bundle", bundle] + Self.allData
                    + ["-o", "b", "--force", "--threads", threads, "--batch-size", batch])
            for name in ["metrics.json", "metrics.csv", "predictions.csv"] {
                #expect(try scratch.read("a/\(name)") == scratch.read("b/\(name)"), "\(name)")
            }
        }
    }

    @Test func theReportIsWellFormedAndNeedsNothingElse() throws {
        _ = try evaluate(["-q", "--bundle", try Samples.six()] + Self.allData + ["-o", "report"])
        let page = try scratch.read("report/report.html")
        let parser = XMLParser(data: Data(page))
        #expect(parser.parse(), "line \(parser.lineNumber)")
        let text = String(decoding: page, as: UTF8.self)
        for forbidden in ["http:", "https:", "<script", "url(", "@import", "<link"] {
            #expect(!text.contains(forbidden), "\(forbidden)")
        }
        #expect(text.contains("prefers-color-scheme: dark") && text.contains("data:image/jpeg;base64,"))
        for task in Samples.tasks { #expect(text.contains(">\(task)</a>")) }
    }

    @Test(.enabled(if: Browser.path != nil, "needs chromium")) func aBrowserShowsTheReport() throws {
        _ = try evaluate(["-q", "--bundle", try Samples.six()] + Self.allData + ["-o", "report"])
        let tree = try runProgram(
            try #require(Browser.path),
            [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--window-size=400,800",
                "file://\(scratch.path("report/report.html"))",
            ]
        ).output
        #expect(tree.contains("All tasks") && tree.contains("</html>"))
        #expect(tree.components(separatedBy: "<section").count == Samples.tasks.count + 3)
    }

    // MARK: Exit codes

    @Test func tooLowAnAccuracyIsExitCodeFourAndTheReportIsThere() throws {
        let arguments = [
            "--bundle", try Samples.six(), "--data", "clothing=\(Self.labels("clothing"))", "-o", "report",
        ]
        let run = try evaluate(arguments + ["--min-accuracy", "clothing=0.99"], expecting: 4)
        #expect(run.errors.contains("clothing: top-1 accuracy 0.7500 is below --min-accuracy 0.99"))
        #expect(try tasks("report")["clothing"]?["is_accurate_enough"] == .bool(false))
        _ = try evaluate(arguments + ["--force", "--min-accuracy", "clothing=0.75"])
        #expect(try tasks("report")["clothing"]?["is_accurate_enough"] == .bool(true))
    }

    @Test func imagesThatCannotBeDecodedAreCountedAndNamed() throws {
        try scratch.copy(Samples.image("leaves/rust.jpg"), to: "good.jpg")
        try scratch.write("data/common_rust/bad.png", "no picture")
        try scratch.copy(scratch.path("good.jpg"), to: "data/common_rust/good.jpg")
        let run = try evaluate(["--bundle", try Samples.six(), "--data", "corn=data", "-o", "report"], expecting: 1)
        #expect(
            run.errors.contains(
                "corn: 1 of 2 image(s) have no answer, the first data/common_rust/bad.png: not a picture"))
        let arguments = ["-q", "--bundle", try Samples.six(), "--data", "corn=data"]
        let quiet = try evaluate(arguments, expecting: 1)
        #expect(
            quiet.errors.hasPrefix(
                "mergevit: error: 1 of 2 images has no answer; the first: data/common_rust/bad.png: not a picture"))
        #expect(try evaluate(arguments + ["--max-failed", "50%"]).errors.isEmpty)
        #expect(try evaluate(arguments + ["--endings", "jpg,jpeg"]).errors.isEmpty)
        // A gate that looks at the accuracy is not passed by a picture that cannot be read.
        _ = try evaluate(arguments + ["--min-accuracy", "corn=1.0"], expecting: 1)
        let corn = try #require(tasks("report")["corn"])
        #expect(corn["failed"]?.intValue == 1 && corn["answered"]?.intValue == 1)
        #expect(corn["failures"]?.arrayValue?[0].objectValue?["path"]?.stringValue == "data/common_rust/bad.png")
        let rows = table(try scratch.read("report/predictions.csv"))
        #expect(rows.map { $0["status"]?.prefix(5) } == ["error", "ok"])
    }

    @Test func classesThatTheHeadDoesNotHaveAreLeftOutOrRefused() throws {
        for name in ["healthy", "<script>alert(1)</script>"] {
            try scratch.write("data/\(name)/1.jpg", readBytes(Samples.image("leaves/healthy.jpg")))
        }
        let arguments = ["--bundle", try Samples.six(), "--data", "corn=data", "-o", "report"]
        let run = try evaluate(arguments)
        #expect(run.errors.contains("corn: the head has no class"))
        let corn = try #require(tasks("report")["corn"])
        #expect(corn["images"]?.intValue == 1 && corn["unknown_images"]?.intValue == 1)
        #expect(corn["unknown_classes"]?.objectValue?.keys.count == 1)
        #expect(!String(decoding: try scratch.read("report/report.html"), as: UTF8.self).contains("<script"))
        let refused = try evaluate(arguments + ["--force", "--strict"], expecting: 3)
        #expect(refused.errors.contains("the head has no class"))
    }

    @Test func reportsAreReplacedOnlyIfTheyAreReports() throws {
        let arguments = ["-q", "--bundle", try Samples.six(), "--data", "corn=\(Self.labels("corn"))", "-o", "report"]
        _ = try evaluate(arguments)
        let first = try scratch.read("report/metrics.json")
        let again = try evaluate(arguments, expecting: 3)
        #expect(again.errors.contains("already exists; --force replaces it"))
        _ = try evaluate(arguments + ["--force"])
        #expect(try scratch.read("report/metrics.json") == first)
        try scratch.write("report/notes.txt", [0x78])
        #expect(
            try evaluate(arguments + ["--force"], expecting: 3).errors.contains(
                "contains \"notes.txt\", which is no part of a report"))
        try scratch.write("other/metrics.json", "{\"format\": \"else\"}")
        let other = try evaluate(arguments.dropLast() + ["other", "--force"], expecting: 3)
        #expect(other.errors.contains("is not a report; it is not replaced"))
        #expect(try scratch.entries() == ["other", "report"])
    }

    @Test(arguments: [
        ([], "Missing expected argument"),
        (["--data", "corn=x"], "Give one of --bundle"),
        (["--bundle", "b", "--predictions", "p", "--data", "corn=x"], "exclude each other; give one"),
        (["--bundle", "b"], "Give at least one --data"),
        (["--bundle", "b", "--data", "corn"], "--data"),
        (["--bundle", "b", "--data", "corn=x", "--data", "corn=y"], "is given twice"),
        (["--bundle", "b", "--data", "corn=x", "--min-accuracy", "corn=2"], "a number from 0 to 1"),
        (["--bundle", "b", "--data", "corn=x", "--min-accuracy", "rice=0.5"], "there is no --data of that name"),
        (["--compare", "a", "--data", "corn=x"], "--compare takes two folders"),
        (["--base", "b", "--adapter", "corn=a", "--data", "rice=x"], "alone: corn, rice"),
        (["--base", "b", "--data", "corn=x"], "--base and --adapter go together"),
        (["--bundle", "b", "--data", "corn=x", "--bootstrap", "-1"], "--bootstrap"),
        (["--bundle", "b", "--data", "corn=x", "--force"], "--force needs -o"),
    ]) func commandLinesThatMakeNoSenseAreExitCodeTwo(_ arguments: [String], _ message: String) throws {
        let run = try runMergeVit(["evaluate"] + arguments)
        #expect(run.exitCode == 2)
        #expect(run.errors.contains(message) || arguments.isEmpty, "\(run.errors)")
    }

    @Test func whatCannotBeReadIsExitCodeThreeAndLeavesNothing() throws {
        let bundle = try Samples.six()
        try FileManager.default.createDirectory(atPath: scratch.path("empty"), withIntermediateDirectories: true)
        try scratch.write("table.csv", "path;label\n")
        try scratch.write("rows.csv", "name,label\n")
        for arguments in [
            ["--bundle", "gone", "--data", "corn=\(Self.labels("corn"))"],
            ["--bundle", bundle, "--data", "corn=gone"], ["--bundle", bundle, "--data", "corn=empty"],
            ["--bundle", bundle, "--data", "corn=table.csv"],
            ["--bundle", bundle, "--data", "corn=\(Self.labels("flowers"))"],
            ["--predictions", "rows.csv", "--data", "corn=\(Self.labels("corn"))"],
            ["--compare", bundle, "gone", "--data", "corn=\(Self.labels("corn"))"],
        ] { _ = try evaluate(arguments + ["-o", "report"], expecting: 3) }
        let unknown = try evaluate(["--bundle", bundle, "--data", "rice=\(Self.labels("corn"))"], expecting: 2)
        #expect(unknown.errors.contains("no task \"rice\""))
        #expect(try scratch.entries() == ["empty", "rows.csv", "table.csv"])
    }

    // MARK: make

    @Test func makeRunsAnUnchangedTaskOnce() throws {
        for (index, name) in ["healthy", "blight"].enumerated() {
            try scratch.write("data/corn/\(name)/\(index).jpg", readBytes(Samples.image("leaves/\(name).jpg")))
        }
        try scratch.write("data/flowers/test/daisy/1.jpg", readBytes(Samples.image("flowers/daisy-gray.jpg")))
        let first = try make()
        #expect(first.contains("corn=$(") && first.contains("flowers=$("))
        #expect(try metrics("out/corn")["images"]?.intValue == 2)
        #expect(try scratch.read("out/corn.json") == scratch.read("out/corn/metrics.json"))
        #expect(try !make().contains("evaluate"))
        try scratch.remove("data/corn/healthy/0.jpg")
        try scratch.remove("data/corn/healthy")
        let second = try make()
        #expect(second.contains("corn=$(") && !second.contains("flowers=$("))
        #expect(try metrics("out/corn")["images"]?.intValue == 1)
    }

    @Test func makeFailsWhereThereIsNothingToEvaluate() throws {
        try scratch.copy(Samples.image("leaves/rust.jpg"), to: "good.jpg")
        for name in ["data/corn/test/common_rust/1.jpg", "two/corn/test/common_rust/1.jpg", "two/my corn/x/1.jpg"] {
            try scratch.write(name, try scratch.read("good.jpg"))
        }
        try scratch.write("data/corn/test/common_rust/Thumbs.db", [1])
        try scratch.write("empty/.hidden", [1])
        func said(_ variables: String...) throws -> Finished {
            try runProgram(
                "/usr/bin/env",
                [
                    "make", "-s", "-f", "\(Samples.package)/scripts/evaluate.mk", "MERGEVIT=\(try mergeVitBinary())",
                    "OUT=o",
                ]
                    + variables, folder: scratch.url)
        }
        let bundle = "BUNDLE=\(try Samples.six())"
        #expect(try said(bundle, "DATA=data").exitCode == 0)
        for (variables, reason) in [
            ([bundle, "DATA=typo"], "DATA=typo: no such folder"),
            ([bundle, "DATA=my data"], "one path without spaces"),
            ([bundle], "DATA=\"\": expected one path"), (["BUNDLE=typo", "DATA=data"], "BUNDLE=typo: no such folder"),
            (["DATA=data"], "BUNDLE=\"\": expected one path"), ([bundle, "DATA=empty"], "no tasks found in empty"),
            ([bundle, "DATA=two"], "two/my corn: make cannot use a folder with spaces"),
            ([bundle, "DATA=data", "MIN_maize=0.5"], "there is no task maize; the tasks are: corn"),
            ([bundle, "DATA=data", "TASKS=maize"], "data/maize: no such folder for a task"),
        ] {
            let run = try runProgram(
                "/usr/bin/env",
                [
                    "make", "-s", "-f", "\(Samples.package)/scripts/evaluate.mk", "MERGEVIT=\(try mergeVitBinary())",
                    "OUT=o",
                ]
                    + variables, folder: scratch.url)
            #expect(run.exitCode == 2 && run.errors.contains(reason), "\(variables): \(run.errors)")
        }
        #expect(try said(bundle, "DATA=data", "MIN_corn=1.01").exitCode == 2)
    }

    private func make() throws -> String {
        let make = try runProgram(
            "/usr/bin/env",
            [
                "make", "-f", "\(Samples.package)/scripts/evaluate.mk", "MERGEVIT=\(try mergeVitBinary())",
                "BUNDLE=\(try Samples.six())", "DATA=data", "OUT=out",
            ], folder: scratch.url)
        #expect(make.exitCode == 0, "\(make.output)")
        return make.output
    }
}

/// A browser, where one is installed.
enum Browser {
    static let path = ["/usr/bin/chromium", "/usr/bin/google-chrome"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
}

/// Accuracies on real pictures.
@Suite(.enabled(if: Shared.isThere, "needs the datasets, see MERGEVIT_SHARED")) struct EvaluateAccuracyTests {
    @Test func singleAdaptersHaveTheAccuracyThatIsKnown() throws {
        let scratch = try TemporaryFolder()
        let folder = try #require(Shared.folder)
        let options = LabelAccuracyTests.expected.flatMap { task, _, _ in
            ["--adapter", "\(task)=\(Samples.adapter(task))", "--data", "\(task)=\(folder)/data/\(task)/test"]
        }
        let run = try runMergeVit(
            ["evaluate", "-q", "--base", Samples.base, "--bootstrap", "10", "-o", "report"] + options,
            folder: scratch.url)
        try #require(run.exitCode == 0, "\(run.errors)")
        let tasks = try #require(
            JSON(contentsOf: scratch.path("report/metrics.json")).objectValue?["tasks"]?.arrayValue)
        for (task, known) in zip(tasks, LabelAccuracyTests.expected) {
            let top1 = try #require(task.objectValue?["top1"]?.objectValue?["value"]?.doubleValue)
            #expect(abs(100 * top1 - known.single) <= 0.0501, "\(known.task): \(100 * top1)")
        }
    }
}
