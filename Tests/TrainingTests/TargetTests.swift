import Foundation
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// Which modules are named by what users write.
@Suite struct TargetTests {
    private func configuration(_ change: (inout BackboneConfiguration) -> Void = { _ in }) throws
        -> BackboneConfiguration
    {
        var configuration = try Checkpoint(folder: ReferenceRun.file("base")).configuration
        configuration.layers = 3
        change(&configuration)
        return configuration
    }

    private func modules(_ targets: String, layers: String? = nil) throws -> [String] {
        try LoRATargets(targets, layers: layers).modules(of: configuration())
    }

    private func failure(_ targets: String, layers: String? = nil, gated: Bool = false) -> String? {
        do {
            _ = try LoRATargets(targets, layers: layers).modules(of: configuration { $0.isGated = gated })
            return nil
        } catch { return "\(error)" }
    }

    @Test func namesAndGroupsSelectModules() throws {
        #expect(
            try modules("query,value", layers: "1")
                == ["layers.1.attention.q_proj", "layers.1.attention.v_proj"])
        #expect(try modules("value,query,query") == modules("query,value"))
        #expect(try modules("attention").count == 3 * 4 && modules("mlp").count == 3 * 2)
        #expect(try modules("all-linear").count == 3 * 6)
        #expect(try modules("output,fc2", layers: "0,2-2") == modules("output,fc2", layers: "0,2"))
        #expect(try modules("fc1", layers: "0-1") == ["layers.0.mlp.fc1", "layers.1.mlp.fc1"])
    }

    @Test func gatedMLPsHaveTheirOwnNames() throws {
        let gated = try configuration { $0.isGated = true }
        #expect(try LoRATargets("mlp").modules(of: gated).count == 3 * 3)
        #expect(
            failure("fc1", gated: true)
                == "the base has no \"fc1\"; it has query, key, value, output, gate, up, down")
    }

    @Test func whatCannotBeUnderstoodIsNamed() {
        #expect(failure("query,q")?.hasPrefix("\"q\" is not one of query, key, value") == true)
        #expect(failure("")?.hasPrefix("\"\" is not one of") == true)
        for layers in ["", "a", "1-", "-1", "2-1", "0-1-2", "0,,1"] {
            #expect(failure("query", layers: layers)?.contains("is not a number or a range such as 0-5") == true)
        }
        #expect(failure("query", layers: "1-3") == "the base has layers 0 to 2, not 3")
    }
}
