import Foundation
import Images
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters
@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// Every JSON file that describes a model, with one value after the other replaced by something absurd: there is an
/// error or a description, never a fault.
@Suite struct HostileJSONTests {
    static let values: [String] = [
        "null", "true", "0", "-1", "1", "0.5", "1e999", "-1e999", "9223372036854775807", "9223372036854775808", "1e15",
        "4294967296",
        #""""#, #""x""#, #""../x""#, #""\u0000""#, #"".*(a+)+$""#, "[]", "[[]]", "[0]", "[1, 2, 3]", "{}",
        #"{"x": {}}"#,
        #"{"": null}"#, "[" + String(repeating: "7,", count: 500) + "7]",
    ]

    /// All that one value replaced, or one key removed, can make of a JSON value.
    static func mutations(of json: JSON) throws -> [JSON] {
        var mutations = try values.map { try JSON(parsing: Array($0.utf8)) }
        switch json {
        case .object(let object):
            for (key, value) in object.members.prefix(40) {
                for changed in [nil] + (try Self.mutations(of: value).map(Optional.some)) {
                    var mutation = object
                    mutation[key] = changed
                    mutations.append(.object(mutation))
                }
            }
        case .array(let elements):
            for index in elements.indices.prefix(4) {
                for changed in try Self.mutations(of: elements[index]) {
                    var mutation = elements
                    mutation[index] = changed
                    mutations.append(.array(mutation))
                }
            }
        default: break
        }
        return mutations
    }

    @Test(arguments: [
        "base/config.json", "base/preprocessor_config.json", "adapters/corn/adapter_config.json",
    ])
    func absurdValuesAreErrorsOrUnderstood(_ name: String) throws {
        let json = try JSON(contentsOf: "\(Samples.folder)/\(name)")
        var (refused, read) = (0, 0)
        for mutation in try HostileJSONTests.mutations(of: json) {
            do {
                switch name {
                case "base/config.json":
                    let configuration = try BackboneConfiguration(mutation, path: "x")
                    _ = try BackboneConfiguration.classNames(mutation, path: "x")
                    // Shapes are computed without overflow.
                    _ = configuration.parameterShapes.count
                case "base/preprocessor_config.json": _ = try Preprocessing(json: mutation, path: "x")
                default: _ = try AdapterConfiguration(mutation, path: "x")
                }
                read += 1
            } catch {
                #expect("\(error)".hasPrefix("x: "), "the file is named: \(error)")
                refused += 1
            }
        }
        #expect(refused > 100 && read > 10, "\(refused) refused, \(read) read")
    }

    /// The same for each family's configuration, and timm's preprocessing, which is in it.
    @Test(arguments: [
        "dinov2_registers", "dinov3_gated", "siglip", "clip", "vit_mae", "ijepa", "beit", "timm_dinov3", "timm_deit3",
    ])
    func absurdConfigurationsOfFamiliesAreErrorsOrUnderstood(_ name: String) throws {
        let folder = "\(Samples.folder)/../Tests/VisionTransformersTests/Cases/\(name)"
        let file = try SafetensorsFile(path: "\(folder)/model.safetensors")
        let tensors = Dictionary(uniqueKeysWithValues: file.entries.map { ($0.name, $0.shape) })
        var (refused, read) = (0, 0)
        for mutation in try HostileJSONTests.mutations(of: JSON(contentsOf: "\(folder)/config.json")) {
            do {
                let configuration = try BackboneConfiguration(mutation, path: "x", tensors: tensors)
                _ = configuration.parameterShapes.count
                if mutation.objectValue?[Preprocessing.timmKey] != nil {
                    _ = try Preprocessing(json: mutation, path: "x")
                }
                read += 1
            } catch {
                #expect("\(error)".hasPrefix("x: "), "the file is named: \(error)")
                refused += 1
            }
        }
        #expect(refused > 100 && read > 10, "\(refused) refused, \(read) read")
    }
}
