import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Training, merging and measuring of a head that gives an image several labels.
@Suite struct MultiLabelTests {
    let scene: TrainingScene
    var scratch: TemporaryFolder { scene.scratch }

    /// Pictures that are bright or not and have stripes or not, and the table of their labels.
    init() throws {
        scene = try TrainingScene()
        for (part, count) in [("train", 24), ("val", 8)] {
            var table = "path,labels\n"
            for index in 0..<count {
                let (isBright, hasStripes) = (index % 2 == 0, index / 2 % 2 == 0)
                let name = "\(part)-\(index).png"
                let variant = index * 5 + count
                try scratch.write(
                    "m/\(name)",
                    PNGFile.rgb(20 + index % 5, 22 + index % 3) { x, _ in
                        let ground = UInt8(isBright ? 150 + variant % 20 : 20 + variant % 20)
                        let isStripe = hasStripes && (x + variant) / 3 % 2 == 0
                        return isStripe ? (ground, ground &+ 80, ground &+ 80) : (ground, ground, ground)
                    })
                let labels = [isBright ? "bright" : nil, hasStripes ? "striped" : nil].compactMap(\.self)
                table += "\(name),\(labels.joined(separator: "|"))\n"
            }
            try scratch.write("m/\(part).csv", Array(table.utf8))
        }
    }

    private static let data = ["--multi-label", "--data", "stripes=m/train.csv", "--val-data", "m/val.csv"]
    private static let headAlone = data + ["--head-only", "--epochs", "40", "--batch-size", "8"]

    private func evaluate(_ arguments: [String], expecting exitCode: Int32 = 0) throws -> Finished {
        let run = try runMergeVit(["evaluate", "-q"] + arguments, folder: scratch.url)
        try #require(run.exitCode == exitCode, "\(run.exitCode): \(run.errors)")
        return run
    }

    private func task(_ report: String) throws -> JSONObject {
        let metrics = try JSON(contentsOf: scratch.path("\(report)/metrics.json")).objectValue
        return try #require(metrics?["tasks"]?.arrayValue?.first?.objectValue)
    }

    private func value(_ task: JSONObject, _ metric: String) throws -> Double {
        try #require(task[metric]?.objectValue?["value"]?.doubleValue)
    }

    /// Merges an adapter as the task `tags`.
    private func merged(_ adapter: String) throws -> String {
        let merge = try runMergeVit(
            "merge", "-q", "--base", Samples.base, "--adapter", "tags=\(adapter)", "-o", "\(adapter)-bundle",
            folder: scratch.url)
        try #require(merge.exitCode == 0 && merge.errors.isEmpty, "\(merge.errors)")
        return "\(adapter)-bundle"
    }

    @Test func anAdapterLearnsIsMergedLabelsAndIsMeasured() throws {
        let run = try scene.run("a", Self.data + ["--epochs", "6", "--batch-size", "8", "--log", "log"])
        try #require(run.exitCode == 0, "\(run.errors)")
        #expect(run.errors.contains("epoch 1: loss ") && run.errors.contains(", exact match "))
        #expect(run.errors.contains("; validation ") && run.errors.contains(", mAP "))
        #expect(run.errors.hasSuffix("% on the validation images\n"))
        let labels = try JSON(contentsOf: scratch.path("a/labels.json")).objectValue
        #expect(labels?["problem_type"]?.stringValue == "multi_label_classification")
        #expect(labels?["id2label"]?.objectValue?.members.map(\.value) == ["bright", "striped"])
        let record = try scene.record("a")
        #expect(record["problem_type"]?.stringValue == "multi_label_classification")
        #expect(record["options"]?.objectValue?["multi_label"] == .bool(true))
        #expect(record["options"]?.objectValue?["label_smoothing"]?.doubleValue == 0)
        let curve = try #require(record["curve"]?.arrayValue).compactMap(\.objectValue)
        let kept = try #require(curve.first { $0["epoch"] == record["kept_epoch"] })
        #expect(curve.compactMap { $0["val_map"]?.doubleValue }.max() == kept["val_map"]?.doubleValue)
        let events = try scratch.read("log").split(separator: 0x0A).map { try JSON(parsing: Array($0)).objectValue }
        #expect(events.contains { $0?["event"] == "epoch" && $0?["val_map"]?.doubleValue != nil })

        // What the merged model answers is what was measured in training.
        let bundle = try merged("a")
        let measured = try evaluate(["--bundle", bundle, "--data", "tags=m/val.csv", "-o", "model"])
        #expect(
            measured.output.hasPrefix(
                "task  images    mAP   95 % interval  micro F1  macro F1  precision  recall  exact"))
        let model = try task("model")
        #expect(abs(try value(model, "map") - (kept["val_map"]?.doubleValue ?? .nan)) < 1e-9)
        #expect(try value(model, "exact_match") == kept["val_accuracy"]?.doubleValue)
        #expect(try value(model, "micro_f1") > 0.8)
        #expect(model["activation"]?.stringValue == "sigmoid" && model["threshold"]?.doubleValue == 0.5)
        #expect(model["per_class"]?.arrayValue?.compactMap { $0.objectValue?["support"]?.intValue } == [4, 4])
        let rows = table(try scratch.read("model/predictions.csv"))
        #expect(rows[0]["true_label"] == "bright|striped" && rows[3]["true_label"] == "")

        // And so is what it wrote earlier, however it was written.
        for options in [
            ["--all-scores"], ["--all-scores", "--scores", "logit", "--format", "tsv"],
            ["--all-scores", "--layout", "long"],
        ] {
            try scratch.write(
                "rows", try label(scratch.path(bundle), options + ["--endings", "png", "m"], folder: scratch.url.path))
            _ = try evaluate([
                "--predictions", "rows", "--activation", "tags=sigmoid", "--data", "tags=m/val.csv", "-o", "written",
                "--force",
            ])
            let written = try task("written")
            for metric in ["map", "micro_f1", "macro_f1", "micro_precision", "micro_recall", "exact_match"] {
                #expect(written[metric] == model[metric], "\(options) \(metric)")
            }
        }
    }

    @Test func aRunGoesOnToTheSameBytes() throws {
        try scene.runQuietly("whole", Self.headAlone + ["--balance", "--threads", "1"])
        let stopped = try scene.interrupted("a", Self.headAlone + ["--balance"], by: SIGINT, after: 2)
        #expect(stopped.exitCode == 130)
        let other = try scene.run("a", Self.headAlone + ["--resume"])
        #expect(other.exitCode == 3 && other.errors.contains("belongs to another run: balance was true, now false"))
        try scene.runQuietly("a", Self.headAlone + ["--balance", "--threads", "3", "--resume"])
        #expect(try scratch.files("a") == scratch.files("whole"))
        #expect(try scene.record("a")["curve"]?.arrayValue?.count == 40)
    }

    @Test func whatIsBelowTheMinimumIsExitCodeFour() throws {
        try scene.runQuietly("h", Self.headAlone + ["--epochs", "2"])
        let bundle = try merged("h")
        let arguments = ["--bundle", bundle, "--data", "tags=m/val.csv"]
        // Half of these labels are wrong.
        let wrong = "path,label\n" + (0..<8).map { "val-\($0).png,\($0 < 4 ? "bright" : "striped")\n" }.joined()
        try scratch.write("m/wrong.csv", Array(wrong.utf8))
        let poor = try evaluate(
            ["--bundle", bundle, "--data", "tags=m/wrong.csv", "--min-map", "tags=0.99"], expecting: 4)
        #expect(
            poor.errors.contains("tags: mean average precision 0.") && poor.errors.contains("is below --min-map 0.99"))
        _ = try evaluate(arguments + ["--min-map", "tags=0.1", "--threshold", "tags=0.4"])
        let accuracy = try evaluate(arguments + ["--min-accuracy", "tags=0.5"], expecting: 2)
        #expect(accuracy.errors.contains("--min-map tags=... sets a smallest mean average precision"))
        let compared = try evaluate(["--compare", bundle, bundle, "--data", "tags=m/val.csv"], expecting: 3)
        #expect(compared.errors.contains("a comparison supports heads with activation softmax"))
        let folder = try evaluate(["--bundle", bundle, "--data", "tags=d/val"], expecting: 3)
        #expect(folder.errors.contains("d/val: is a folder"))
    }

    @Test func aStudyRefusesItBeforeAnythingIsTrained() throws {
        try scene.runQuietly("h", Self.headAlone + ["--epochs", "1"])
        let run = try runMergeVit(
            "study", "--base", Samples.base, "--data", "down=d", "--data", "tags=d", "--head-alone", "tags=h",
            "-o", "s", folder: scratch.url)
        #expect(run.exitCode == 3)
        #expect(
            run.errors
                == "mergevit: error: tags: study supports heads with activation softmax; the head of this task has "
                + "sigmoid\n", "\(run.errors)")
    }

    @Test func predictionsAreReadAsWhatTheyAre() throws {
        try scene.runQuietly("h", Self.headAlone)
        let rows = try label(scratch.path(try merged("h")), ["--endings", "png", "m"], folder: scratch.url.path)
        try scratch.write("rows.csv", rows)
        let data = ["--predictions", "rows.csv", "--data", "tags=m/val.csv"]
        #expect(try evaluate(data, expecting: 3).errors.contains("use --activation tags=sigmoid"))
        let sigmoid = data + ["--activation", "tags=sigmoid"]
        let run = try runMergeVit(["evaluate"] + sigmoid + ["-o", "report"], folder: scratch.url)
        #expect(run.exitCode == 0 && run.errors.contains("mean average precision needs the scores of all classes"))
        #expect(try task("report")["map"] == .null && value(task("report"), "micro_f1") > 0.5)
        let threshold = try evaluate(sigmoid + ["--threshold", "0.3"], expecting: 3)
        #expect(threshold.errors.contains("a threshold needs the scores of all classes: label with --all-scores"))
        let minimum = try evaluate(sigmoid + ["--min-map", "tags=0.1"], expecting: 4)
        #expect(minimum.errors.contains("mean average precision is not known"))
    }

    @Test func oneLabelIsAYesOrNo() throws {
        let table = "path,label\n" + (0..<24).map { "train-\($0).png,\($0 % 2 == 0 ? "bright" : "")\n" }.joined()
        try scratch.write("m/one.csv", Array(table.utf8))
        try scene.runQuietly(
            "h", ["--multi-label", "--data", "stripes=m/one.csv", "--head-only", "--epochs", "40", "--batch-size", "8"])
        _ = try evaluate(["--bundle", try merged("h"), "--data", "tags=m/one.csv", "-o", "report"])
        #expect(try value(task("report"), "map") > 0.95)
        let all = table.replacingOccurrences(of: ",\n", with: ",bright\n")
        try scratch.write("m/all.csv", Array(all.utf8))
        let run = try scene.run("a", ["--multi-label", "--data", "stripes=m/all.csv"])
        #expect(run.exitCode == 3 && run.errors.contains("every image has the only label, \"bright\""))
    }

    @Test func tablesThatCannotBeUsedAreNamed() throws {
        for (name, rows, reason) in [
            ("gap", "train-0.png,bright||striped\n", "line 2: \"bright||striped\" has an empty label beside a \"|\""),
            ("two", "train-0.png,bright\ntrain-0.png,\n", "line 3: "),
            ("none", "train-0.png,\n", "not one row has a label"),
            ("gone", "gone.png,bright\n", "1 of 1 files are not there"),
        ] {
            try scratch.write("m/\(name).csv", "path,label\n\(rows)")
            let run = try scene.run("a", ["--multi-label", "--data", "stripes=m/\(name).csv"])
            #expect(run.exitCode == 3 && run.errors.contains("m/\(name).csv: \(reason)"), "\(run.errors)")
        }
        let folder = try scene.run("a", ["--multi-label"])
        #expect(folder.exitCode == 3 && folder.errors.contains("d: is a folder"))
        try scratch.write("m/new.csv", "path,label\nval-0.png,bright|new\n")
        let new = try scene.run("a", ["--multi-label", "--data", "stripes=m/train.csv", "--val-data", "m/new.csv"])
        #expect(new.exitCode == 3 && new.errors.contains("m/new.csv: labels without training images: new"))
        try scratch.write("m/every.csv", "path,label\ntrain-0.png,bright\ntrain-1.png,bright|striped\n")
        let every = try scene.run(
            "a", ["--multi-label", "--data", "stripes=m/every.csv", "--balance", "--val-fraction", "0"])
        #expect(
            every.exitCode == 3 && every.errors.contains("every training image has the label \"bright\"")
                && every.errors.hasSuffix("; omit --balance\n"))
        for arguments in [["--label-separator", ";"], ["--multi-label", "--label-separator", ""]] {
            #expect(try scene.run("a", arguments).exitCode == 2)
        }
        #expect(try scratch.entries() == ["d", "m"])
    }

    @Test func labelsThatHoldTheSeparatorAreWarnedOf() throws {
        let run = try scene.run("a", ["--data", "stripes=m/joined.csv"])
        #expect(run.exitCode == 3)
        let rows = (0..<8).map { "train-\($0).png,bright|\($0 % 2 == 0 ? "striped" : "plain")\n" }.joined()
        try scratch.write("m/joined.csv", "path,label\n\(rows)")
        let warned = try scene.run("a", ["--data", "stripes=m/joined.csv", "--head-only", "--epochs", "1"])
        #expect(warned.exitCode == 0)
        #expect(warned.errors.contains("8 of 8 labels contain \"|\" and are taken as one class each; --multi-label"))
    }
}

/// Regressions: heads without an activation.
@Suite struct RegressionTests {
    let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.write(
            "labels.json",
            Array(#"{"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}, "problem_type": "regression"}"#.utf8))
    }

    private func run(_ arguments: [String]) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    private func metrics(_ report: String) throws -> JSONObject {
        let metrics = try JSON(contentsOf: scratch.path("\(report)/metrics.json")).objectValue
        return try #require(metrics?["tasks"]?.arrayValue?.first?.objectValue)
    }

    @Test func valuesAreMeasuredFromModelAdapterAndRows() throws {
        let adapter = ["--adapter", "size=\(Samples.adapter("corn"))", "--labels", "size=labels.json"]
        let merge = try run(["merge", "-q", "--base", Samples.base] + adapter + ["-o", "bundle"])
        try #require(merge.exitCode == 0, "\(merge.errors)")
        let rows = try label(scratch.path("bundle"), [Samples.image("leaves")])
        try scratch.write("rows.csv", rows)
        // The true values are what the model says, off by 1, 2 and 3.
        let answers = table(rows)
        var truth = "path,a,b,c,d\n"
        for (index, row) in answers.enumerated() {
            let values = ["a", "b", "c", "d"].map {
                Double(row["size:\($0)"] ?? "").map { $0 + Double(index + 1) } ?? .nan
            }
            truth += ([row["path"] ?? ""] + values.map { "\($0)" }).joined(separator: ",") + "\n"
        }
        try scratch.write("truth.csv", Array(truth.utf8))
        let data = ["--data", "size=truth.csv"]
        for (name, arguments) in [
            ("model", ["--bundle", "bundle"]), ("adapter", ["--base", Samples.base] + adapter),
            ("rows", ["--predictions", "rows.csv", "--activation", "size=none"]),
        ] {
            let run = try run(["evaluate", "-q"] + arguments + data + ["-o", name])
            try #require(run.exitCode == 0, "\(run.errors)")
            #expect(
                run.output.hasPrefix(
                    "task  output  images    MAE   95 % interval   RMSE      R2\nsize  a            3  2.000"))
            let found = try metrics(name)
            #expect(found["activation"]?.stringValue == "none" && found["outputs"]?.intValue == 4)
            let (mae, rmse) = (
                found["mae"]?.objectValue?["value"]?.doubleValue, found["rmse"]?.objectValue?["value"]?.doubleValue
            )
            #expect(abs((mae ?? 0) - 2) < 1e-6 && abs((rmse ?? 0) - (14.0 / 3).squareRoot()) < 1e-6)
            if name == "rows" { #expect(try found == metrics("model")) }
        }
        let softmax = try run(["evaluate", "--predictions", "rows.csv"] + data)
        #expect(softmax.exitCode == 3 && softmax.errors.contains("use --activation size=none"))
        let minimum = try run(["evaluate", "--bundle", "bundle", "--min-accuracy", "size=0.5"] + data)
        #expect(minimum.exitCode == 2 && minimum.errors.contains("activation none, so there is no top-1 accuracy"))
        let missing = try run(["evaluate", "--bundle", "bundle", "--data", "size=\(Samples.folder)/labels-corn.csv"])
        #expect(missing.exitCode == 3 && missing.errors.contains("labels-corn.csv: "))
    }
}
