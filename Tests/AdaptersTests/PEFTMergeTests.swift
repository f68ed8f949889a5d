import Adapters
import Compute
import Files
import Tensors
import Testing
import VisionTransformers

/// Merges against those that PEFT 0.21.2 made of the same adapters.
@Suite struct PEFTMergeTests {
    let base: Checkpoint
    init() throws { base = try Checkpoint(folder: casePath("base")) }

    @Test(arguments: [
        "cat", "linear", "svd", "ties", "ties_freq", "ties_svd", "magnitude_prune", "magnitude_prune_svd",
    ])
    func mergesMatchPEFT(_ name: String) throws {
        let recipe = try #require(try JSON(contentsOf: casePath("peft_\(name).json")).objectValue)
        let type = try #require(recipe["combination_type"]?.stringValue)
        let method = try #require(MergeMethod.named("peft-" + type.split(separator: "_").joined(separator: "-")))
        var values: [String: MergeParameter.Value] = [:]
        values["density"] = (recipe["density"]?.doubleValue).map { .number($0) }
        values["rank"] = (recipe["svd_rank"]?.intValue).map { .count($0) }
        if recipe["majority_sign_method"]?.stringValue == "frequency" { values["majority"] = "frequency" }
        let names = try #require(recipe["adapters"]?.arrayValue).compactMap(\.stringValue)
        let weights = try #require(recipe["weights"]?.arrayValue).compactMap(\.doubleValue)
        let adapters = try zip(names, weights).map { name, weight in
            WeightedAdapter(try Adapter(task: name, path: casePath(name), base: base), weight: weight)
        }
        #expect(adapters.count == 3)
        let merged = try MergedBackbone(
            base: base, adapters: adapters, merge: ConfiguredMethod(method, values))
        let expected = try SafetensorsFile(path: casePath("peft_\(name).safetensors"))
        #expect(expected.entries.count == 6 && merged.deltas.count == 6)
        var largest = 0.0
        for entry in expected.entries {
            let delta = try #require(merged.deltas[BackboneFamily.vit.names.canonical(entry.name)])
            largest = max(largest, largestDifference(delta.dense.values, try expected.tensor(entry.name).values))
        }
        #expect(largest < 1e-5)
    }
}
