import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Merges with a stream for each task: `merge --streams`.
@Suite struct MergeStreamsTests {
    private let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: "\(Samples.folder)/images", toPath: scratch.path("images"))
    }

    @discardableResult
    private func merged(_ name: String, _ tasks: [String], _ arguments: [String]) throws -> String {
        let run = try merge(["--streams", "-o", name] + arguments + adapters(tasks), in: scratch)
        try #require(run.exitCode == 0 && run.standardOutput.isEmpty, "\(run.errors)")
        return run.errors
    }

    private func rows(_ bundle: String, _ arguments: [String] = []) throws -> [UInt8] {
        try label(scratch.path(bundle), ["--all-scores", "images"] + arguments, folder: scratch.path)
    }

    @Test func aTaskAnswersTheSameBesideAnyOthersOverTheBase() throws {
        let errors = try merged("all", Samples.tasks, ["--method", "base"])
        #expect(
            errors.hasPrefix("merged 6 adapters by base at scale 1.0 with a stream for each into all: traffic (43), "))
        #expect(
            try scratch.entries("all") == [
                "bundle.json", "config.json", "heads.safetensors", "model.safetensors", "preprocessor_config.json",
                "streams.safetensors",
            ])
        let all = table(try rows("all"))
        // Streams of other tasks are not computed, and change nothing.
        let wanted = table(try rows("all", ["--tasks", "trash,corn"]))
        for (row, expected) in zip(wanted, all) {
            for (column, cell) in row { #expect(cell == expected[column], "\(column)") }
        }
        #expect(wanted.count == all.count && wanted.allSatisfy { $0["corn"] != nil && $0["aerial"] == nil })
        try merged("two", ["corn", "aerial"], ["--method", "base"])
        let bytes = try rows("two")
        let shared = cells(bytes)[0]
        for (row, expected) in zip(all, table(bytes)) {
            for column in shared { #expect(row[column] == expected[column], "\(column)") }
        }
        for (batch, threads) in [(1, 2), (3, 1), (64, 3)] {
            let found = try rows("two", ["--batch-size", "\(batch)", "--threads", "\(threads)"])
            #expect(found == bytes, "batch size \(batch), \(threads) threads")
        }
    }

    @Test func fittedStreamsAreNearerAndMadeAgainFromTheirRecipe() throws {
        let tasks = ["corn", "aerial"]
        let calibration = ["--scale", "0.3", "--calibration", "images"]
        try merged("first", tasks, calibration)
        #expect(try scratch.entries("first").contains("base.safetensors"))
        try merged("plain", tasks, ["--scale", "0.3"])
        for task in tasks {
            #expect(try merge(["-o", task] + adapters([task]), in: scratch).exitCode == 0)
            let single = table(try rows(task))
            func distance(_ bundle: String) throws -> Double {
                zip(table(try rows(bundle)), single).reduce(0) { sum, pair in
                    pair.1.reduce(sum) { sum, cell in
                        guard cell.key.hasPrefix("\(task):"), let a = Double(cell.value),
                            let b = pair.0[cell.key].flatMap(Double.init)
                        else { return sum }
                        return sum + abs(a - b)
                    }
                }
            }
            let (fitted, plain) = (try distance("first"), try distance("plain"))
            #expect(fitted < plain && fitted > 0, "\(task): \(fitted), \(plain)")
        }
        let again = try runMergeVit("merge", "--recipe", "first/bundle.json", "-o", "second", folder: scratch.url)
        #expect(again.exitCode == 0, "\(again.errors)")
        for name in try scratch.entries("first") {
            #expect(try scratch.read("first/\(name)") == scratch.read("second/\(name)"), "\(name)")
        }
        for threads in ["1", "3"] {
            try merged("threads\(threads)", tasks, calibration + ["--threads", threads])
            let name = "streams.safetensors"
            #expect(try scratch.read("first/\(name)") == scratch.read("threads\(threads)/\(name)"))
        }
    }

    /// What bf16 costs by itself is said and kept in the recipe, which gives the same bytes.
    @Test(.enabled(if: TrainPrecisionTests.isThere, "the processor has no instructions for bf16"))
    func streamsAreFittedInBF16() throws {
        let tasks = ["corn", "aerial"]
        let calibration = ["--scale", "0.3", "--align", "--calibration", "images"]
        let errors = try merged("bf16", tasks, calibration + ["--precision", "bf16"])
        #expect(errors.contains(/computing images in bf16, in which single adapters keep \d+(\.\d)? % of their labels/))
        let manifest = try JSON(parsing: scratch.read("bf16/bundle.json")).objectValue
        let recipe = try #require(manifest?["recipe"]?.objectValue)
        let precision = try #require(recipe["calibration"]?.objectValue?["precision"]?.objectValue)
        #expect(precision["type"] == "bf16" && (precision["same_label"]?.doubleValue ?? 0) > 0.8)
        try merged("f32", tasks, calibration)
        let name = "streams.safetensors"
        #expect(try scratch.read("bf16/\(name)") != scratch.read("f32/\(name)"))
        try merged("threads", tasks, calibration + ["--precision", "bf16", "--threads", "3"])
        #expect(try scratch.read("bf16/\(name)") == scratch.read("threads/\(name)"))
        let again = try runMergeVit("merge", "--recipe", "bf16/bundle.json", "-o", "again", folder: scratch.url)
        #expect(again.exitCode == 0, "\(again.errors)")
        for name in try scratch.entries("bf16") {
            #expect(try scratch.read("bf16/\(name)") == scratch.read("again/\(name)"), "\(name)")
        }
        // Answers are near those of the other bundle; with so few images another ridge may be chosen.
        var differences: [Double] = []
        for (row, expected) in zip(table(try rows("bf16")), table(try rows("f32"))) {
            for (column, cell) in row where column.contains(":") {
                differences.append(abs((Double(cell) ?? .infinity) - (Double(expected[column] ?? "") ?? 0)))
            }
        }
        let mean = differences.reduce(0, +) / Double(max(differences.count, 1))
        #expect(!differences.isEmpty && mean < 0.02, "\(mean)")
        let added = try runMergeVit(
            ["add", "--bundle", "bf16", "--calibration", "images", "--precision", "auto", "-o", "three"]
                + adapters(["trash"]), folder: scratch.url)
        #expect(added.exitCode == 0, "\(added.errors)")
        #expect(
            added.errors.contains("computing images in bf16") || added.errors.contains("images are computed in f32"))
        let repeated = try runMergeVit("merge", "--recipe", "three/bundle.json", "-o", "repeated", folder: scratch.url)
        #expect(repeated.exitCode == 0, "\(repeated.errors)")
        #expect(try scratch.read("three/\(name)") == scratch.read("repeated/\(name)"))
    }

    /// bf16 is refused by name, and auto makes the same files as f32.
    @Test func withoutInstructionsForBF16TheMergeIsInF32OrRefused() throws {
        let arguments = ["--streams", "--scale", "0.3", "--calibration", "images"] + adapters(["corn", "aerial"])
        func run(_ name: String, _ precision: String) throws -> Finished {
            try runMergeVit(
                ["merge", "--base", Samples.base, "-o", name, "--precision", precision] + arguments,
                folder: scratch.url, environment: ["ONEDNN_MAX_CPU_ISA": "AVX512_CORE"])
        }
        let refused = try run("b", "bf16")
        #expect(refused.exitCode == 3)
        #expect(
            refused.errors.hasSuffix(
                "mergevit: error: compute in bf16: the processor has neither AVX512_BF16 nor AMX\n"),
            "\(refused.errors)")
        #expect(try !scratch.entries().contains("b"))
        for (name, precision) in [("auto", "auto"), ("f32", "f32")] {
            let made = try run(name, precision)
            #expect(made.exitCode == 0 && !made.errors.contains("bf16"), "\(made.errors)")
        }
        for name in try scratch.entries("f32") {
            #expect(try scratch.read("auto/\(name)") == scratch.read("f32/\(name)"), "\(name)")
        }
    }

    @Test func aPrecisionIsForCalibrationImages() throws {
        for (arguments, message) in [
            (["--precision", "bf16"], "--precision needs --calibration."),
            (["--precision", "int8", "--calibration", "images"], "The value 'int8' is invalid for '--precision"),
        ] {
            let run = try merge(["--streams", "-o", "b"] + arguments + adapters(["corn"]), in: scratch)
            #expect(run.exitCode == 2 && run.errors.contains(message), "\(run.errors)")
        }
        try merged("a", ["corn"], ["--method", "base"])
        let again = try runMergeVit(
            ["merge", "--recipe", "a/bundle.json", "--precision", "bf16", "-o", "b"], folder: scratch.url)
        #expect(again.exitCode == 2 && again.errors.contains("--precision: the --recipe has it."), "\(again.errors)")
    }

    @Test func theManifestSaysThatThereAreStreams() throws {
        try merged("b", ["corn"], ["--method", "base", "--stream-rank", "3", "--calibration", "images"])
        let manifest = try #require(try JSON(parsing: scratch.read("b/bundle.json")).objectValue)
        #expect(manifest["format_version"]?.intValue == 4 && manifest["streams"]?.boolValue == true)
        #expect(
            manifest["recipe"]?.objectValue?["streams"]?.objectValue?["rank"]?.intValue == 3)
        let inspected = try runMergeVit(["inspect", "--json", "b"], folder: scratch.url)
        let object = try #require(try JSON(parsing: inspected.standardOutput).objectValue)
        let described = try #require(object["streams"]?.objectValue)
        #expect(described["rank"]?.intValue == 3 && described["modules"]?.arrayValue?.count == 12)
        let task = try #require(described["tasks"]?.arrayValue?.first?.objectValue)
        #expect(task["name"] == "corn" && task["token_map_rank"]?.intValue == 3 && task["adapter_rank"]?.intValue == 16)
        // 12 updates of rank 16, and 6 maps with their shifts, of rank 3 but the first, whose tokens are all tasks'.
        #expect(task["adapted_modules"]?.intValue == 12)
        #expect(task["bytes"]?.intValue == 4 * 192 * (12 * 2 * 16 + 5 * 2 * 3 + 6))
        let base = try #require(described["base"]?.objectValue)
        #expect(base["own_parameters"]?.intValue == 0 && base["own_bytes"]?.intValue == 0)
        #expect(base["shared_parameters"]?.intValue == object["tensors"]?.intValue)
        for (key, value, reason) in [
            ("format_version", "1", "streams: expected with format_version 4"),
            ("streams", "7", "streams: expected true"),
        ] {
            var changed = manifest
            changed[key] = .number(value)
            try scratch.write("b/bundle.json", Array(JSON.object(changed).serialized().utf8))
            let run = try runMergeVit(["label", "--bundle", "b", "images"], folder: scratch.url)
            #expect(run.exitCode == 3 && run.errors.contains("b/bundle.json: \(reason)"), "\(run.errors)")
        }
    }

    @Test func streamsInInt8KeepMostLabels() throws {
        try merged("b", ["corn", "aerial"], ["--method", "base"])
        let run = try runMergeVit(
            ["quantize", "--bundle", "b", "--calibration", "images", "-o", "q"], folder: scratch.url)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(try scratch.entries("q").contains("streams.safetensors"))
        let said = run.errors
        #expect(
            said.contains("labels were not compared") || said.contains(/\(corn \d+\.\d %, aerial \d+\.\d %\)/),
            "\(said)")
        // The last block's patch tokens are not computed, so they are not rounded.
        let names = try SafetensorsFile(path: scratch.path("q/int8.safetensors")).entries.map(\.name)
        #expect(names.contains { $0.hasPrefix("layers.4.") } && !names.contains { $0.hasPrefix("layers.5.") })
        let labelled = try runMergeVit(
            ["label", "--bundle", "q", "--precision", "int8", "--all-scores", "images"], folder: scratch.url)
        // A processor without the instructions refuses int8, streams or not.
        guard labelled.exitCode == 0 else {
            #expect(labelled.exitCode == 3 && labelled.errors.contains("the processor has"), "\(labelled.errors)")
            return
        }
        let (exact, rounded) = (table(try rows("b")), table(labelled.standardOutput))
        let same = zip(exact, rounded).count { $0["corn"] == $1["corn"] && $0["aerial"] == $1["aerial"] }
        #expect(same >= exact.count - 3)
    }

    @Test func whatStreamsCannotDoIsRefusedByName() throws {
        func refused(_ arguments: [String], _ code: Int32, _ reason: String) throws {
            let run = try merge(["--streams", "-o", "x"] + arguments + adapters(["corn"]), in: scratch)
            #expect(run.exitCode == code && run.errors.contains(reason), "\(run.exitCode) \(run.errors)")
            #expect(try !scratch.entries().contains("x"))
        }
        try refused(["--as", "adapter"], 2, "--as adapter holds one merged change: it goes without --streams")
        try refused(["--max-drop", "1", "--calibration", "images"], 2, "it goes without --streams")
        try refused(["--stream-rank", "0"], 2, "--stream-rank must be at least 1, not 0")
        let bare = try merge(["--stream-rank", "8", "-o", "x"] + adapters(["corn"]), in: scratch)
        #expect(bare.exitCode == 2 && bare.errors.contains("--stream-rank needs --streams"))
        try merged("b", ["corn"], ["--method", "base"])
        let export = try runMergeVit(["export", "--bundle", "b", "--task", "corn", "-o", "x"], folder: scratch.url)
        #expect(export.exitCode == 3 && export.errors.contains("which no class of transformers computes"))
        let dump = try runMergeVit(
            ["inspect", "--bundle", "b", "--image", "images/signs/stop.png", "--dump", "d"], folder: scratch.url)
        #expect(dump.exitCode == 3 && dump.errors.contains("a model with task streams has no stages"), "\(dump.errors)")
    }

    @Test func damagedStreamsAreNamed() throws {
        try merged("b", ["corn"], ["--method", "base"])
        let path = scratch.path("b/streams.safetensors")
        let file = try SafetensorsFile(path: path)
        let tensors = try file.entries.map { (name: $0.name, tensor: try file.tensor($0.name)) }
        func refused(_ changed: [(name: String, tensor: Tensor)], _ reason: String) throws {
            try writeSafetensors(changed, to: path)
            let run = try runMergeVit(["label", "--bundle", "b", "images"], folder: scratch.url)
            #expect(run.exitCode == 3 && run.errors.contains("b/streams.safetensors: \(reason)"), "\(run.errors)")
        }
        try refused(Array(tensors.dropLast()), "")
        try refused(tensors + [("wheat.x", Tensor(shape: [1], values: [0]))], "tensor \"wheat.x\" belongs to no task")
        let index = try #require(tensors.firstIndex { $0.name.hasSuffix("q_proj.down") })
        var misshapen = tensors
        misshapen[index].tensor = Tensor(shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
        try refused(misshapen, "corn.layers.0.attention.q_proj: expected (r, 192)")
        var infinite = tensors
        infinite[index].tensor.values[5] = .infinity
        try refused(infinite, "")
    }
}
