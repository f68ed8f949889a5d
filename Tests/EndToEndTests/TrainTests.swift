import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// What training gives.
@Suite struct TrainTests {
    let scene: TrainingScene
    var scratch: TemporaryFolder { scene.scratch }

    init() throws { scene = try TrainingScene() }

    @Test func anAdapterLearnsAndIsMerged() throws {
        let run = try scene.run("a", TrainingScene.short + ["--log", "log"])
        #expect(run.exitCode == 0 && run.standardOutput.isEmpty)
        let lines = run.errors.split(separator: "\n")
        #expect(lines.count == 6 && lines[1].hasPrefix("epoch 1: loss "))
        #expect(lines[0] == "training on 24 images of 2 classes: across 12, down 12; 8 for validation")
        #expect(
            lines[5].hasPrefix("trained stripes into a: epoch ")
                && lines[5].contains("% of the validation images right, balanced accuracy "))
        #expect(
            try scratch.entries("a")
                == ["adapter_config.json", "adapter_model.safetensors", "labels.json", "training.json"])
        #expect(try scratch.entries() == ["a", "d", "log"])
        let record = try scene.record("a")
        let curve = try #require(record["curve"]?.arrayValue).compactMap(\.objectValue)
        let best = try #require(curve.first { $0["epoch"] == record["best_epoch"] }?["val_accuracy"]?.doubleValue)
        #expect(curve.count == 4 && best >= 0.9)
        #expect(curve.compactMap { $0["val_accuracy"]?.doubleValue }.max() == best)
        // What the merged backbone says of the pictures is what was counted in training.
        #expect(try scene.accuracy("a") == best)
        let events = try scratch.read("log").split(separator: 0x0A).map { try JSON(parsing: Array($0)) }
        let kinds = events.compactMap { $0.objectValue?["event"]?.stringValue }
        #expect(kinds == (0..<4).flatMap { _ in ["step", "step", "step", "epoch"] })
    }

    /// Of a class with few images the accuracy says nothing; its recall does.
    @Test func aRareClassCannotHide() throws {
        // Stripes that run down are rare, also among the validation images.
        for index in 2..<12 { try scratch.remove("d/train/down/\(index).png") }
        for index in 1..<4 { try scratch.remove("d/val/down/\(index).png") }
        let unbalanced = "classes are unbalanced, from across (12) to down (2) images"
        let plain = try scene.run("a", TrainingScene.short)
        #expect(plain.exitCode == 0 && plain.errors.contains("mergevit: warning: d: the " + unbalanced))
        #expect(plain.errors.contains("training on 14 images of 2 classes: across 12, down 2; 5 for validation\n"))
        let balanced = try scene.run("b", TrainingScene.short + ["--balance"])
        #expect(balanced.exitCode == 0 && !balanced.errors.contains(unbalanced))
        for (name, key) in [("a", "val_accuracy"), ("b", "val_balanced_accuracy")] {
            let record = try scene.record(name)
            let curve = try #require(record["curve"]?.arrayValue).compactMap(\.objectValue)
            let best = try #require(curve.first { $0["epoch"] == record["best_epoch"] })
            #expect(curve.compactMap { $0[key]?.doubleValue }.max() == best[key]?.doubleValue)
            for epoch in curve {
                // Four pictures of one class, and one of the other.
                let accuracy = try #require(epoch["val_accuracy"]?.doubleValue)
                let mean = try #require(epoch["val_balanced_accuracy"]?.doubleValue)
                let least = try #require(epoch["val_least_class"]?.arrayValue).compactMap(\.intValue)
                let down = (5 * accuracy - 8 * mean) / -3
                #expect(abs(down - down.rounded()) < 1e-9 && (0...1).contains(down.rounded()), "\(accuracy), \(mean)")
                #expect(least.count == 3 && (least[2] == 1 || least[2] == 4))
            }
        }
        let text = plain.errors.split(separator: "\n").last ?? ""
        let kept = try #require(try scene.record("a")["curve"]?.arrayValue?.last?.objectValue?["val_accuracy"])
        if text.contains("balanced accuracy 50.0 %") { #expect(text.hasSuffix(", least of down: 0 of 1"), "\(kept)") }
    }

    @Test func theSameSeedGivesTheSameBytesOnAnyNumberOfThreads() throws {
        let arguments = TrainingScene.short + ["--dropout", "0.1", "--seed", "9"]
        try scene.runQuietly("a", arguments + ["--threads", "1"])
        try scene.runQuietly("b", arguments + ["--threads", "3"])
        #expect(try scratch.files("a") == scratch.files("b"))
        try scene.runQuietly("c", TrainingScene.short + ["--dropout", "0.1"])
        #expect(try scratch.files("a")["adapter_model.safetensors"] != scratch.files("c")["adapter_model.safetensors"])
    }

    @Test func aHeadAloneLearnsAndIsMerged() throws {
        try scene.runQuietly("h", ["--head-only", "--epochs", "20", "--batch-size", "8", "--threads", "1"])
        try scene.runQuietly("g", ["--head-only", "--epochs", "20", "--batch-size", "8", "--threads", "2"])
        #expect(try scratch.entries("h") == ["head.safetensors", "labels.json", "training.json"])
        #expect(try scratch.files("h") == scratch.files("g"))
        // A head is that of the last epoch, unless the best is asked for.
        #expect(try scene.record("h")["kept_epoch"] == .int(20))
        try scene.runQuietly("b", ["--head-only", "--epochs", "20", "--batch-size", "8", "--keep", "best"])
        let (best, last) = (try scene.record("b"), try scene.record("h"))
        #expect(best["kept_epoch"] == best["best_epoch"] && best["curve"] == last["curve"])
        #expect(try scene.accuracy("h") >= 0.9)
    }

    @Test func whatIsAdaptedCanBeChosen() throws {
        try scene.runQuietly(
            "a",
            [
                "--epochs", "1", "--rank", "2", "--alpha", "3", "--rslora", "--targets", "all-linear", "--layers",
                "4-5",
                "--key-names", "transformers4",
            ])
        let json = try #require(try JSON(contentsOf: scratch.path("a/adapter_config.json")).objectValue)
        #expect(json["r"] == .int(2) && json["lora_alpha"] == .int(3) && json["use_rslora"] == .bool(true))
        let names = try SafetensorsFile(path: scratch.path("a/adapter_model.safetensors")).entries.map(\.name)
        #expect(names.count == 2 * 6 * 2 + 2)
        #expect(names.contains("base_model.model.vit.encoder.layer.5.attention.attention.query.lora_A.weight"))
        #expect(try scene.accuracy("a") >= 0)
    }

    @Test func tablesAndFractionsNameTheImages() throws {
        var rows = "path\tlabel\n"
        for index in 0..<12 { rows += "d/train/down/\(index).png\tdown\nd/train/across/\(index).png\tacross\n" }
        try scratch.write("t.tsv", Array(rows.utf8))
        try scene.runQuietly("t", ["--data", "stripes=t.tsv", "--val-data", "d/val", "--epochs", "1"])
        #expect(try scene.record("t")["data"]?.objectValue?["validation_images"] == .int(8))
        try scene.runQuietly("f", ["--data", "stripes=d/train", "--val-fraction", "0.25", "--epochs", "1"])
        let data = try #require(try scene.record("f")["data"]?.objectValue)
        #expect(data["training_images"] == .int(18) && data["validation_images"] == .int(6))
    }
}

/// Runs that are stopped, killed, and go on.
@Suite struct TrainResumeTests {
    let scene: TrainingScene
    var scratch: TemporaryFolder { scene.scratch }

    init() throws {
        scene = try TrainingScene()
    }

    @Test func aKilledRunGoesOnToTheSameBytes() throws {
        try scene.runQuietly("whole")
        for steps in [0, 3, 8] {
            let run = try scene.interrupted("a", TrainingScene.short + ["--resume"], by: SIGKILL, after: steps)
            #expect(run.exitCode == -SIGKILL)
        }
        #expect(try scene.steps("a") >= 8 && !scratch.entries().contains("a"))
        let end = try scene.run("a", TrainingScene.short + ["--resume"])
        #expect(end.exitCode == 0 && end.errors.hasPrefix("resuming after step "))
        #expect(try scratch.files("a") == scratch.files("whole"))
        #expect(try scratch.entries() == ["a", "d", "whole"])
    }

    @Test(arguments: [SIGINT, SIGTERM]) func aRunThatIsToldToStopSaysHowToGoOn(_ signal: Int32) throws {
        let run = try scene.interrupted("a", by: signal, after: 2)
        #expect(run.exitCode == 128 + signal)
        let steps = try scene.steps("a")
        #expect(
            run.errors.hasSuffix(
                "mergevit: stopped by \(signal == SIGINT ? "SIGINT" : "SIGTERM") after step \(steps) of 12; "
                    + "to resume, run the same command with --resume\n"), "\(run.errors)")
        #expect(try scratch.entries() == [".a.training", "d"])
        let again = try scene.run("a")
        #expect(again.exitCode == 3 && again.errors.contains("--resume continues it, --force starts over"))
        let other = try scene.run("a", ["--epochs", "5", "--batch-size", "8", "--lr", "0.01", "--resume"])
        #expect(
            other.exitCode == 3
                && other.errors
                    == "mergevit: error: .a.training: belongs to another run: epochs was 4, now 5; lr was "
                    + "0.003, now 0.01\n"
        )
        try scratch.write("d/train/down/new.png", TrainingScene.stripes(true, 99))
        let changed = try scene.run("a", TrainingScene.short + ["--resume"])
        #expect(changed.exitCode == 3 && changed.errors.contains("belongs to another run: data_sha256 was "))
        try scratch.remove("d/train/down/new.png")
        try scene.runQuietly("a", TrainingScene.short + ["--resume"])
        try scene.runQuietly("whole")
        #expect(try scratch.files("a") == scratch.files("whole"))
    }

    @Test func whatIsThereIsReplacedOnlyWhenAsked() throws {
        try scene.runQuietly("a", ["--epochs", "1", "--seed", "1"])
        let again = try scene.run("a", ["--epochs", "1"])
        #expect(again.exitCode == 3 && again.errors.contains("already exists; --force replaces it"))
        try scene.runQuietly("a", ["--epochs", "1", "--force"])
        #expect(try scene.record("a")["options"]?.objectValue?["seed"] == .int(0))
        let other = try scene.run("d", ["--epochs", "1", "--force"])
        #expect(other.exitCode == 3 && other.errors.contains("already exists and is not a trained adapter"))
        #expect(try scratch.entries() == ["a", "d"])
    }
}

/// Data and options that cannot be used.
@Suite struct TrainErrorTests {
    let scene: TrainingScene
    var scratch: TemporaryFolder { scene.scratch }

    init() throws { scene = try TrainingScene() }

    @Test func imagesThatCannotBeUsedAreLeftOutOrEndTheRun() throws {
        try scratch.write("d/train/down/bad.png", [0x89, 0x50, 0x4E, 0x47])
        try scratch.write("d/val/across/notes.txt", "hello")
        let run = try scene.run("a", ["--epochs", "1"])
        #expect(run.exitCode == 0)
        #expect(run.errors.contains("mergevit: warning: left out d/train/down/bad.png: "))
        #expect(
            run.errors.contains("mergevit: warning: left out d/val/across/notes.txt: not a picture but a text file"))
        #expect(run.errors.hasSuffix("; 2 images left out\n"))
        #expect(try scene.record("a")["data"]?.objectValue?["skipped"] == .int(2))
        let strict = try scene.run("b", ["--epochs", "1", "--strict"])
        #expect(strict.exitCode == 3 && strict.errors.hasPrefix("mergevit: error: d/train/down/bad.png: "))
        try scratch.write("x/train/a/1.png", [1])
        try scratch.write("x/train/b/1.png", TrainingScene.stripes(true, 1))
        let none = try scene.run("c", ["--data", "stripes=x", "--val-fraction", "0"])
        #expect(none.exitCode == 3 && none.errors.hasSuffix("x: no training image of \"a\" can be used\n"))
        #expect(try scratch.entries() == ["a", "d", "x"])
    }

    @Test func dataThatCannotBeUsedAreNamed() throws {
        try scratch.write("one/a/1.png", [1])
        try scratch.write("v/val/left/1.png", [1])
        try scratch.copy(scratch.path("d/train"), to: "v/train")
        try FileManager.default.createDirectory(
            atPath: scratch.path("d/train/empty"), withIntermediateDirectories: true)
        try scratch.write("t.csv", "path,label\nx,a\nd/train/down/1.png,b\n")
        for (data, reason) in [
            ("one", "one: only one class, \"a\"; expected at least two"),
            ("v", "v/val: classes without training images: left"),
            ("d", "d/train/empty: the class has no images"),
            ("t.csv", "t.csv: 1 of 2 files are not there: x (--root DIR names the folder that paths start at)"),
            ("gone", "gone: No such file or directory"),
        ] {
            let run = try scene.run("a", ["--data", "stripes=\(data)"])
            #expect(run.exitCode == 3 && run.errors == "mergevit: error: \(reason)\n")
        }
        #expect(!(try scratch.entries().contains(".a.training")))
    }

    /// The user story: label, correct the table by hand, and learn from, measure on and tune by what it says now.
    @Test func aTableThatLabelWroteGoesBack() throws {
        let quick = ["--head-only", "--epochs", "1", "-q"]
        try scene.runQuietly("first", ["--epochs", "1"])
        let merge = ["merge", "--base", Samples.base, "--adapter", "stripes=first"]
        #expect(try runMergeVit(merge + ["-q", "-o", "bundle"], folder: scratch.url).exitCode == 0)
        try scratch.write("d/train/down/bad.png", [1])
        let labelled = try runMergeVit(
            "label", "-q", "--bundle", "bundle", "d/train", "-o", "out/labels.csv", folder: scratch.url)
        #expect(labelled.exitCode == 3 && labelled.errors.contains("out/labels.csv"))
        try scratch.write("out/x", [])
        for format in ["csv", "tsv"] {
            let run = try runMergeVit(
                "label", "--bundle", "bundle", "d/train", "--format", format, "-o", "out/labels.\(format)",
                folder: scratch.url)
            #expect(run.exitCode == 1, "\(run.errors)")
            // Every label is corrected to what the folder says, as a spreadsheet saves it.
            let lines = String(decoding: try scratch.read("out/labels.\(format)"), as: UTF8.self).split(separator: "\n")
            let mark = format == "csv" ? "," : "\t"
            let corrected = lines.map { line -> String in
                var cells = line.split(separator: Character(mark), omittingEmptySubsequences: false).map(String.init)
                if cells[1] == "ok" { cells[2] = cells[0].contains("/down/") ? "down" : "across" }
                return cells.joined(separator: format == "csv" ? ";" : mark)
            }
            try scratch.write(
                "out/t.\(format)", Array(("\u{FEFF}" + corrected.joined(separator: "\r\n") + "\r\n").utf8))
            let data = "out/t.\(format)"
            try scene.runQuietly("back-\(format)", ["--data", "stripes=\(data)"] + quick)
            let loud = try scene.run("loud-\(format)", ["--data", "stripes=\(data)", "--head-only", "--epochs", "1"])
            #expect(loud.errors.hasPrefix("mergevit: warning: \(data): left out rows: 1 with an error\n"))
            #expect(loud.errors.contains("mergevit: warning: \(data): its paths are taken from the current folder\n"))
            let measured = try runMergeVit(
                "evaluate", "-q", "--bundle", "bundle", "--data", "stripes=\(data)", folder: scratch.url)
            #expect(measured.exitCode == 0 && measured.output.contains("stripes      24 "), "\(measured.output)")
            let tuned = try runMergeVit(
                merge + ["-q", "--tune", "--labelled", "stripes=\(data)", "-o", "tuned-\(format)"], folder: scratch.url)
            #expect(tuned.exitCode == 0, "\(tuned.errors)")
            let again = try runMergeVit(
                "merge", "--recipe", "tuned-\(format)/bundle.json", "-o", "again-\(format)", folder: scratch.url)
            #expect(again.exitCode == 0, "\(again.errors)")
        }
    }

    @Test func placesThatCannotBeUsedAreNamed() throws {
        let parent = try scene.run("no/where")
        #expect(
            parent.exitCode == 3
                && parent.errors == "mergevit: error: no/where: cannot be written: No such file or directory\n")
        let layers = try scene.run("a", ["--layers", "3-6"])
        #expect(
            layers.exitCode == 3 && layers.errors == "mergevit: error: --layers: the base has layers 0 to 5, not 6\n")
        let gate = try scene.run("a", ["--targets", "gate"])
        #expect(
            gate.exitCode == 3
                && gate.errors.contains("the base has no \"gate\"; it has query, key, value, output, fc1, fc2"))
        let log = try scene.run("a", ["--log", "no/log"])
        #expect(log.exitCode == 3 && log.errors == "mergevit: error: cannot write no/log: No such file or directory\n")
        #expect(try scratch.entries() == ["d"])
    }

    @Test(arguments: [
        ["--head-only", "--rank", "4"], ["--head-only", "--augment", "crop"], ["--targets", "query,all"],
        ["--layers", "5-2"], ["--lr", "0"], ["--lr", "nan"], ["--epochs", "0"], ["--batch-size", "0"],
        ["--val-fraction", "1"], ["--val-fraction", "0.1", "--val-data", "d/val"], ["--warmup", "2"],
        ["--early-stop", "2", "--keep", "last"], ["--label-smoothing", "-0.1"], ["--dropout", "1"],
        ["--crop-area", "0"], ["--threads", "0"],
        ["--schedule", "linear"], ["--data", "a/b=d"], ["--data", "d"], ["--precision", "f16"],
    ])
    func optionsThatMakeNoSenseAreUsageErrors(_ arguments: [String]) throws {
        let run = try scene.run("a", arguments)
        #expect(run.exitCode == 2 && run.errors.hasPrefix("mergevit: error: "), "\(run.errors)")
        #expect(try scratch.entries() == ["d"])
    }
}
