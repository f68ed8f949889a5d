import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Heads with a softmax, a sigmoid or no activation, compared with transformers' pipeline (Cases/activations/make.py).
@Suite struct LabelActivationTests {
    let cases = Samples.testCase("activations")
    let scratch: TemporaryFolder
    let images: [String]
    let expected: JSONObject

    init() throws {
        scratch = try TemporaryFolder()
        let file = try #require(try JSON(contentsOf: cases + "/expected.json").objectValue)
        images = try #require(file["images"]?.arrayValue).compactMap(\.stringValue)
        expected = try #require(file["answers"]?.objectValue)
    }

    /// A copy of one of the cases with keys of a JSON file changed; null removes one.
    func copy(_ name: String, as copy: String, _ file: String = "config.json", _ change: JSONObject = [:]) throws {
        for item in try FileManager.default.contentsOfDirectory(atPath: "\(cases)/\(name)") {
            try scratch.write("\(copy)/\(item)", Array(try Data(contentsOf: URL(filePath: "\(cases)/\(name)/\(item)"))))
        }
        guard !change.keys.isEmpty else { return }
        let path = scratch.path("\(copy)/\(file)")
        var object = (try? JSON(contentsOf: path).objectValue) ?? [:]
        for (key, value) in change.members { object[key] = value == .null ? nil : value }
        try scratch.write("\(copy)/\(file)", Array(JSON.object(object).serialized().utf8))
    }

    /// The base with a `problem_type`.
    func base(_ problemType: String?, as name: String) throws {
        try copy("base", as: name, "config.json", ["problem_type": problemType.map(JSON.string) ?? .null])
    }

    /// The rows of the two images.
    func rows(_ bundle: String, _ options: String...) throws -> [[String: String]] {
        let paths = images.map { "\(Samples.folder)/images/\($0)" }
        return table(try label(bundle, options + paths, folder: scratch.url.path))
    }

    func merge(_ arguments: String..., to bundle: String) throws {
        let run = try runMergeVit(["merge", "-q"] + arguments + ["-o", bundle], folder: scratch.url)
        try #require(run.exitCode == 0, "\(run.errors)")
    }

    /// Checks the scores of all classes of a task, or its values.
    func check(_ rows: [[String: String]], _ task: String, _ key: String, isOneValue: Bool = false) throws {
        let answers = try #require(expected[key]?.arrayValue)
        // Values are not squashed as probabilities are: the last bit of a decoded JPEG shows more.
        let tolerance = key.hasSuffix("regression") ? 5e-3 : scoreTolerance
        for (row, answer) in zip(rows, answers) {
            #expect(row["status"] == "ok")
            for (label, score) in try #require(answer.objectValue).members {
                let found = row[isOneValue ? task : "\(task):\(label)"]
                #expect(
                    near(found, score.doubleValue?.description, tolerance), "\(label): \(found ?? "none"), not \(score)"
                )
            }
        }
        #expect(rows.count == answers.count)
    }

    @Test(arguments: [nil, "single_label_classification", "multi_label_classification", "regression"])
    func aCheckpointAnswersAsInTransformers(_ problemType: String?) throws {
        try base(problemType, as: "model")
        let rows = try rows("model", "--all-scores")
        try check(rows, "label", "base \(problemType ?? "None")")
        let labels = rows.map { $0["label"] }
        switch problemType {
        case "multi_label_classification":
            // Of sea, sky and dog only the last is above a half.
            #expect(labels == ["dog", "dog"])
            #expect(try self.rows("model", "--threshold", "0.4").map { $0["label"] } == ["dog|sky", "dog|sea"])
            #expect(
                try self.rows("model", "--threshold", "0.9").map { [$0["label"], $0["status"]] } == [
                    ["", "ok"], ["", "ok"],
                ])
        case "regression": #expect(labels == [nil, nil] && rows.allSatisfy { $0["label_score"] == nil })
        default: #expect(labels == ["dog", "dog"] && rows.allSatisfy { $0["label_score"] == $0["label:dog"] })
        }
    }

    @Test func anUnknownProblemTypeIsRefused() throws {
        try base("tagging", as: "model")
        let run = try runMergeVit("label", "--bundle", "model", Samples.image(images[0]), folder: scratch.url)
        #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
        #expect(run.errors.contains("model/config.json: problem_type: expected one of regression, single_label_"))
    }

    @Test func adaptersHaveTheActivationOfTheBase() throws {
        try base("multi_label_classification", as: "base")
        try merge("--base", "base", "--adapter", "tags=\(cases)/tags", to: "out")
        try check(rows("out", "--all-scores"), "tags", "tags multi_label_classification")
        let manifest = try #require(try JSON(contentsOf: scratch.path("out/bundle.json")).objectValue)
        #expect(manifest["format_version"] == .int(3))
        #expect(manifest["tasks"]?.arrayValue?[0].objectValue?["activation"] == "sigmoid")
        try base("regression", as: "base")
        try merge("--base", "base", "--adapter", "size=\(cases)/size", to: "values")
        try check(rows("values"), "size", "size regression")
    }

    @Test func oneOutputSaysYesOrNo() throws {
        try merge("--base", "\(cases)/base", "--adapter", "smile=\(cases)/smile", to: "out")
        let rows = try rows("out", "--all-scores")
        try check(rows, "smile", "smile None")
        #expect(rows.map { $0["smile"] } == ["smiling", "smiling"])
        #expect(try self.rows("out", "--threshold", "smile=0.6").map { $0["smile"] } == ["smiling", ""])
    }

    @Test(arguments: ["config.json", "labels.json"])
    func anAdapterSaysItsActivationItself(_ file: String) throws {
        try copy("tags", as: "tags", file, ["problem_type": "multi_label_classification"])
        try copy("size", as: "size", file, ["problem_type": "regression"])
        try merge(
            "--base", "\(cases)/base", "--adapter", "tags=tags", "--adapter", "size=size", "--scale", "0", to: "out")
        let inspected = try runMergeVit("inspect", "out", folder: scratch.url).output
        #expect(
            inspected.contains("tags:\n    activation: sigmoid") && inspected.contains("size:\n    activation: none"))
        #expect(try runMergeVit("inspect", "tags", folder: scratch.url).output.contains("\nactivation: sigmoid\n"))
        // The recipe has the file, so that it is the same one the next time.
        try merge("--recipe", "out/bundle.json", to: "again")
        for name in ["bundle.json", "heads.safetensors"] {
            #expect(try scratch.read("out/\(name)") == scratch.read("again/\(name)"))
        }
        try copy("tags", as: "tags", file, ["problem_type": "regression"])
        let run = try runMergeVit("merge", "--recipe", "out/bundle.json", "-o", "third", folder: scratch.url)
        #expect(run.exitCode == 3 && run.errors.contains("tags/\(file): not the file that was merged"))
    }

    @Test func anAdapterThatWasTrainedHereSaysWhatIsNoSoftmax() throws {
        try base("multi_label_classification", as: "base")
        try merge("--base", "base", "--adapter", "tags=\(cases)/tags", to: "sigmoid")
        let recipe = try JSON(contentsOf: scratch.path("sigmoid/bundle.json")).objectValue?["recipe"]?.objectValue
        try copy(
            "tags", as: "tags", "training.json", ["format": "mergevit-training", "base": try #require(recipe?["base"])])
        try merge("--base", "base", "--adapter", "tags=tags", to: "out")
        let manifest = String(decoding: try scratch.read("out/bundle.json"), as: UTF8.self)
        #expect(!manifest.contains(#""activation":"#) && manifest.contains("training.json"))
        try merge("--recipe", "out/bundle.json", to: "again")
        #expect(try scratch.read("out/bundle.json") == scratch.read("again/bundle.json"))
    }

    @Test func aBundleOfAnEarlierVersionIsASoftmax() throws {
        try merge("--base", "\(cases)/base", "--adapter", "smile=\(cases)/smile", to: "out")
        let text = String(decoding: try scratch.read("out/bundle.json"), as: UTF8.self)
        let old = text.replacing(#""format_version": 3"#, with: #""format_version": 1"#)
            .replacing(#""activation": "sigmoid""#, with: #""comment": """#)
        try scratch.write("out/bundle.json", Array(old.utf8))
        let run = try runMergeVit("label", "--bundle", "out", Samples.image(images[0]), folder: scratch.url)
        #expect(run.exitCode == 0 && run.output.hasSuffix(",ok,smiling,1.000000\n"))
        #expect(run.errors.contains("warning: smile: a softmax over one class is 1 for every image"), "\(run.errors)")
    }

    @Test func filesThatDisagreeAreRefused() throws {
        try copy("tags", as: "tags", "config.json", ["problem_type": "regression"])
        try copy("tags", as: "other", "labels.json", ["problem_type": "multi_label_classification"])
        try scratch.write("tags/labels.json", scratch.read("other/labels.json"))
        let arguments = ["merge", "-q", "--base", "\(cases)/base", "--adapter", "tags=tags", "-o", "out"]
        let run = try runMergeVit(arguments, folder: scratch.url)
        #expect(run.exitCode == 3)
        #expect(
            run.errors == """
                mergevit: error: tags/labels.json: problem_type is multi_label_classification here, regression in \
                tags/config.json; say which by --activation TASK=sigmoid

                """)
        #expect(try runMergeVit(arguments + ["--activation", "tags=sigmoid"], folder: scratch.url).exitCode == 0)
    }

    @Test func theActivationCanBeNamed() throws {
        let arguments = [
            "--base", "\(cases)/base", "--adapter", "tags=\(cases)/tags", "--adapter", "size=\(cases)/size",
        ]
        let run = try runMergeVit(
            ["merge", "-o", "out"] + arguments + ["--activation", "tags=sigmoid", "--activation", "size=none"],
            folder: scratch.url)
        #expect(run.exitCode == 0 && run.errors.contains("tags (4, activation sigmoid), size (2, activation none)\n"))
        #expect(
            try rows("out")[0].keys.sorted() == ["path", "size:height", "size:width", "status", "tags", "tags_score"])
        try merge("--recipe", "out/bundle.json", to: "again")
        #expect(try scratch.read("out/bundle.json") == scratch.read("again/bundle.json"))
        let check = try runMergeVit(["check", "--activation", "size=none"] + arguments, folder: scratch.url)
        #expect(check.exitCode == 0 && check.output.contains("note: size: the activation of its head is none"))
        // What nobody names is a softmax, and the bundle is what it was before there were others.
        try merge(arguments[0], arguments[1], arguments[2], arguments[3], to: "softmax")
        let manifest = String(decoding: try scratch.read("softmax/bundle.json"), as: UTF8.self)
        #expect(manifest.contains(#""format_version": 1"#) && !manifest.contains(#""activation":"#))
    }

    @Test(arguments: [
        (
            ["--activation", "tags=relu"], 2,
            "'tags=relu' is invalid for '--activation <NAME=ACTIVATION>': expected one of softmax"
        ),
        (["--activation", "tag=none"], 2, "--activation tag=...: there is no --adapter of that name"),
        (["--activation", "tags=none", "--activation", "tags=none"], 2, "--activation tags=... is given twice."),
        (["--adapter", "smile=smile", "--activation", "smile=softmax"], 3, "the head has one output"),
    ])
    func activationsThatCannotBeAreRefused(_ options: [String], _ code: Int32, _ reason: String) throws {
        try copy("smile", as: "smile")
        for command in ["merge", "check"] {
            let arguments = [command, "--base", "\(cases)/base", "--adapter", "tags=\(cases)/tags"] + options
            let run = try runMergeVit(command == "merge" ? arguments + ["-o", "out"] : arguments, folder: scratch.url)
            #expect(run.exitCode == code && (run.errors + run.output).contains(reason), "\(run.errors)")
        }
    }

    @Test func anAdapterThatIsWrittenKeepsItsActivation() throws {
        try merge(
            "--base", "\(cases)/base", "--adapter", "tags=\(cases)/tags", "--activation", "tags=sigmoid", "--as",
            "adapter",
            to: "adapter")
        #expect(
            try JSON(contentsOf: scratch.path("adapter/labels.json")).objectValue?["problem_type"]
                == "multi_label_classification")
        try merge("--base", "\(cases)/base", "--adapter", "tags=adapter", to: "out")
        try check(rows("out", "--all-scores"), "tags", "tags multi_label_classification")
        // Over a base with another problem type a softmax has to be said, too.
        try base("multi_label_classification", as: "base")
        try merge(
            "--base", "base", "--adapter", "tags=\(cases)/tags", "--activation", "tags=softmax", "--as", "adapter",
            to: "soft")
        #expect(
            try JSON(contentsOf: scratch.path("soft/labels.json")).objectValue?["problem_type"]
                == "single_label_classification")
        try merge("--base", "base", "--adapter", "tags=soft", to: "softmax")
        #expect(!String(decoding: try scratch.read("softmax/bundle.json"), as: UTF8.self).contains("activation"))
    }

    @Test(arguments: ["csv", "tsv", "jsonl"]) func rowsGoOnAndAreGathered(_ format: String) throws {
        try merge(
            "--base", "\(cases)/base", "--adapter", "tags=\(cases)/tags", "--adapter", "size=\(cases)/size",
            "--activation", "tags=sigmoid", "--activation", "size=none", to: "out")
        try scratch.write("bad.png", "no picture")
        let paths = (0..<6).map { Samples.image(images[$0 % 2]) } + ["bad.png"]
        func arguments(_ more: [String]) -> [String] {
            ["label", "-q", "--bundle", "out", "--format", format, "--threshold", "tags=0.4"] + more + paths
        }
        let whole = try runMergeVit(arguments([]), folder: scratch.url)
        #expect(whole.exitCode == 1 && whole.output.contains("car|house") == (format != "jsonl"))
        for part in 1...2 {
            _ = try runMergeVit(
                arguments(["--shard", "\(part)/2", "-o", "part\(part).\(format)"]), folder: scratch.url)
        }
        let gathered = try runMergeVit(
            "gather", "part1.\(format)", "part2.\(format)", "-o", "all", folder: scratch.url)
        #expect(gathered.exitCode == 0, "\(gathered.errors)")
        #expect(try scratch.read("all") == whole.standardOutput)
        _ = try runMergeVit(
            [
                "label", "-q", "--bundle", "out", "--format", format, "--threshold", "0.4", "--shard", "2/2", "-o",
                "part2.\(format)",
            ]
                + paths, folder: scratch.url)
        let mixed = try runMergeVit("gather", "part1.\(format)", "part2.\(format)", "-o", "all2", folder: scratch.url)
        #expect(mixed.exitCode == 3 && mixed.errors.contains("--threshold"), "\(mixed.errors)")
    }

    @Test(arguments: [
        (["--threshold", "tag=0.5"], "the model has no task \"tag\""),
        (["--threshold", "tags=2"], "expected a number from 0 to 1"),
        (["--threshold", "tags=0.5", "--threshold", "tags=0.6"], "--threshold tags=... is given twice"),
        (["--threshold", "0.5", "--threshold", "0.6"], "--threshold is given twice"),
        (["--threshold", "=0.5"], "--threshold"), (["--threshold", "tags="], "--threshold"),
        (["--label-separator", ""], "must not be empty"), (["--label-separator", "a"], "contains the label separator"),
        (["--label-separator", ";", "--layout", "long"], "--label-separator applies to the wide layout"),
        (["--top-k", "3"], "no task has a softmax"),
    ])
    func optionsThatCannotBeAreRefused(_ options: [String], _ reason: String) throws {
        try base("multi_label_classification", as: "base")
        try merge("--base", "base", "--adapter", "tags=\(cases)/tags", to: "out")
        let run = try runMergeVit(
            ["label", "--bundle", "out"] + options + [Samples.image(images[0])], folder: scratch.url)
        #expect(run.exitCode == 2 && run.standardOutput.isEmpty && run.errors.contains(reason), "\(run.errors)")
    }
}
