import Files
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Bundles with a stream of each task.
@Suite struct StreamBundleTests {
    /// A task that is asked for alone gets the bits that it has beside others, and the others cost nothing.
    @Test(arguments: ["vit", "dinov2_swiglu"]) func streamsThatNobodyAsksForAreLeftOut(_ name: String) throws {
        let scene = try StreamBundle(name)
        let bundle = try scene.opened()
        for precision in ForwardPrecisionTests.precisions {
            func model(_ names: [String]?) throws -> GroupedModel {
                try bundle.model(threads: 1, for: names, precision: precision)
            }
            let all = try model(nil)
            let expected = try scene.logits(all)
            var operations: [Double] = []
            for (task, columns) in [("a", 0..<7), ("b", 7..<9)] {
                let alone = try model([task])
                #expect(alone.heads.map(\.task) == [task] && alone.classCount == columns.count)
                let found = try scene.logits(alone)
                for image in 0..<3 {
                    let start = image * columns.count
                    #expect(
                        Array(found[start..<start + columns.count])
                            == Array(expected[image * 9 + columns.lowerBound..<image * 9 + columns.upperBound]),
                        "\(precision), \(task), image \(image)")
                }
                operations.append(alone.operationsPerImage)
            }
            #expect(operations.allSatisfy { $0 < all.operationsPerImage })
            // Each stream's operations are those that it adds to the shared pass.
            let shared = operations.reduce(0, +) - all.operationsPerImage
            #expect(shared > 0 && operations.allSatisfy { $0 > shared })
            for names in [["b", "a"], ["a", "c"], []] {
                let model = try model(names)
                #expect(model.heads.map(\.task) == ["a", "b"])
                #expect(try scene.logits(model) == expected)
            }
        }
    }

    /// A file's tensors as they are stored, its metadata kept.
    private struct File {
        let path: String
        let metadata: [String: String]
        var tensors: [(name: String, tensor: Tensor)]

        init(_ path: String) throws {
            let file = try SafetensorsFile(path: path)
            (self.path, metadata) = (path, file.metadata)
            tensors = try file.entries.map { ($0.name, try file.tensor($0.name)) }
        }

        init(_ path: String, metadata: [String: String], _ tensors: [(name: String, tensor: Tensor)]) {
            (self.path, self.metadata, self.tensors) = (path, metadata, tensors)
        }

        func write() throws {
            let writer = try SafetensorsWriter(
                path: path, declarations: tensors.map { .init(name: $0.name, shape: $0.tensor.shape) },
                metadata: metadata)
            for (name, tensor) in tensors { try writer.append(name, tensor) }
            try writer.finish()
        }
    }

    @Test(arguments: [StreamFile.name, StreamFile.baseName]) func everyDamagedTensorIsNamed(_ name: String) throws {
        let scene = try StreamBundle(ranks: [2, 1])
        let path = scene.scratch.path(name)
        let whole = try File(path)
        let bytes = try scene.scratch.read(name)
        func check(_ damage: String, _ tensor: String, _ change: (inout File) -> Void) throws {
            var file = whole
            change(&file)
            try file.write()
            let said = message { _ = try scene.opened().model(threads: 1) }
            // Of a pair both names begin alike.
            let known = tensor.replacing(/\.(down|up|shift)$/, with: "")
            #expect(said.hasPrefix("\(path): ") && said.contains(known), "\(damage) \(tensor): \(said)")
        }
        for (index, (tensor, _)) in whole.tensors.enumerated() {
            try check("missing", tensor) { $0.tensors.remove(at: index) }
            try check("misshapen", tensor) { file in
                let values = file.tensors[index].tensor.values
                file.tensors[index].tensor = Tensor(shape: [1, 1, values.count], values: values)
            }
            try check("longer", tensor) { file in
                var changed = file.tensors[index].tensor
                changed.values += changed.values
                file.tensors[index].tensor = Tensor(
                    shape: changed.shape.dropLast() + [2 * (changed.shape.last ?? 0)], values: changed.values)
            }
            try check("infinite", tensor) { $0.tensors[index].tensor.values[0] = .infinity }
            try check("not a number", tensor) { file in
                let last = file.tensors[index].tensor.values.count - 1
                file.tensors[index].tensor.values[last] = .nan
            }
            try check("renamed", tensor) { $0.tensors[index].name += "x" }
        }
        // Two tensors of one name, which no writer makes.
        let size = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = String(decoding: bytes[8..<8 + size], as: UTF8.self)
        for (tensor, _) in whole.tensors {
            let doubled = Array("{\"\(tensor)\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},".utf8)
            let text = doubled + Array(header.utf8.dropFirst())
            let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) }
            try scene.scratch.write(name, length + text + bytes[(8 + size)...])
            let said = message { _ = try scene.opened() }
            #expect(said.hasPrefix("\(path): ") && said.contains(tensor), "doubled \(tensor): \(said)")
        }
        try scene.scratch.write(name, bytes)
        #expect(message { _ = try scene.opened().model(threads: 1) } == "nothing was thrown")
    }

    /// Of streams that nobody asks for only the names are read.
    @Test func aBundleCanBeOpenedForSomeTasks() throws {
        let scene = try StreamBundle()
        let expected = try scene.logits(scene.opened().model(threads: 1, for: ["b"]))
        var file = try File(scene.scratch.path(StreamFile.name))
        let index = try #require(file.tensors.firstIndex { $0.name == "a.layers.0.tokens.shift" })
        file.tensors[index].tensor.values[3] = .nan
        try file.write()
        func opened(_ names: [String]?) throws -> ModelBundle {
            try ModelBundle(folder: scene.scratch.path, for: names)
        }
        #expect(try scene.logits(opened(["b"]).model(threads: 1, for: ["b"])) == expected)
        for names in [nil, ["a"], ["b", "c"], []] as [[String]?] {
            #expect(message { _ = try opened(names) }.contains("a.layers.0.tokens.shift"))
        }
        #expect(message { _ = try opened(["b"]).model(threads: 1) }.contains("was opened for other tasks"))
        file.tensors[index].name = "c.layers.0.tokens.shift"
        try file.write()
        #expect(message { _ = try opened(["b"]) }.contains("\"c.layers.0.tokens.shift\" belongs to no task"))
    }

    /// A bundle that was copied without the base's parameters would predict by the merge's instead.
    @Test func aBaseThatIsLostIsMissed() throws {
        let scene = try StreamBundle()
        try scene.scratch.remove(StreamFile.baseName)
        #expect(
            message { _ = try scene.opened() }
                == "\(scene.scratch.path)/base.safetensors: expected a file with 2 parameters of the base of "
                + "streams.safetensors, found none")
    }

    @Test func streamsThatDoNotSayTheirBaseAreRefused() throws {
        let scene = try StreamBundle()
        let file = try File(scene.scratch.path(StreamFile.name))
        try File(file.path, metadata: ["format": "pt"], file.tensors).write()
        #expect(
            message { _ = try scene.opened() }
                == "\(scene.scratch.path)/streams.safetensors: expected the names of the base's parameters in the "
                + "metadata under \"base\", found none")
    }

    /// A stream gives CLS alone, whatever the family's heads read otherwise.
    @Test(arguments: ["dinov2", "deit"]) func headsThatReadMoreThanCLSAreRefused(_ name: String) throws {
        var draft = try BundleTests.Draft(name)
        draft.heads[0].tensor = Tensor(shape: [7, 96], repeating: 0.1)
        draft.manifest["format_version"] = .int(ModelBundle.streamsFormatVersion)
        draft.manifest["streams"] = .bool(true)
        #expect(
            try draft.said()
                == "FOLDER/bundle.json: streams: the head of a reads 96 features, a stream gives 48, its CLS token")
    }
}
