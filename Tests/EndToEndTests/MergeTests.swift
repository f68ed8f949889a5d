import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Runs `merge` over the sample base.
func merge(_ arguments: [String], in scratch: TemporaryFolder) throws -> Finished {
    try runMergeVit(["merge", "--base", Samples.base] + arguments, folder: scratch.url)
}

/// What a merge is.
@Suite struct MergeTests {
    let scratch: TemporaryFolder
    static let files = [
        "bundle.json", "config.json", "heads.safetensors", "model.safetensors", "preprocessor_config.json",
    ]

    init() throws { scratch = try TemporaryFolder() }

    /// A merge that goes well; the values of its bundle's tensors by name.
    @discardableResult
    func merged(_ name: String, _ arguments: [String]) throws -> [String: Data] {
        let run = try merge(arguments + ["-q", "-o", name], in: scratch)
        try #require(run.exitCode == 0 && run.standardOutput.isEmpty && run.errors.isEmpty, "\(run.errors)")
        return try values(scratch.path("\(name)/model.safetensors"))
    }

    /// The bytes of a file's tensors, all of which are 32-bit floats.
    func values(_ path: String) throws -> [String: Data] {
        let file = try SafetensorsFile(path: path)
        #expect(file.entries.allSatisfy { $0.type == .float32 })
        return Dictionary(uniqueKeysWithValues: file.entries.map { ($0.name, Data(file.bytes(of: $0))) })
    }

    func floats(_ bytes: Data?) -> [Float] { bytes?.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } ?? [] }

    /// The largest difference between the tensors of two bundles.
    func distance(_ a: [String: Data], _ b: [String: Data]) -> Float {
        guard a.keys == b.keys else { return .infinity }
        var largest: Float = 0
        for (name, bytes) in a where bytes != b[name] {
            largest = max(largest, zip(floats(bytes), floats(b[name])).map { abs($0 - $1) }.max() ?? .infinity)
        }
        return largest
    }

    @Test func theSameMergeGivesTheSameBytes() throws {
        let arguments = adapters("corn", "traffic", "aerial") + ["--scale", "0.4", "--weight", "corn=0.5"]
        try merged("a", arguments)
        try merged("b", arguments)
        #expect(try scratch.entries("a") == Self.files && scratch.entries() == ["a", "b"])
        for name in Self.files { #expect(try scratch.read("a/\(name)") == scratch.read("b/\(name)"), "\(name)") }
        let run = try merge(arguments + ["-o", "c"], in: scratch)
        #expect(run.exitCode == 0 && run.standardOutput.isEmpty)
        #expect(run.errors == "merged 3 adapters by sum at scale 0.4 into c: corn (4), traffic (43), aerial (7)\n")
    }

    @Test func weightZeroIsNotThereAndWeightOneIsWhole() throws {
        let alone = try merged("alone", adapters("corn"))
        let beside = try merged("beside", adapters("corn", "trash") + ["--weight", "trash=0"])
        #expect(alone == beside)
        #expect(try merged("one", adapters("corn") + ["--weight", "corn=1", "--scale", "1"]) == alone)
        let expected = table(try label(scratch.path("alone"), ["images"], folder: Samples.folder))
        let found = table(try label(scratch.path("beside"), ["--tasks", "corn", "images"], folder: Samples.folder))
        for (row, wanted) in zip(found, expected) {
            #expect(row["corn"] == wanted["corn"])
            #expect(near(row["corn_score"], wanted["corn_score"], 2e-6))
        }
        // All at zero is the base.
        let base = try values(Samples.base + "/model.safetensors")
        for arguments in [["--weight", "corn=0"], ["--scale", "0"]] {
            for (name, values) in try merged("none\(arguments.count)\(arguments[0])", adapters("corn") + arguments) {
                #expect(base["vit.\(name)"] == values, "\(name)")
            }
        }
    }

    @Test func sumsAreLinearAndTheirOrderDoesNotMatter() throws {
        let base = try values(Samples.base + "/model.safetensors")
        let corn = try merged("corn", adapters("corn"))
        let trash = try merged("trash", adapters("trash"))
        let both = try merged("both", adapters("corn", "trash") + ["--weight", "trash=-0.5", "--scale", "0.5"])
        let turned = try merged("turned", adapters("trash", "corn") + ["--weight", "trash=-0.5", "--scale", "0.5"])
        #expect(distance(both, turned) < 1e-7)
        var changed = 0
        for (name, bytes) in both where bytes != base["vit.\(name)"] {
            changed += 1
            let (values, original) = (floats(bytes), floats(base["vit.\(name)"]))
            let (one, other) = (floats(corn[name]), floats(trash[name]))
            try #require([original, one, other].allSatisfy { $0.count == values.count })
            var largest: Float = 0
            for index in values.indices {
                let start = original[index]
                let sum = start + 0.5 * (one[index] - start) - 0.25 * (other[index] - start)
                largest = max(largest, abs(values[index] - sum))
            }
            #expect(largest < 1e-6, "\(name)")
        }
        // Query and value of each of the six layers, and nothing else.
        #expect(changed == 12)
    }

    @Test func headsAreNeverMerged() throws {
        try merged("bundle", adapters("corn", "trash") + ["--scale", "0.1"])
        let heads = try values(scratch.path("bundle/heads.safetensors"))
        #expect(Set(heads.keys) == ["corn.weight", "corn.bias", "trash.weight", "trash.bias"])
        for task in ["corn", "trash"] {
            for (name, values) in try values(Samples.adapter(task) + "/adapter_model.safetensors")
            where name.contains("classifier") {
                #expect(heads[task + (name.hasSuffix("bias") ? ".bias" : ".weight")] == values)
            }
        }
    }

    @Test func theRecipeSaysWhatWentIn() throws {
        try merged("bundle", adapters("corn", "trash") + ["--scale", "0.25", "--weight", "corn=-2"])
        let manifest = try #require(try JSON(contentsOf: scratch.path("bundle/bundle.json")).objectValue)
        #expect(manifest["format_version"] == .int(1))
        let recipe = try #require(manifest["recipe"]?.objectValue)
        #expect(recipe["method"]?.stringValue == "sum")
        #expect(recipe["parameters"]?.objectValue?["scale"]?.doubleValue == 0.25)
        let items = try #require(recipe["adapters"]?.arrayValue?.compactMap { $0.objectValue })
        #expect(items.map { $0["name"]?.stringValue } == ["corn", "trash"])
        #expect(items.map { $0["weight"]?.doubleValue } == [-2, 1])
        // The checksum is the one that anybody's tool gives.
        let sums = try runProgram("/usr/bin/sha256sum", [Samples.adapter("corn") + "/adapter_model.safetensors"])
        let sum = String(sums.output.prefix(64))
        #expect(items[0]["sha256"]?.objectValue?["adapter_model.safetensors"]?.stringValue == sum)
        #expect(
            items[0]["sha256"]?.objectValue?.keys == [
                "adapter_config.json", "adapter_model.safetensors", "labels.json",
            ])
    }

    /// Three adapters at the default scale are worth a word; a scale that was asked for is not.
    /// A recipe that mergevit 0.1 wrote, with numbers for the choice and for the rank.
    @Test func aRecipeOfVersion1MakesTheSameMerge() throws {
        try FileManager.default.createSymbolicLink(
            atPath: scratch.path("samples"), withDestinationPath: Samples.folder)
        let again = try runMergeVit(
            "merge", "-q", "--recipe", Samples.testCase("recipe_v1.json"), "-o", "again", folder: scratch.url)
        try #require(again.exitCode == 0, "\(again.errors)")
        let run = try runMergeVit(
            "merge", "-q", "--base", "samples/base", "--adapter", "traffic=samples/adapters/traffic", "--adapter",
            "trash=samples/adapters/trash", "--method", "peft-ties-svd", "--set", "majority=frequency", "--set",
            "rank=4",
            "--set", "clamp=0.9", "--scale", "0.5", "-o", "new", folder: scratch.url)
        try #require(run.exitCode == 0, "\(run.errors)")
        for file in ["model.safetensors", "bundle.json"] {
            #expect(try scratch.read("again/\(file)") == scratch.read("new/\(file)"), "\(file)")
        }
        let recipe = try JSON(contentsOf: scratch.path("new/bundle.json")).objectValue?["recipe"]?.objectValue
        #expect(recipe?["format_version"] == .int(2))
        #expect(recipe?["parameters"]?.objectValue?["majority"] == "frequency")
    }

    @Test func addingUpManyAdaptersAsTheyAreIsSpokenOf() throws {
        let three = adapters("corn", "trash", "aerial")
        let plain = try merge(three + ["-o", "plain"], in: scratch)
        #expect(plain.exitCode == 0)
        #expect(plain.errors.contains("\nmergevit: three or more adapters added up as they are lose much accuracy"))
        let scaled = try merge(three + ["--scale", "1", "-o", "scaled"], in: scratch)
        #expect(scaled.exitCode == 0 && !scaled.errors.contains("lose much accuracy"))
        #expect(try scratch.read("plain/model.safetensors") == scratch.read("scaled/model.safetensors"))
        let two = try merge(adapters("corn", "trash") + ["-o", "two"], in: scratch)
        #expect(two.exitCode == 0 && !two.errors.contains("lose much accuracy"))
    }
}

/// Tasks with a head alone, and class names.
@Suite struct MergeHeadTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    @Test func headsAloneAreTasksOverTheBase() throws {
        let heads = Samples.tasks.flatMap { task in
            ["--adapter", "\(task)=\(Samples.head(task))", "--labels", "\(task)=\(Samples.adapter(task))/labels.json"]
        }
        let run = try merge(heads + ["-o", "heads"], in: scratch)
        #expect(run.exitCode == 0)
        #expect(
            run.errors
                == "merged 6 adapters by sum at scale 1.0 into heads: "
                + Samples.tasks.map { "\($0) (\(Samples.classes[$0] ?? 0))" }.joined(separator: ", ") + "\n")
        // The base itself, whatever the scale.
        let plain = try merge(["-q", "--base-alone", "-o", "plain"], in: scratch)
        #expect(plain.exitCode == 0)
        #expect(try scratch.read("heads/model.safetensors") == scratch.read("plain/model.safetensors"))
        let rows = table(try label(scratch.path("heads"), ["images"], folder: Samples.folder))
        #expect(rows.count == Samples.imageCount && rows.allSatisfy { $0["status"] == "ok" })
        #expect(rows.allSatisfy { row in Samples.tasks.allSatisfy { row[$0]?.isEmpty == false } })
        // The corn head alone tells healthy leaves from sick ones on the drawings.
        #expect(rows.first { $0["path"] == "images/leaves/healthy.jpg" }?["corn"] == "healthy")
    }

    @Test func withoutAdaptersTheBasesOwnHeadIsTheTask() throws {
        let run = try merge(["--base-alone", "-o", "plain"], in: scratch)
        #expect(run.exitCode == 0)
        #expect(run.errors == "merged 0 adapters by sum at scale 1.0 into plain: label (200)\n")
        let merged = try label(scratch.path("plain"), ["images"], folder: Samples.folder)
        #expect(merged == (try label(Samples.base, ["images"], folder: Samples.folder)))
    }

    @Test func aBaseWithoutAHeadGivesNoBundle() throws {
        try scratch.copy(Samples.only("corn"), to: "headless")
        try scratch.remove("headless/bundle.json")
        let run = try runMergeVit(
            ["merge", "--base", "headless", "--base-alone", "-o", "none"], folder: scratch.url)
        #expect(run.exitCode == 3)
        #expect(run.errors.hasPrefix("mergevit: error: headless: has no classifier, so the bundle would have no task"))
        #expect(try scratch.entries() == ["headless"])
    }

    @Test func namesThatNobodyGaveArePlaceholdersWithAWarning() throws {
        let run = try merge(["--adapter", "leaf=\(Samples.head("corn"))", "-o", "bundle"], in: scratch)
        #expect(run.exitCode == 0)
        #expect(
            run.errors.hasPrefix(
                "mergevit: warning: leaf: no class names beside \(Samples.head("corn")); they will be LABEL_0, LABEL_1")
        )
        let rows = cells(
            try label(scratch.path("bundle"), ["--all-scores", "images/leaves"], folder: Samples.folder))
        #expect(rows[0].dropFirst(4) == ["leaf:LABEL_0", "leaf:LABEL_1", "leaf:LABEL_2", "leaf:LABEL_3"])
        let quiet = try merge(["-q", "--adapter", "leaf=\(Samples.head("corn"))", "-o", "quiet"], in: scratch)
        #expect(quiet.exitCode == 0 && quiet.errors.isEmpty)
    }

    @Test func givenNamesReplaceThoseBeside() throws {
        try scratch.write("names.txt", "B\nC, \"x\"\nG\nH\n")
        let corn = ["--adapter", "corn=\(Samples.adapter("corn"))"]
        let run = try merge(corn + ["-q", "--labels", "corn=names.txt", "-o", "bundle"], in: scratch)
        #expect(run.exitCode == 0 && run.errors.isEmpty)
        let found = cells(try label(scratch.path("bundle"), ["images/leaves"], folder: Samples.folder))
        #expect(found.dropFirst().map { $0[2] } == ["B", "H", "C, \"x\""])
        try scratch.write("names.txt", "B\nC\nG\n")
        let short = try merge(corn + ["--labels", "corn=names.txt", "-o", "short"], in: scratch)
        #expect(short.exitCode == 3)
        #expect(short.errors == "mergevit: error: names.txt: 3 class names for a head of 4 classes\n")
        #expect(try scratch.entries() == ["bundle", "names.txt"])
    }
}

/// Merges that are refused: nothing is written then, and nothing left behind.
@Suite struct MergeRefusalTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    @Test(arguments: [
        (["--weight", "maize=1"], "--weight maize=...: there is no --adapter of that name; there are corn."),
        (["--labels", "maize=x"], "--labels maize=...: there is no --adapter of that name; there are corn."),
        (["--weight", "corn=heavy"], "'corn=heavy' is invalid for '--weight <NAME=W>': expected a finite number"),
        (["--weight", "corn=inf"], "'corn=inf' is invalid for '--weight <NAME=W>': expected a finite number"),
        (["--weight", "corn=1", "--weight", "corn=2"], "--weight corn=... is given twice."),
        (["--adapter", "corn=x"], "--adapter corn=... is given twice."),
        (["--adapter", "a/b=x"], "task name \"a/b\""), (["--adapter", "status=x"], "task name \"status\""),
        (["--adapter", "corn"], "'corn'"), (["--adapter", "x="], "'x='"), (["--adapter", "=x"], "'=x'"),
        (["--method", "bogus"], "--method \"bogus\" is not known; known are sum"),
        (["--method", "tise"], "--method \"tise\" is not known (did you mean \"ties\"?); known are sum"),
        (["--method", "ties", "--set", "densty=1"], "no parameter \"densty\" (did you mean \"density\"?)"),
        (["--method", "ties", "--set", "density=x"], "--set density=x: expected a number above 0, up to 1."),
        (
            ["--method", "peft-ties", "--set", "majority=frequncy"],
            "--set majority=frequncy: expected total or frequency; did you mean frequency?"
        ),
        (["--method", "peft-ties", "--set", "majority=1"], "--set majority=1: expected total or frequency."),
        (["--scale", "nan"], "--scale nan: expected a number from -1000 to 1000."), (["--scale", "much"], "'much'"),
    ])
    func wrongUsageIsExitCode2(_ arguments: [String], _ reason: String) throws {
        let run = try merge(["--adapter", "corn=\(Samples.adapter("corn"))", "-o", "out"] + arguments, in: scratch)
        #expect(run.exitCode == 2 && run.standardOutput.isEmpty)
        #expect(run.errors.hasPrefix("mergevit: error: ") && run.errors.contains(reason), "\(run.errors)")
        #expect(try scratch.entries().isEmpty)
    }

    @Test func namesThatAreNotTextAreRefused() throws {
        let words = ["merge", "--base", Samples.base, "-o"].map { Array($0.utf8) }
        let merge = try runMergeVit(words + [[0xFF]], folder: scratch.url)
        #expect(merge.exitCode == 2 && merge.errors.contains("must be UTF-8"))
        let inspect = try runMergeVit([Array("inspect".utf8), [0xFF]], folder: scratch.url)
        #expect(inspect.exitCode == 2 && inspect.errors.contains("must be UTF-8"))
        #expect(try scratch.entries().isEmpty)
    }

    /// An adapter with something wrong, made of the one for corn.
    @Test(arguments: ["cut", "no weights", "settings", "another model's weights", "labels", "not a folder"])
    func badAdaptersAreNamed(_ what: String) throws {
        try scratch.copy(Samples.adapter("corn"), to: "corn")
        let weights = "corn/adapter_model.safetensors"
        var named = weights
        switch what {
        case "cut": try scratch.write(weights, Array(try scratch.read(weights).dropLast(1)))
        case "no weights":
            try scratch.remove(weights)
            named = "corn: neither adapter_model.safetensors"
        case "settings":
            named = "corn/adapter_config.json"
            let text = String(decoding: try scratch.read(named), as: UTF8.self)
            try scratch.write(named, Array(text.replacing(#""r": 16"#, with: #""r": 8"#).utf8))
            named = weights
        case "another model's weights":
            try scratch.remove(weights)
            try scratch.copy(Samples.base + "/model.safetensors", to: weights)
            named = "corn/adapter_config.json: target_modules names layers.0.attention.q_proj"
        case "labels":
            named = "corn/labels.json"
            try scratch.write(named, Array(#"["a", "b", "a", "c"]"#.utf8))
        default:
            try scratch.remove("corn")
            try scratch.write("corn", [])
            named = "corn: expected a PEFT folder"
        }
        let run = try merge(["--adapter", "corn=corn", "-o", "out"], in: scratch)
        #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
        #expect(run.errors.hasPrefix("mergevit: error: \(named)"), "\(run.errors)")
        #expect(try scratch.entries() == ["corn"])
    }

    @Test func badBasesAreNamed() throws {
        for (base, named) in [
            ("nowhere", "nowhere: No such file or directory"),
            (Samples.adapter("corn"), "corn: an adapter, not a base"),
        ] {
            let run = try runMergeVit(["merge", "--base", base, "--base-alone", "-o", "out"], folder: scratch.url)
            #expect(run.exitCode == 3 && run.errors.contains(named), "\(run.errors)")
        }
        // Found out only when the weights are written already.
        try scratch.copy(Samples.base, to: "base")
        try scratch.remove("base/preprocessor_config.json")
        let run = try runMergeVit(["merge", "--base", "base", "--base-alone", "-o", "out"], folder: scratch.url)
        #expect(run.exitCode == 3)
        #expect(run.errors.hasPrefix("mergevit: error: base/preprocessor_config.json: No such file or directory; "))
        #expect(try scratch.entries() == ["base"])
    }

    @Test func placesThatCannotBeWrittenAreNamed() throws {
        try scratch.write("file", "x")
        for (place, reason) in [
            ("none/out", "none/out: cannot be written: No such file or directory"),
            ("file", "file: already exists; --force replaces it"), ("/proc/x", "/proc/x: cannot be written: "),
        ] {
            let run = try merge(["--base-alone", "-o", place], in: scratch)
            #expect(run.exitCode == 3 && run.errors.hasPrefix("mergevit: error: \(reason)"), "\(run.errors)")
        }
        #expect(try scratch.entries() == ["file"])
    }

    @Test func onlyABundleIsReplacedAndOnlyWhenAsked() throws {
        let corn = ["-q", "--adapter", "corn=\(Samples.adapter("corn"))"]
        #expect(try merge(corn + ["-o", "out"], in: scratch).exitCode == 0)
        let first = try scratch.read("out/bundle.json")
        try scratch.write("out/left.txt", "x")
        let again = try merge(corn + ["-o", "out/", "--scale", "0.5"], in: scratch)
        #expect(again.exitCode == 3 && again.errors == "mergevit: error: out: already exists; --force replaces it\n")
        #expect(try scratch.read("out/bundle.json") == first)
        // A failing merge leaves the old bundle as it was.
        let failing = try merge(["--force", "--adapter", "x=/nowhere", "-o", "out"], in: scratch)
        #expect(failing.exitCode == 3)
        #expect(try scratch.read("out/bundle.json") == first && scratch.entries() == ["out"])
        let forced = try merge(corn + ["-o", "out/", "--scale", "0.5", "--force"], in: scratch)
        #expect(forced.exitCode == 0, "\(forced.errors)")
        #expect(try scratch.read("out/bundle.json") != first)
        #expect(try scratch.entries("out") == MergeTests.files && scratch.entries() == ["out"])
        // What is no bundle is never replaced.
        try scratch.write("mine/photo.png", "x")
        let mine = try merge(corn + ["-o", "mine", "--force"], in: scratch)
        #expect(mine.exitCode == 3)
        #expect(mine.errors == "mergevit: error: mine: already exists and is not a bundle; it is not replaced\n")
        #expect(try scratch.entries("mine") == ["photo.png"] && scratch.entries() == ["mine", "out"])
    }
}
