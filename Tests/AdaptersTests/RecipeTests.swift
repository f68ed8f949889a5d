import Files
import Foundation
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters

/// Recipes: what is read is what was written, and what cannot be read is named.
@Suite struct RecipeTests {
    @Test(arguments: [
        (#"{}"#, "format"), (#"{"format": "mergevit-bundle", "format_version": 9}"#, "format_version"),
        (#"{"format": "mergevit-bundle", "format_version": 1}"#, "no \"recipe\" object"),
        (#"{"format": "mergevit-bundle", "format_version": 1, "groups": []}"#, "format_version: expected 2"),
        (recipe(#""method": "sum", "align": {}"#), "\"align\" is not known"),
        (recipe(#""method": "magic""#), "method \"magic\" is not known"),
        (recipe(#""method": "sum", "parameters": {"density": 1}"#), "no parameter \"density\""),
        (recipe(#""method": "sum", "parameters": {}, "seed": -1"#), "seed"),
        (
            recipe(#""method": "sum", "parameters": {}, "base": {"path": "b", "sha256": {"../x": ""}}"#),
            "is not a file name"
        ),
        (recipe(#""method": "sum", "parameters": {}, "base": {"path": "b", "sha256": {"x": ""}}"#), "\"adapters\""),
    ])
    func brokenRecipesAreNamed(_ text: String, _ reason: String) throws {
        let path = try SharedFolder.subfolder() + "/bundle.json"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        do {
            _ = try Recipe(contentsOf: path)
            Issue.record("read")
        } catch { #expect("\(error)".hasPrefix(path) && "\(error)".contains(reason), "\(error)") }
    }

    /// Recipes that mergevit 0.1 wrote: choices and flags were numbers, and numbers stood for "no value".
    @Test func recipesOfVersion1AreRead() throws {
        func method(_ name: String) throws -> ConfiguredMethod {
            try Recipe(contentsOf: casePath("recipes_v1/\(name).json")).groups[0].plan.merge
        }
        let ties = try #require(MergeMethod.named("peft-ties-svd"))
        #expect(try method("peft_defaults") == ConfiguredMethod(ties))
        #expect(
            try method("peft_values")
                == ConfiguredMethod(
                    ties, ["majority": "frequency", "rank": 4, "clamp": 0.9, "scale": 0.5]))
        let distilled = try Recipe(contentsOf: casePath("recipes_v1/distill.json")).groups[0].plan
        #expect(try distilled.merge == ConfiguredMethod(.taskArithmetic, ["scale": 0.35]))
        #expect(try distilled.distillation == DistillationSettings(["steps": 2]))
        #expect(distilled.distillation?.rank == nil && distilled.distillation?.flips == true)
        let groups = try Recipe(contentsOf: casePath("recipes_v1/groups.json"))
        #expect(groups.groups.map(\.tasks.count) == [2, 1, 3] || groups.groups.map(\.tasks.count) == [1, 3, 1, 1])
        let tuned = try Recipe(contentsOf: casePath("recipes_v1/tuned.json"))
        #expect(tuned.calibration?.images.map(\.count) == [126, 24] && tuned.calibration?.align == true)
    }

    /// Every kind and form that version 1 had, and what it did not have.
    @Test func valuesOfVersion1HaveTheirKinds() throws {
        func value(_ method: String, _ name: String, _ json: JSON, version: Int) throws -> MergeParameter.Value? {
            let parameters = MergeMethod.named(method)?.parameters ?? DistillationSettings.parameters
            return try #require(parameters.first { $0.name == name }).value(json, version: version)
        }
        for (method, name, json, expected) in [
            ("ties", "density", .double(0.3), .number(0.3)), ("ctm", "rank", .double(16), .count(16)),
            ("peft-svd", "rank", .double(65536), nil), ("peft-svd", "rank", .double(8), .count(8)),
            ("peft-svd", "clamp", .double(1), nil), ("peft-ties", "majority", .double(0), .choice("total")),
            ("peft-ties", "majority", .double(1), .choice("frequency")), ("distill", "flip", .double(0), .flag(false)),
            ("distill", "flip", .double(1), .flag(true)), ("distill", "rank", .double(0), nil),
            ("distill", "area", .double(1), .number(1)),
        ] as [(String, String, JSON, MergeParameter.Value?)] {
            #expect(try value(method, name, json, version: 1) == expected, "\(method) \(name)")
        }
        for (method, name, json, version) in [
            ("peft-ties", "majority", .double(2), 1), ("peft-ties", "majority", .string("total"), 1),
            ("distill", "flip", .double(0.5), 1), ("distill", "flip", .bool(true), 1), ("ctm", "rank", .null, 1),
            ("peft-ties", "majority", .double(1), 2), ("distill", "flip", .double(1), 2),
            ("distill", "rank", .double(0), 2), ("ctm", "rank", .null, 2), ("ctm", "rank", .double(1.5), 2),
        ] as [(String, String, JSON, Int)] {
            #expect(throws: ParameterError.self, "\(method) \(name)") {
                try value(method, name, json, version: version)
            }
        }
        #expect(try value("peft-svd", "rank", .double(65536), version: 2) == .count(65536))
    }

    /// `json` and `init` agree for every method and kind of value, for groups, files and calibration images.
    @Test func whatIsWrittenIsRead() throws {
        let files = Recipe.Files(path: "base", digests: [Recipe.Digest(name: "config.json", sha256: "1234")])
        let entries = ["a", "b"].map { name in
            Recipe.AdapterEntry(
                name: name, weight: 0.5, files: files, labels: name == "a" ? "x/labels.txt" : nil,
                labelsName: name == "a" ? "labels.txt" : nil, activation: name == "a" ? .sigmoid : nil,
                head: name == "b" ? Recipe.HeadFile(path: "head.bin", sha256: "56") : nil)
        }
        let images = CalibrationUse.Images(
            task: "a", source: .folders(["x", "y"]), count: 9, sha256: "78",
            groups: ImageGroups(.name(pattern: "(a)"), labels: [0, 1, 2, 1, 1, 0, 3, 4, 5]))
        let drawn = CalibrationUse.Source.drawn(kind: "k", count: 8, seed: .max)
        var use = CalibrationUse(
            images: [images, .init(task: "b", source: drawn, count: 8, sha256: "9")], align: true, alignRank: 3,
            tune: .labels, maxDrop: 2.5)
        use = try CalibrationUse(
            merging(use.json, ["tasks": .object(["a": alignment, "b": .object(unused)])]), RecipeFields(path: "x"))
        var plans = try MergeMethod.all.map { MergePlan(merge: try ConfiguredMethod($0, seed: 7)) }
        plans += try MergeMethod.all.flatMap { method in
            try method.parameters.map { parameter in
                MergePlan(merge: try ConfiguredMethod(method, [parameter.name: other(parameter)]))
            }
        }
        plans += try DistillationSettings.parameters.map { parameter in
            MergePlan(
                merge: try ConfiguredMethod(.ties),
                distillation: try DistillationSettings([parameter.name: other(parameter)], seed: 3))
        }
        for (index, plan) in plans.enumerated() {
            let next = plans[(index + 1) % plans.count]
            for groups in [[(["a", "b"], plan)], [(["b"], plan), (["a"], plan)], [(["a"], plan), (["b"], next)]] {
                let recipe = Recipe(
                    base: files, entries: entries,
                    groups: groups.map { Recipe.Group(tasks: $0.0, plan: $0.1) }, calibration: use)
                let names: [[String]]? = groups.count > 1 ? groups.map(\.0) : nil
                let text = JSON.object(recipe.json).serialized()
                let read = try Recipe(
                    json: #require(try JSON(parsing: Array(text.utf8)).objectValue), groups: names, path: "x")
                #expect(read == recipe, "\(text)")
            }
        }
    }

    private var alignment: JSON {
        .object([
            "images": .int(9), "ridge": .double(0.1), "same_label_before": .double(0.5), "same_label": .double(0.75),
            "divergence": .double(0.25),
        ])
    }
    private var unused: JSONObject { merging(alignment.objectValue ?? [:], ["aligned": .bool(false)]) }

    private func merging(_ object: JSONObject, _ others: JSONObject) -> JSONObject {
        others.members.reduce(into: object) { $0[$1.key] = $1.value }
    }

    /// A value of a parameter that is not its default.
    private func other(_ parameter: MergeParameter) -> MergeParameter.Value {
        switch parameter.kind {
        case .number(let range, _): .number((range.lowerBound + 3 * range.upperBound) / 4)
        case .count(let range): .count(min(range.upperBound, 5))
        case .choice(let names): .choice(names[names.count - 1])
        case .flag: .flag(parameter.defaultValue != .value(.flag(true)))
        }
    }
}

private func recipe(_ members: String) -> String {
    #"{"format": "mergevit-bundle", "format_version": 1, "recipe": {\#(members)}}"#
}
