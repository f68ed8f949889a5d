import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// `mergevit add` and `mergevit remove`.
@Suite struct TaskChangeTests {
    let scratch: TemporaryFolder

    /// `few` has twelve pictures, enough to fit streams on.
    init() throws {
        scratch = try TemporaryFolder()
        for (index, name) in try Samples.imageNames().prefix(12).enumerated() {
            try scratch.write("few/\(index).png", readBytes(Samples.image(name)))
        }
    }

    func run(_ arguments: [String]) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    /// Runs a command that goes well; what it says.
    @discardableResult
    func done(_ arguments: [String]) throws -> String {
        let run = try run(arguments)
        try #require(run.exitCode == 0 && run.standardOutput.isEmpty, "\(arguments): \(run.errors)")
        return run.errors
    }

    @discardableResult
    func merged(_ name: String, _ tasks: [String], _ arguments: [String]) throws -> String {
        try done(["merge", "--base", Samples.base, "-o", name] + arguments + adapters(tasks))
    }

    func refused(_ arguments: [String], code: Int32 = 3, _ error: String) throws {
        let run = try run(arguments + ["-o", "x"])
        #expect(run.exitCode == code && run.standardOutput.isEmpty)
        #expect(run.errors.hasPrefix("mergevit: error: \(error)"), "\(arguments): \(run.errors)")
        #expect(try !scratch.entries().contains { $0.hasPrefix("x") || $0.hasPrefix(".") })
    }

    /// The rows of a bundle in each precision that the processor has.
    func rows(_ bundle: String) throws -> [String: [UInt8]] {
        var rows: [String: [UInt8]] = [:]
        for precision in ["f32", "bf16", "int8"] {
            let run = try run(["label", "-q", "--bundle", bundle, "--all-scores", "--precision", precision, "few"])
            if run.exitCode == 3, run.errors.contains("the processor has n"), precision != "f32" { continue }
            #expect(run.exitCode == 0, "\(precision): \(run.errors)")
            rows[precision] = run.standardOutput
        }
        return rows
    }

    /// Expects that two bundles have the same files but for some.
    func expectSame(_ one: String, _ other: String, but different: Set<String> = []) throws {
        #expect(try scratch.entries(one) == scratch.entries(other))
        for name in try scratch.entries(one) where !different.contains(name) {
            if name == "group2" {
                try expectSame("\(one)/\(name)", "\(other)/\(name)")
            } else {
                #expect(
                    try scratch.read("\(one)/\(name)") == scratch.read("\(other)/\(name)"), "\(one), \(other): \(name)")
            }
        }
    }

    /// Expects that the columns of some tasks have the same bytes in all rows of two bundles.
    func expectSame(_ tasks: [String], in one: [String: [UInt8]], _ other: [String: [UInt8]]) {
        #expect(one.keys == other.keys)
        for (precision, bytes) in one {
            let (a, b) = (cells(bytes), cells(other[precision] ?? []))
            func columns(_ header: [String]) -> [Int] {
                header.indices.filter { index in
                    tasks.contains { header[index] == $0 || header[index].hasPrefix("\($0)_") }
                        || tasks.contains { header[index].hasPrefix("\($0):") }
                }
            }
            let (left, right) = (columns(a.first ?? []), columns(b.first ?? []))
            #expect(a.count == 13 && b.count == 13 && !left.isEmpty)
            #expect(a.map { row in left.map { row[$0] } } == b.map { row in right.map { row[$0] } }, "\(precision)")
        }
    }

    let fitted = ["--streams", "--method", "base", "--stream-rank", "16", "--calibration", "few", "--align"]

    @Test func aTaskAddedOverTheBaseIsAsIfItWereMergedWithTheOthers() throws {
        let merge = try merged("all", ["corn", "aerial", "trash"], fitted)
        try merged("two", ["corn", "aerial"], fitted)
        let add = ["add", "--bundle", "two", "--calibration", "few", "--align"] + adapters("trash")
        let errors = try done(add + ["-o", "three"])
        // What is said of the task is what the merge says, and the rank is that of the merge.
        let lines = errors.split(separator: "\n")
        let ofTask = { (text: String) in text.split(separator: "\n").filter { $0.hasPrefix("trash: ") } }
        #expect(ofTask(errors) == ofTask(merge) && ofTask(errors).count == 2, "\(errors)")
        #expect(lines.last == "added trash (6), wrote 3 tasks to three", "\(errors)")
        try expectSame("all", "three", but: ["bundle.json"])
        let (all, two, three) = (try rows("all"), try rows("two"), try rows("three"))
        #expect(all == three)
        expectSame(["corn", "aerial"], in: two, three)

        let manifest = try #require(try JSON(parsing: scratch.read("three/bundle.json")).objectValue)
        let recipe = try #require(manifest["recipe"]?.objectValue)
        let addition = try #require(recipe["additions"]?.arrayValue?.first?.objectValue)
        #expect(addition.keys == ["name", "path", "sha256", "streams", "calibration"])
        #expect(addition["streams"]?.objectValue?["rank"]?.intValue == 16)
        let calibration = addition["calibration"]?.objectValue
        #expect(calibration?["images"]?.arrayValue?.first?.objectValue?["sha256"]?.stringValue?.count == 64)
        #expect(calibration?["tasks"]?.objectValue?.keys == ["trash"])

        #expect(
            try done(["remove", "--bundle", "three", "--task", "trash", "-o", "back"]) == """
                removed trash, wrote corn (4), aerial (7) to back

                """)
        try expectSame("two", "back")
        let again = try done(["merge", "--recipe", "three/bundle.json", "-o", "again"])
        #expect(again.contains("with a stream for each, added trash into again: corn (4), aerial (7), trash (6)\n"))
        try expectSame("three", "again")

        // In place, if that is asked for.
        let exists = try run(add + ["-o", "two"])
        #expect(exists.exitCode == 3 && exists.errors == "mergevit: error: two: already exists; --force replaces it\n")
        try expectSame("two", "back")
        try done(add + ["-q", "--force", "-o", "two"])
        try expectSame("three", "two")
        #expect(try scratch.entries() == ["again", "all", "back", "few", "three", "two"])
    }

    @Test func overAnotherMethodTheOthersStayAndTheRecipeHolds() throws {
        try merged("two", ["corn", "aerial"], ["--streams", "--scale", "0.3"])
        let drawn = ["--calibration", "drawn:12", "--seed", "3", "--stream-rank", "4"]
        try done(["add", "-q", "--bundle", "two", "-o", "four"] + drawn + adapters("trash", "flowers"))
        try expectSame("two", "four", but: ["bundle.json", "heads.safetensors", "streams.safetensors"])
        let (two, four) = (try rows("two"), try rows("four"))
        expectSame(["corn", "aerial"], in: two, four)
        try done(["remove", "-q", "--bundle", "four", "--task", "flowers", "--task", "corn", "-o", "left"])
        let left = try rows("left")
        expectSame(["aerial", "trash"], in: four, left)
        #expect(cells(left["f32"] ?? []).first?.prefix(3) == ["path", "status", "aerial"])
        for name in ["four", "left"] {
            try done(["merge", "-q", "--recipe", "\(name)/bundle.json", "-o", "\(name)-again"])
            try expectSame(name, "\(name)-again")
        }
        // The name of a task that was removed is free.
        try done(["add", "-q", "--bundle", "left", "-o", "new", "--adapter", "corn=\(Samples.adapter("clothing"))"])
        try done(["merge", "-q", "--recipe", "new/bundle.json", "-o", "new-again"])
        try expectSame("new", "new-again")
        #expect(cells(try rows("new")["f32"] ?? []).first?.contains("corn:shirt") == true)
    }

    /// Trained patch tokens are read by an added task as those of any other merge.
    @Test func tasksAreAddedToADistilledMerge() throws {
        let distill = ["--method", "distill", "--streams", "--steps", "2", "--calibration", "few", "-q"]
        try merged("two", ["corn", "aerial"], distill)
        try done(["add", "-q", "--bundle", "two", "-o", "three"] + adapters("trash"))
        try expectSame("two", "three", but: ["bundle.json", "heads.safetensors", "streams.safetensors"])
        try done(["merge", "-q", "--recipe", "three/bundle.json", "-o", "again"])
        try expectSame("three", "again")
        expectSame(["corn", "aerial"], in: try rows("two"), try rows("three"))
    }

    @Test func tasksAreRemovedFromBundlesWithoutStreams() throws {
        try merged("one", ["corn", "aerial", "trash"], ["--scale", "0.3"])
        try done(["remove", "-q", "--bundle", "one", "--task", "aerial", "-o", "two"])
        expectSame(["corn", "trash"], in: try rows("one"), try rows("two"))
        try expectSame("one", "two", but: ["bundle.json", "heads.safetensors"])
        // A backbone that no task reads goes; the next takes its place.
        try merged("groups", ["corn", "aerial", "trash"], ["--groups", "corn+aerial,trash"])
        try scratch.write("groups/README.md", "ours")
        let all = try rows("groups")
        try done(["remove", "-q", "--bundle", "groups", "--task", "corn", "-o", "second"])
        #expect(
            try scratch.entries("second") == [
                "README.md", "bundle.json", "config.json", "heads.safetensors", "model.safetensors",
                "preprocessor_config.json",
            ])
        #expect(try scratch.read("second/model.safetensors") == scratch.read("groups/group2/model.safetensors"))
        expectSame(["aerial", "trash"], in: all, try rows("second"))
        for name in ["two", "second"] {
            try done(["merge", "-q", "--recipe", "\(name)/bundle.json", "-o", "\(name)-again"])
        }
        try expectSame("two", "two-again")
        try scratch.remove("second/README.md")
        try expectSame("second", "second-again")
        try refused(
            ["merge", "--recipe", "two/bundle.json", "--as", "adapter"], "tasks were added or removed after the merge")
    }

    @Test func whatCannotBeAddedIsRefusedByName() throws {
        try merged("b", ["corn", "aerial"], ["--streams", "--method", "base"])
        let add = ["add", "--bundle", "b"]
        try refused(
            add + adapters("corn"),
            "b: has a task \"corn\" already; give the new one another name, or remove the old one first: mergevit "
                + "remove --bundle b --task corn -o NEW\n")
        try refused(
            ["merge", "--base", "b"] + adapters("trash"),
            "b: is a merged model with the tasks corn, aerial, which a merge over it would drop; add the new adapters "
                + "to it: mergevit add --bundle b --adapter NAME=DIR -o NEW\n")
        try refused(
            ["add", "--bundle", Samples.base] + adapters("trash"), "\(Samples.base): a checkpoint, not a bundle")
        try refused(["add", "--bundle", Samples.adapter("corn")] + adapters("trash"), "\(Samples.adapter("corn")): ")
        try merged("groups", ["corn", "aerial"], ["--streams", "--method", "base", "--groups", "corn+aerial"])
        try refused(["add", "--bundle", "groups"] + adapters("trash"), "groups: has 2 backbones")
        try scratch.write("b/int8.safetensors", "x")
        for command in [add + adapters("trash"), ["remove", "--bundle", "b", "--task", "corn"]] {
            try refused(
                command, "b/int8.safetensors: records how many labels the bundle's tasks keep in int8, which holds")
        }
        try scratch.remove("b/int8.safetensors")
        try scratch.createFolder("nine")
        for index in 0..<9 { try scratch.write("nine/\(index).png", scratch.read("few/\(index).png")) }
        try refused(add + adapters("trash") + ["--calibration", "nine"], "trash: 9 calibration images; at least 10")
        try refused(
            ["merge", "-q", "--base", Samples.base, "--align", "--calibration", "trash=few"]
                + adapters("corn", "trash"),
            "corn: no calibration images, which every task needs if one has some (--calibration)\n")
    }

    @Test func adaptersThatDoNotFitTheBundlesBaseAreRefused() throws {
        try scratch.copy(Samples.base, to: "base")
        let merge = ["merge", "-q", "--base", "base", "--streams", "--method", "base", "-o", "b"]
        try done(merge + adapters("corn"))
        // The base need not be there any more.
        let record = """
            {"format": "mergevit-training", "base": {"path": "base", "sha256": {"model.safetensors": "\(
                try runProgram("/usr/bin/sha256sum", [scratch.path("base/model.safetensors")]).output.prefix(64))"}}}
            """
        try scratch.remove("base")
        try scratch.copy(Samples.adapter("trash"), to: "same")
        try scratch.write("same/training.json", record)
        #expect(
            try done(["add", "--bundle", "b", "--adapter", "trash=same", "-o", "two"]).hasPrefix("added trash (6)"))
        try scratch.copy(Samples.adapter("trash"), to: "other")
        let digest = record.split(separator: "\"").first { $0.count == 64 } ?? ""
        try scratch.write(
            "other/training.json", record.replacing(digest, with: String(repeating: "0", count: 64)))
        let add = ["add", "--bundle", "b", "--adapter", "trash=other"]
        try refused(
            add,
            "other: was trained over another base (training.json: model.safetensors 000000000000..., here "
                + "\(digest.prefix(12))...); the bundle was made over base, or --allow-other-base to use it all the "
                + "same"
        )
        let allowed = try done(add + ["--allow-other-base", "-o", "three"])
        #expect(allowed.contains("other was trained over another base"), "\(allowed)")
        try scratch.copy(Samples.adapter("trash"), to: "dora")
        let configuration = try #require(scratch.content("dora/adapter_config.json"))
        try scratch.write(
            "dora/adapter_config.json", configuration.replacing("\"use_dora\": false", with: "\"use_dora\": true"))
        try refused(["add", "--bundle", "b", "--adapter", "trash=dora"], "dora")
    }

    @Test func wrongUsageIsNamed() throws {
        let add = ["add", "--bundle", "b"]
        for (arguments, error) in [
            (add, "Give at least one --adapter NAME=DIR."),
            (add + ["--adapter", "a=x", "--adapter", "a=y"], "--adapter a=... is given twice."),
            (add + ["--adapter", "path=x"], "--adapter: task name \"path\""),
            (add + ["--adapter", "a=x", "--labels", "b=y"], "--labels b=...: there is no --adapter of that name"),
            (add + ["--adapter", "a=x", "--stream-rank", "0"], "--stream-rank must be at least 1, not 0."),
            (add + ["--adapter", "a=x", "--align"], "--align needs --calibration."),
            (add + ["--adapter", "a=x", "--group-by", "(.)"], "--group-by needs --calibration or --holdout."),
            (add + ["--adapter", "a=x", "--calibration", "b=y"], "--calibration b=...: there is no task of that name"),
            (["remove", "--bundle", "b"], "Give at least one --task NAME."),
            (["remove", "--bundle", "b", "--task", "a", "--task", "a"], "--task a is given twice."),
        ] {
            try refused(arguments, code: 2, error)
        }
        try merged("b", ["corn", "aerial"], ["--streams", "--method", "base"])
        try refused(
            ["remove", "--bundle", "b", "--task", "aeriel"], code: 2,
            "the model has no task \"aeriel\"; its tasks are: corn, aerial Did you mean 'aerial'?")
        try refused(
            ["remove", "--bundle", "b", "--task", "corn", "--task", "aerial"],
            "b: would have no task left without corn, aerial; delete the folder instead")
    }

    /// The manifest of a bundle is not trusted.
    @Test func damagedChangesAreNamed() throws {
        try merged("b", ["corn", "aerial"], ["--streams", "--method", "base"])
        try done(["add", "-q", "--bundle", "b", "-o", "c"] + adapters("trash"))
        let manifest = try #require(scratch.content("c/bundle.json"))
        for (old, new, reason) in [
            (
                "\"additions\": [", "\"removed\": [\"wheat\"], \"additions\": [",
                "removed: \"wheat\" is no task of the merge"
            ),
            (
                "\"name\": \"trash\",\n        \"path\"", "\"name\": \"corn\",\n        \"path\"",
                "additions: a second task"
            ),
            ("\"additions\": [", "\"additions\": [1, ", "additions: expected objects"),
            ("\"additions\": [", "\"removed\": 1, \"additions\": [", "removed: expected a list of tasks"),
            ("\"additions\": [", "\"renamed\": [], \"additions\": [", "recipe: no \"renamed\" object"),
            ("\"additions\": [", "\"renamed\": {\"corn\": 1}, \"additions\": [", "renamed: corn: expected the name"),
            (
                "\"additions\": [", "\"renamed\": {\"wheat\": \"x\"}, \"additions\": [",
                "renamed: \"wheat\" is no task of the merge, or was removed"
            ),
            (
                "\"additions\": [", "\"renamed\": {\"corn\": \"aerial\"}, \"additions\": [",
                "renamed: a second task \"aerial\""
            ),
            (
                "\"streams\": {\n          \"rank\": 64\n        }", "\"reads\": \"x\"",
                "additions: reads: expected \"merge\" or \"own\""
            ),
        ] {
            #expect(manifest.contains(old), "\(old)")
            try scratch.write("c/bundle.json", manifest.replacing(old, with: new))
            try refused(["merge", "--recipe", "c/bundle.json"], "c/bundle.json: \(reason)")
        }
        try scratch.write("c/bundle.json", manifest.replacing("\"recipe\"", with: "\"recip\""))
        for command in [["add"] + adapters("flowers"), ["remove", "--task", "corn"]] {
            try refused(command + ["--bundle", "c"], "c/bundle.json: the manifest: no \"recipe\" object")
        }
    }
}
